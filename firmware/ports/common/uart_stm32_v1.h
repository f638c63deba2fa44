/* STM32 USART with status and data registers SR and DR: F1, F2, F4. */
#ifndef QPS_UART_STM32_V1_H
#define QPS_UART_STM32_V1_H

#include "qps_registers.h"

#define USART_SR 0x00U
#define USART_SR_RXNE (1U << 5) /* a byte was received */
#define USART_SR_TXE (1U << 7)  /* the transmitter takes a byte */
#define USART_DR 0x04U
#define USART_BRR 0x08U /* clock / baud with 16-fold oversampling */
#define USART_CR1 0x0CU
#define USART_CR1_RE (1U << 2)
#define USART_CR1_TE (1U << 3)
#define USART_CR1_UE (1U << 13)

/* Registers that are not written keep their reset values: 8 bits, no parity, one stop bit. */
static inline void qps_uart_stm32_init(uint32_t base, uint32_t clock_hz, uint32_t baud)
{
    qps_put(base + USART_BRR, (clock_hz + baud / 2U) / baud);
    qps_put(base + USART_CR1, USART_CR1_UE | USART_CR1_TE | USART_CR1_RE);
}

/* Reading SR and then DR also clears an overrun. */
static inline int32_t qps_uart_stm32_read(uint32_t base)
{
    if ((qps_get(base + USART_SR) & USART_SR_RXNE) == 0U) {
        return -1;
    }
    return (int32_t)(qps_get(base + USART_DR) & 0xFFU);
}

static inline void qps_uart_stm32_write(uint32_t base, uint8_t byte)
{
    qps_await(base + USART_SR, USART_SR_TXE, USART_SR_TXE);
    qps_put(base + USART_DR, byte);
}

#endif
