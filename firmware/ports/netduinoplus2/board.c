/* Netduino Plus 2: STM32F405RG, Cortex-M4 at 84 MHz. */
#include "clock_stm32f4.h"
#include "counter_stm32_tim.h"
#include "gpio_stm32.h"
#include "qps_port.h"
#include "uart_stm32_v1.h"

#define TIM2 0x40000000U
#define USART1 0x40011000U
#define GPIOB 0x40020400U
#define PIN_TRANSMIT 6U
#define PIN_RECEIVE 7U
#define FUNCTION_USART1 7U

_Static_assert(QPS_COUNTER_HZ == STM32F4_APB1_TIMER_HZ, "board.toml has another rate");

void qps_port_init(void)
{
    qps_clock_stm32f4_init();
    qps_set(RCC_AHB1ENR, RCC_AHB1ENR_GPIOB);
    qps_set(RCC_APB1ENR, RCC_APB1ENR_TIM2);
    qps_set(RCC_APB2ENR, RCC_APB2ENR_USART1);
    qps_barrier(); /* an enabled clock takes two cycles to arrive */
    qps_gpio_stm32_alternate(GPIOB, PIN_TRANSMIT, FUNCTION_USART1);
    qps_gpio_stm32_alternate(GPIOB, PIN_RECEIVE, FUNCTION_USART1);
    qps_uart_stm32_init(USART1, STM32F4_APB2_HZ, QPS_SERIAL_BAUD);
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
    qps_counter_stm32_tim_start(TIM2);
}

uint32_t qps_port_counter(void)
{
    return qps_counter_stm32_tim_read(TIM2);
}
