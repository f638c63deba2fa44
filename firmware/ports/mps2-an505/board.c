/* Arm MPS2+, AN505 image: Cortex-M33 at 20 MHz, in the Secure state, whose addresses have bit 28 set. */
#include "counter_cmsdk.h"
#include "qps_port.h"
#include "uart_cmsdk.h"

#define CLOCK_HZ 20000000U
#define TIMER0 0x50000000U
#define UART0 0x50200000U

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
