/* Nordic nRF52840 DK: Cortex-M4 at 64 MHz. */
#include "clock_nrf.h"
#include "counter_dwt.h"
#include "qps_port.h"
#include "uart_nrf.h"

#define CLOCK_HZ 64000000U
#define UART0 0x40002000U
#define GPIO_P0 0x50000000U
#define PIN_TRANSMIT 6U /* to the J-Link */
#define PIN_RECEIVE 8U

#define NVMC_ICACHECNF 0x4001E540U
#define NVMC_ICACHECNF_CACHEEN (1U << 0)

_Static_assert(QPS_COUNTER_HZ == CLOCK_HZ, "board.toml has another rate");
_Static_assert(QPS_SERIAL_BAUD == NRF_UART_BAUD, "board.toml has another baud rate");

void qps_port_init(void)
{
    qps_clock_nrf_init();
    qps_put(NVMC_ICACHECNF, NVMC_ICACHECNF_CACHEEN);
    qps_uart_nrf_init(UART0, GPIO_P0, PIN_TRANSMIT, PIN_RECEIVE);
}

int32_t qps_port_read(void)
{
    return qps_uart_nrf_read(UART0);
}

void qps_port_write(uint8_t byte)
{
    qps_uart_nrf_write(UART0, byte);
}

void qps_port_counter_start(void)
{
    qps_counter_dwt_start();
}

uint32_t qps_port_counter(void)
{
    return qps_counter_dwt_read();
}
