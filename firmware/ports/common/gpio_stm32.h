/* STM32 GPIO: F4, L4, H7. (F1 is different.) */
#ifndef QPS_GPIO_STM32_H
#define QPS_GPIO_STM32_H

#include "qps_registers.h"

#define GPIO_MODER 0x00U /* 2 bits per pin */
#define GPIO_MODER_ALTERNATE 2U
#define GPIO_PUPDR 0x0CU /* 2 bits per pin */
#define GPIO_PUPDR_UP 1U
#define GPIO_AFRL 0x20U /* 4 bits per pin: pins 0 to 7, then 8 to 15 in the next word */

/* Give a pin to a peripheral, pulled up so that an open receive line rests. */
static inline void qps_gpio_stm32_alternate(uint32_t port, uint32_t pin, uint32_t function)
{
    const uint32_t half = GPIO_AFRL + 4U * (pin / 8U);
    qps_replace(port + half, 0xFU << (4U * (pin % 8U)), function << (4U * (pin % 8U)));
    qps_replace(port + GPIO_PUPDR, 3U << (2U * pin), GPIO_PUPDR_UP << (2U * pin));
    qps_replace(port + GPIO_MODER, 3U << (2U * pin), GPIO_MODER_ALTERNATE << (2U * pin));
}

#endif
