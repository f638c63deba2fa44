/* ST NUCLEO-L476RG: STM32L476RG, Cortex-M4 at 80 MHz, its maximum, in the voltage range it resets to.
 *
 *     16 MHz HSI16 / M 1 * N 10 / R 2 = 80 MHz core, APB1 and APB2 */
#include "gpio_stm32.h"
#include "uart_stm32_v2.h"

#define UART 0x40004400U /* USART2 */
#include "board_nucleo.h"

#define CLOCK_HZ 80000000U
#define GPIOA 0x48000000U
#define PIN_TRANSMIT 2U /* to the ST-LINK */
#define PIN_RECEIVE 3U
#define FUNCTION_USART2 7U

#define FLASH_ACR 0x40022000U
#define FLASH_ACR_LATENCY (7U << 0)
#define FLASH_ACR_LATENCY_4 (4U << 0) /* 4 wait states: 64 to 80 MHz in voltage range 1 */
#define FLASH_ACR_PRFTEN (1U << 8)    /* prefetch */
#define FLASH_ACR_ICEN (1U << 9)      /* instruction cache */
#define FLASH_ACR_DCEN (1U << 10)     /* data cache */

#define RCC_CR 0x40021000U
#define RCC_CR_HSION (1U << 8)
#define RCC_CR_HSIRDY (1U << 10)
#define RCC_CR_PLLON (1U << 24)
#define RCC_CR_PLLRDY (1U << 25)
#define RCC_CFGR 0x40021008U
#define RCC_CFGR_SW (3U << 0)
#define RCC_CFGR_SW_PLL (3U << 0)
#define RCC_CFGR_SWS (3U << 2)
#define RCC_CFGR_SWS_PLL (3U << 2)
#define RCC_PLLCFGR 0x4002100CU
#define RCC_PLLCFGR_SRC_HSI16 (2U << 0)
#define RCC_PLLCFGR_M_1 (0U << 4)
#define RCC_PLLCFGR_N_10 (10U << 8)
#define RCC_PLLCFGR_REN (1U << 24) /* output R on */
#define RCC_PLLCFGR_R_2 (0U << 25)
#define RCC_AHB2ENR 0x4002104CU
#define RCC_AHB2ENR_GPIOA (1U << 0)
#define RCC_APB1ENR1 0x40021058U
#define RCC_APB1ENR1_USART2 (1U << 17)

_Static_assert(QPS_COUNTER_HZ == CLOCK_HZ, "board.toml has another rate");

/* The chip starts from MSI at 4 MHz, with all buses undivided. */
static void start_clock(void)
{
    qps_put(FLASH_ACR, FLASH_ACR_LATENCY_4 | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN);
    qps_await(FLASH_ACR, FLASH_ACR_LATENCY, FLASH_ACR_LATENCY_4);
    qps_set(RCC_CR, RCC_CR_HSION);
    qps_await(RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY);
    qps_put(RCC_PLLCFGR,
            RCC_PLLCFGR_R_2 | RCC_PLLCFGR_REN | RCC_PLLCFGR_N_10 | RCC_PLLCFGR_M_1 | RCC_PLLCFGR_SRC_HSI16);
    qps_set(RCC_CR, RCC_CR_PLLON);
    qps_await(RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
    qps_replace(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL);
    qps_await(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL);
}

void qps_port_init(void)
{
    start_clock();
    qps_set(RCC_AHB2ENR, RCC_AHB2ENR_GPIOA);
    qps_set(RCC_APB1ENR1, RCC_APB1ENR1_USART2);
    qps_barrier(); /* an enabled clock takes two cycles to arrive */
    qps_gpio_stm32_alternate(GPIOA, PIN_TRANSMIT, FUNCTION_USART2);
    qps_gpio_stm32_alternate(GPIOA, PIN_RECEIVE, FUNCTION_USART2);
    qps_uart_stm32_init(UART, CLOCK_HZ, QPS_SERIAL_BAUD);
}
