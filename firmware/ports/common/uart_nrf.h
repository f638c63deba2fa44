/* Nordic UART without DMA: nRF51, nRF52. */
#ifndef QPS_UART_NRF_H
#define QPS_UART_NRF_H

#include "qps_registers.h"

#define NRF_UART_BAUD 115200
#define NRF_UART_TASKS_STARTRX 0x000U
#define NRF_UART_TASKS_STARTTX 0x008U
#define NRF_UART_EVENTS_RXDRDY 0x108U
#define NRF_UART_EVENTS_TXDRDY 0x11CU
#define NRF_UART_ENABLE 0x500U
#define NRF_UART_ENABLE_ENABLED 4U
#define NRF_UART_PSELTXD 0x50CU
#define NRF_UART_PSELRXD 0x514U
#define NRF_UART_RXD 0x518U
#define NRF_UART_TXD 0x51CU
#define NRF_UART_BAUDRATE 0x524U
#define NRF_UART_BAUDRATE_115200 0x01D7E000U

#define NRF_GPIO_OUTSET 0x508U
#define NRF_GPIO_DIRSET 0x518U
#define NRF_GPIO_PIN_CNF 0x700U   /* of pin 0; one word per pin */
#define NRF_GPIO_PIN_CNF_INPUT 0U /* input, buffer connected, no pull */

/* CONFIG keeps its reset value: no parity, no flow control. 115200 baud; pins are numbers on port 0. */
static inline void qps_uart_nrf_init(uint32_t base, uint32_t gpio, uint32_t transmit, uint32_t receive)
{
    qps_put(gpio + NRF_GPIO_OUTSET, 1U << transmit); /* idle before the UART takes the pin over */
    qps_put(gpio + NRF_GPIO_DIRSET, 1U << transmit);
    qps_put(gpio + NRF_GPIO_PIN_CNF + 4U * receive, NRF_GPIO_PIN_CNF_INPUT);
    qps_put(base + NRF_UART_PSELTXD, transmit);
    qps_put(base + NRF_UART_PSELRXD, receive);
    qps_put(base + NRF_UART_BAUDRATE, NRF_UART_BAUDRATE_115200);
    qps_put(base + NRF_UART_ENABLE, NRF_UART_ENABLE_ENABLED);
    qps_put(base + NRF_UART_EVENTS_RXDRDY, 0U);
    qps_put(base + NRF_UART_TASKS_STARTRX, 1U);
    qps_put(base + NRF_UART_TASKS_STARTTX, 1U);
}

/* The event is cleared before the byte is taken: taking it makes the FIFO raise the event for the next one. */
static inline int32_t qps_uart_nrf_read(uint32_t base)
{
    if (qps_get(base + NRF_UART_EVENTS_RXDRDY) == 0U) {
        return -1;
    }
    qps_put(base + NRF_UART_EVENTS_RXDRDY, 0U);
    return (int32_t)(qps_get(base + NRF_UART_RXD) & 0xFFU);
}

/* Waits until the byte has left: there is no flag for "takes another one". */
static inline void qps_uart_nrf_write(uint32_t base, uint8_t byte)
{
    qps_put(base + NRF_UART_EVENTS_TXDRDY, 0U);
    qps_put(base + NRF_UART_TXD, byte);
    while (qps_get(base + NRF_UART_EVENTS_TXDRDY) == 0U) {
    }
}

#endif
