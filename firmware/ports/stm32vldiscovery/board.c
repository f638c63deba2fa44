/* STM32VLDISCOVERY: STM32F100RB, Cortex-M3 at 24 MHz, its maximum, at which flash needs no wait states. */
#include "counter_systick.h"
#include "qps_port.h"
#include "uart_stm32_v1.h"

#define CLOCK_HZ 24000000U /* core, APB1 and APB2: HSI 8 MHz / 2 * 6 */
#define USART1 0x40013800U

#define RCC_CR 0x40021000U
#define RCC_CR_HSIRDY (1U << 1)
#define RCC_CR_PLLON (1U << 24)
#define RCC_CR_PLLRDY (1U << 25)
#define RCC_CFGR 0x40021004U
#define RCC_CFGR_SW (3U << 0)
#define RCC_CFGR_SW_PLL (2U << 0)
#define RCC_CFGR_SWS (3U << 2)
#define RCC_CFGR_SWS_PLL (2U << 2)
#define RCC_CFGR_PLLSRC (1U << 16) /* 0: HSI / 2 */
#define RCC_CFGR_PLLMUL (0xFU << 18)
#define RCC_CFGR_PLLMUL_6 (4U << 18)
#define RCC_APB2ENR 0x40021018U
#define RCC_APB2ENR_GPIOA (1U << 2)
#define RCC_APB2ENR_USART1 (1U << 14)

#define GPIOA_CRH 0x40010804U /* pins 8 to 15, 4 bits each */
#define GPIO_CRH_PIN9 (0xFU << 4)
#define GPIO_CRH_PIN9_OUTPUT (9U << 4) /* alternate function, push-pull, 10 MHz */
#define GPIO_CRH_PIN10 (0xFU << 8)
#define GPIO_CRH_PIN10_INPUT (8U << 8) /* input, pulled to where ODR says */
#define GPIOA_ODR 0x4001080CU
#define GPIO_ODR_PIN10_UP (1U << 10)

_Static_assert(QPS_COUNTER_HZ == CLOCK_HZ, "board.toml has another rate");

static void start_clock(void)
{
    /* The chip starts from HSI, so it is always ready; only QEMU, which has no clock controller, reads 0. */
    if ((qps_get(RCC_CR) & RCC_CR_HSIRDY) == 0U) {
        return;
    }
    qps_replace(RCC_CFGR, RCC_CFGR_PLLSRC | RCC_CFGR_PLLMUL, RCC_CFGR_PLLMUL_6);
    qps_set(RCC_CR, RCC_CR_PLLON);
    qps_await(RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
    qps_replace(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL);
    qps_await(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL);
}

void qps_port_init(void)
{
    start_clock();
    qps_set(RCC_APB2ENR, RCC_APB2ENR_GPIOA | RCC_APB2ENR_USART1);
    qps_barrier(); /* an enabled clock takes two cycles to arrive */
    qps_set(GPIOA_ODR, GPIO_ODR_PIN10_UP);
    qps_replace(GPIOA_CRH, GPIO_CRH_PIN9 | GPIO_CRH_PIN10, GPIO_CRH_PIN9_OUTPUT | GPIO_CRH_PIN10_INPUT);
    qps_uart_stm32_init(USART1, CLOCK_HZ, QPS_SERIAL_BAUD);
}

int32_t qps_port_read(void)
{
    return qps_uart_stm32_read(USART1);
}

void qps_port_write(uint8_t byte)
{
    qps_uart_stm32_write(USART1, byte);
}

void qps_port_counter_start(void)
{
    qps_counter_systick_start();
}

uint32_t qps_port_counter(void)
{
    return qps_counter_systick_read();
}
