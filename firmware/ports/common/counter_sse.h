/* System counter of Arm's SSE-300 subsystem, 64 bits: mps3-an547. */
#ifndef QPS_COUNTER_SSE_H
#define QPS_COUNTER_SSE_H

#include "qps_registers.h"

#define SSE_COUNTER_CNTCR 0x00U
#define SSE_COUNTER_CNTCR_EN (1U << 0)
#define SSE_COUNTER_CNTCV_LOW 0x08U /* may be written while it does not count */
#define SSE_COUNTER_CNTCV_HIGH 0x0CU

static inline void qps_counter_sse_start(uint32_t base)
{
    qps_put(base + SSE_COUNTER_CNTCR, 0U);
    qps_put(base + SSE_COUNTER_CNTCV_LOW, 0U);
    qps_put(base + SSE_COUNTER_CNTCV_HIGH, 0U);
    qps_put(base + SSE_COUNTER_CNTCR, SSE_COUNTER_CNTCR_EN);
}

static inline uint32_t qps_counter_sse_read(uint32_t base)
{
    return qps_get(base + SSE_COUNTER_CNTCV_LOW);
}

#endif
