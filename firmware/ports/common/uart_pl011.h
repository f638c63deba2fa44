/* Arm PL011 UART: RP2040. */
#ifndef QPS_UART_PL011_H
#define QPS_UART_PL011_H

#include "qps_registers.h"

#define PL011_DR 0x00U
#define PL011_FR 0x18U
#define PL011_FR_RXFE (1U << 4) /* the receive FIFO is empty */
#define PL011_FR_TXFF (1U << 5) /* the transmit FIFO is full */
#define PL011_IBRD 0x24U        /* whole and */
#define PL011_FBRD 0x28U        /* 64ths part of clock / (16 * baud) */
#define PL011_LCR_H 0x2CU
#define PL011_LCR_H_FEN (1U << 4) /* use the FIFOs */
#define PL011_LCR_H_WLEN_8 (3U << 5)
#define PL011_CR 0x30U
#define PL011_CR_UARTEN (1U << 0)
#define PL011_CR_TXE (1U << 8)
#define PL011_CR_RXE (1U << 9)

static inline void qps_uart_pl011_init(uint32_t base, uint32_t clock_hz, uint32_t baud)
{
    const uint32_t divider = (8U * clock_hz / baud + 1U) / 2U; /* 64 * clock / (16 * baud), rounded */
    qps_put(base + PL011_IBRD, divider / 64U);
    qps_put(base + PL011_FBRD, divider % 64U);
    qps_put(base + PL011_LCR_H, PL011_LCR_H_WLEN_8 | PL011_LCR_H_FEN); /* after the divider: this write takes it over */
    qps_put(base + PL011_CR, PL011_CR_UARTEN | PL011_CR_TXE | PL011_CR_RXE);
}

static inline int32_t qps_uart_pl011_read(uint32_t base)
{
    if ((qps_get(base + PL011_FR) & PL011_FR_RXFE) != 0U) {
        return -1;
    }
    return (int32_t)(qps_get(base + PL011_DR) & 0xFFU);
}

static inline void qps_uart_pl011_write(uint32_t base, uint8_t byte)
{
    qps_await(base + PL011_FR, PL011_FR_TXFF, 0U);
    qps_put(base + PL011_DR, byte);
}

#endif
