/* Nordic 32-bit timer (TIMER0) at 16 MHz: nRF51, nRF52. */
#ifndef QPS_COUNTER_NRF_H
#define QPS_COUNTER_NRF_H

#include "qps_registers.h"

#define NRF_TIMER_HZ 16000000U
#define NRF_TIMER_TASKS_START 0x000U
#define NRF_TIMER_TASKS_STOP 0x004U
#define NRF_TIMER_TASKS_CLEAR 0x00CU
#define NRF_TIMER_TASKS_CAPTURE0 0x040U /* copy the count to CC0 */
#define NRF_TIMER_BITMODE 0x508U
#define NRF_TIMER_BITMODE_32 3U
#define NRF_TIMER_PRESCALER 0x510U /* 16 MHz / 2^n */
#define NRF_TIMER_CC0 0x540U

static inline void qps_counter_nrf_start(uint32_t base)
{
    qps_put(base + NRF_TIMER_TASKS_STOP, 1U);
    qps_put(base + NRF_TIMER_BITMODE, NRF_TIMER_BITMODE_32);
    qps_put(base + NRF_TIMER_PRESCALER, 0U);
    qps_put(base + NRF_TIMER_TASKS_CLEAR, 1U);
    qps_put(base + NRF_TIMER_TASKS_START, 1U);
}

static inline uint32_t qps_counter_nrf_read(uint32_t base)
{
    qps_put(base + NRF_TIMER_TASKS_CAPTURE0, 1U);
    return qps_get(base + NRF_TIMER_CC0);
}

#endif
