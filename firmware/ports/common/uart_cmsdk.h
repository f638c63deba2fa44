/* Arm CMSDK UART: MPS2 and MPS3 boards. 8N1 is all it can. */
#ifndef QPS_UART_CMSDK_H
#define QPS_UART_CMSDK_H

#include "qps_registers.h"

#define CMSDK_UART_DATA 0x00U
#define CMSDK_UART_STATE 0x04U
#define CMSDK_UART_STATE_TXFULL (1U << 0)
#define CMSDK_UART_STATE_RXFULL (1U << 1)
#define CMSDK_UART_CTRL 0x08U
#define CMSDK_UART_CTRL_TXEN (1U << 0)
#define CMSDK_UART_CTRL_RXEN (1U << 1)
#define CMSDK_UART_BAUDDIV 0x10U

static inline void qps_uart_cmsdk_init(uint32_t base, uint32_t clock_hz, uint32_t baud)
{
    qps_put(base + CMSDK_UART_BAUDDIV, (clock_hz + baud / 2U) / baud);
    qps_put(base + CMSDK_UART_CTRL, CMSDK_UART_CTRL_TXEN | CMSDK_UART_CTRL_RXEN);
    /* QEMU stops listening while the receiver is off, and begins again only when a byte is taken. */
    (void)qps_get(base + CMSDK_UART_DATA);
}

static inline int32_t qps_uart_cmsdk_read(uint32_t base)
{
    if ((qps_get(base + CMSDK_UART_STATE) & CMSDK_UART_STATE_RXFULL) == 0U) {
        return -1;
    }
    return (int32_t)(qps_get(base + CMSDK_UART_DATA) & 0xFFU);
}

static inline void qps_uart_cmsdk_write(uint32_t base, uint8_t byte)
{
    qps_await(base + CMSDK_UART_STATE, CMSDK_UART_STATE_TXFULL, 0U);
    qps_put(base + CMSDK_UART_DATA, byte);
}

#endif
