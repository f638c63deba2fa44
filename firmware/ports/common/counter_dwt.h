/* The core's cycle counter, 32 bits: v7-M and v8-M Mainline cores; QEMU does not have it. */
#ifndef QPS_COUNTER_DWT_H
#define QPS_COUNTER_DWT_H

#include "qps_registers.h"

#define SCB_DEMCR 0xE000EDFCU
#define SCB_DEMCR_TRCENA (1U << 24) /* switches the DWT on */
#define DWT_CTRL 0xE0001000U
#define DWT_CTRL_CYCCNTENA (1U << 0)
#define DWT_CYCCNT 0xE0001004U
#define DWT_LAR 0xE0001FB0U /* on Cortex-M7 the DWT is locked; elsewhere this write does nothing */
#define DWT_LAR_KEY 0xC5ACCE55U

static inline void qps_counter_dwt_start(void)
{
    qps_set(SCB_DEMCR, SCB_DEMCR_TRCENA);
    qps_put(DWT_LAR, DWT_LAR_KEY);
    qps_put(DWT_CTRL, 0U);
    qps_put(DWT_CYCCNT, 0U);
    qps_put(DWT_CTRL, DWT_CTRL_CYCCNTENA);
}

static inline uint32_t qps_counter_dwt_read(void)
{
    return qps_get(DWT_CYCCNT);
}

#endif
