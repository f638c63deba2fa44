/* Arm MPS3, AN547 image: Cortex-M55 at 32 MHz, in the Secure state. */
#include "counter_sse.h"
#include "qps_port.h"
#include "uart_cmsdk.h"

#define CLOCK_HZ 32000000U
#define SYSTEM_COUNTER 0x58100000U
#define UART0 0x59303000U

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
    qps_counter_sse_start(SYSTEM_COUNTER);
}

uint32_t qps_port_counter(void)
{
    return qps_counter_sse_read(SYSTEM_COUNTER);
}
