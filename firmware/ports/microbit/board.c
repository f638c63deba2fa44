/* BBC micro:bit version 1: nRF51822, Cortex-M0 at 16 MHz. */
#include "clock_nrf.h"
#include "counter_nrf.h"
#include "qps_port.h"
#include "uart_nrf.h"

#define UART0 0x40002000U
#define TIMER0 0x40008000U
#define GPIO 0x50000000U
#define PIN_TRANSMIT 24U /* to the USB interface chip */
#define PIN_RECEIVE 25U
#define SOON_TICKS 100U

_Static_assert(QPS_COUNTER_HZ == NRF_TIMER_HZ, "board.toml has another rate");
_Static_assert(QPS_SERIAL_BAUD == NRF_UART_BAUD, "board.toml has another baud rate");

/* QEMU does not look again for bytes that came before this UART was on, until something happens: let a timer expire. */
static void wake_emulator(void)
{
    qps_put(TIMER0 + NRF_TIMER_CC0, SOON_TICKS);
    qps_counter_nrf_start(TIMER0);
}

void qps_port_init(void)
{
    qps_clock_nrf_init();
    qps_uart_nrf_init(UART0, GPIO, PIN_TRANSMIT, PIN_RECEIVE);
    wake_emulator();
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
    qps_counter_nrf_start(TIMER0);
}

uint32_t qps_port_counter(void)
{
    return qps_counter_nrf_read(TIMER0);
}
