/* Arm MPS2+, AN500 image: Cortex-M7 at 25 MHz. */
#include "counter_cmsdk.h"
#include "qps_port.h"
#include "uart_cmsdk.h"

#define CLOCK_HZ 25000000U
#define TIMER0 0x40000000U
#define UART0 0x40004000U

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
