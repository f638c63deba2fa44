/* STM32 USART with separate registers ISR, RDR and TDR: L4, H7 and other newer families. */
#ifndef QPS_UART_STM32_V2_H
#define QPS_UART_STM32_V2_H

#include "qps_registers.h"

#define USART_CR1 0x00U
#define USART_CR1_UE (1U << 0)
#define USART_CR1_RE (1U << 2)
#define USART_CR1_TE (1U << 3)
#define USART_CR3 0x08U
#define USART_CR3_OVRDIS (1U << 12) /* a byte that nobody fetched is replaced by the next, without an error to clear */
#define USART_BRR 0x0CU             /* clock / baud with 16-fold oversampling */
#define USART_ISR 0x1CU
#define USART_ISR_RXNE (1U << 5) /* a byte was received */
#define USART_ISR_TXE (1U << 7)  /* the transmitter takes a byte */
#define USART_RDR 0x24U
#define USART_TDR 0x28U

/* Registers that are not written keep their reset values: 8 bits, no parity, one stop bit. */
static inline void qps_uart_stm32_init(uint32_t base, uint32_t clock_hz, uint32_t baud)
{
    qps_put(base + USART_BRR, (clock_hz + baud / 2U) / baud);
    qps_put(base + USART_CR3, USART_CR3_OVRDIS);
    qps_put(base + USART_CR1, USART_CR1_UE | USART_CR1_TE | USART_CR1_RE);
}

static inline int32_t qps_uart_stm32_read(uint32_t base)
{
    if ((qps_get(base + USART_ISR) & USART_ISR_RXNE) == 0U) {
        return -1;
    }
    return (int32_t)(qps_get(base + USART_RDR) & 0xFFU);
}

static inline void qps_uart_stm32_write(uint32_t base, uint8_t byte)
{
    qps_await(base + USART_ISR, USART_ISR_TXE, USART_ISR_TXE);
    qps_put(base + USART_TDR, byte);
}

#endif
