/* ST NUCLEO-F446RE: STM32F446RE, Cortex-M4 at 84 MHz. */
#include "clock_stm32f4.h"
#include "gpio_stm32.h"
#include "uart_stm32_v1.h"

#define UART 0x40004400U /* USART2 */
#include "board_nucleo.h"

#define GPIOA 0x40020000U
#define PIN_TRANSMIT 2U /* to the ST-LINK */
#define PIN_RECEIVE 3U
#define FUNCTION_USART2 7U

_Static_assert(QPS_COUNTER_HZ == STM32F4_CORE_HZ, "board.toml has another rate");

void qps_port_init(void)
{
    qps_clock_stm32f4_init();
    qps_set(RCC_AHB1ENR, RCC_AHB1ENR_GPIOA);
    qps_set(RCC_APB1ENR, RCC_APB1ENR_USART2);
    qps_barrier(); /* an enabled clock takes two cycles to arrive */
    qps_gpio_stm32_alternate(GPIOA, PIN_TRANSMIT, FUNCTION_USART2);
    qps_gpio_stm32_alternate(GPIOA, PIN_RECEIVE, FUNCTION_USART2);
    qps_uart_stm32_init(UART, STM32F4_APB1_HZ, QPS_SERIAL_BAUD);
}
