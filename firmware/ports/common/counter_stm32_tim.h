/* STM32 32-bit general-purpose timer (TIM2 or TIM5), counts up at its full clock. */
#ifndef QPS_COUNTER_STM32_TIM_H
#define QPS_COUNTER_STM32_TIM_H

#include "qps_registers.h"

#define TIM_CR1 0x00U
#define TIM_CR1_CEN (1U << 0) /* counts */
#define TIM_EGR 0x14U
#define TIM_EGR_UG (1U << 0) /* start anew, prescaler included */
#define TIM_CNT 0x24U
#define TIM_PSC 0x28U
#define TIM_ARR 0x2CU /* last value before 0 */
#define TIM_ARR_MAX 0xFFFFFFFFU

static inline void qps_counter_stm32_tim_start(uint32_t base)
{
    qps_put(base + TIM_CR1, 0U);
    qps_put(base + TIM_PSC, 0U);
    qps_put(base + TIM_ARR, TIM_ARR_MAX);
    qps_put(base + TIM_EGR, TIM_EGR_UG);
    qps_put(base + TIM_CR1, TIM_CR1_CEN);
}

static inline uint32_t qps_counter_stm32_tim_read(uint32_t base)
{
    return qps_get(base + TIM_CNT);
}

#endif
