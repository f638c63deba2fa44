/* Arm CMSDK APB timer, 32 bits, counts down: MPS2 boards. */
#ifndef QPS_COUNTER_CMSDK_H
#define QPS_COUNTER_CMSDK_H

#include "qps_registers.h"

#define CMSDK_TIMER_CTRL 0x00U
#define CMSDK_TIMER_CTRL_ENABLE (1U << 0)
#define CMSDK_TIMER_VALUE 0x04U
#define CMSDK_TIMER_RELOAD 0x08U
#define CMSDK_TIMER_MAX 0xFFFFFFFFU

static inline void qps_counter_cmsdk_start(uint32_t base)
{
    qps_put(base + CMSDK_TIMER_CTRL, 0U);
    qps_put(base + CMSDK_TIMER_RELOAD, CMSDK_TIMER_MAX);
    qps_put(base + CMSDK_TIMER_VALUE, CMSDK_TIMER_MAX);
    qps_put(base + CMSDK_TIMER_CTRL, CMSDK_TIMER_CTRL_ENABLE);
}

static inline uint32_t qps_counter_cmsdk_read(uint32_t base)
{
    return CMSDK_TIMER_MAX - qps_get(base + CMSDK_TIMER_VALUE);
}

#endif
