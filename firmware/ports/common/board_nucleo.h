/* Four of the five functions of ST's Nucleo boards: serial data by the ST-LINK, cycles counted by the core. Included
 * once by a board.c that has defined UART and included the driver of its kind. */
#include "counter_dwt.h"
#include "qps_port.h"

int32_t qps_port_read(void)
{
    return qps_uart_stm32_read(UART);
}

void qps_port_write(uint8_t byte)
{
    qps_uart_stm32_write(UART, byte);
}

void qps_port_counter_start(void)
{
    qps_counter_dwt_start();
}

uint32_t qps_port_counter(void)
{
    return qps_counter_dwt_read();
}
