/* The five functions of Arm's MPS2 images, which differ in addresses and clock. Included once by a board.c that has
 * defined CLOCK_HZ, TIMER0 and UART0. */
#include "counter_cmsdk.h"
#include "qps_port.h"
#include "uart_cmsdk.h"

_Static_assert(QPS_COUNTER_HZ == CLOCK_HZ, "board.toml has another rate");

void qps_port_init(void)
{
    qps_uart_cmsdk_init(UART0, CLOCK_HZ, QPS_SERIAL_BAUD);
}

int32_t qps_port_read(void)
{
    return qps_uart_cmsdk_read(UART0);
}

void qps_port_write(uint8_t byte)
{
    qps_uart_cmsdk_write(UART0, byte);
}

void qps_port_counter_start(void)
{
    qps_counter_cmsdk_start(TIMER0);
}

uint32_t qps_port_counter(void)
{
    return qps_counter_cmsdk_read(TIMER0);
}
