/* Caches of Cortex-M7. What they hold after reset is unknown, so they are emptied before they are used. */
#ifndef QPS_CACHE_M7_H
#define QPS_CACHE_M7_H

#include "qps_registers.h"

#define SCB_CCR 0xE000ED14U
#define SCB_CCR_DC (1U << 16) /* data cache on */
#define SCB_CCR_IC (1U << 17) /* instruction cache on */
#define SCB_CCSIDR 0xE000ED80U
#define SCB_CCSIDR_WAYS(value) (((value) >> 3) & 0x3FFU)   /* less one */
#define SCB_CCSIDR_SETS(value) (((value) >> 13) & 0x7FFFU) /* less one */
#define SCB_CSSELR 0xE000ED84U
#define SCB_CSSELR_DATA_L1 0U
#define SCB_ICIALLU 0xE000EF50U /* any write empties the instruction cache */
#define SCB_DCISW 0xE000EF60U   /* empties one line of the data cache, by set and way */
#define SCB_DCISW_SET 5U
#define SCB_DCISW_WAY 30U

static inline void qps_cache_m7_enable(void)
{
    qps_put(SCB_ICIALLU, 0U);
    qps_barrier();
    qps_set(SCB_CCR, SCB_CCR_IC);
    qps_barrier();
    qps_put(SCB_CSSELR, SCB_CSSELR_DATA_L1);
    qps_barrier();
    const uint32_t size = qps_get(SCB_CCSIDR);
    for (uint32_t set = 0U; set <= SCB_CCSIDR_SETS(size); set++) {
        for (uint32_t way = 0U; way <= SCB_CCSIDR_WAYS(size); way++) {
            qps_put(SCB_DCISW, (set << SCB_DCISW_SET) | (way << SCB_DCISW_WAY));
        }
    }
    qps_barrier();
    qps_set(SCB_CCR, SCB_CCR_DC);
    qps_barrier();
}

#endif
