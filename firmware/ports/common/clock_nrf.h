/* Nordic high-frequency clock: nRF51, nRF52. */
#ifndef QPS_CLOCK_NRF_H
#define QPS_CLOCK_NRF_H

#include "qps_registers.h"

#define NRF_CLOCK_TASKS_HFCLKSTART 0x40000000U
#define NRF_CLOCK_EVENTS_HFCLKSTARTED 0x40000100U

/* From the crystal: the internal oscillator, from which the chip starts, is not precise enough for a UART. */
static inline void qps_clock_nrf_init(void)
{
    qps_put(NRF_CLOCK_EVENTS_HFCLKSTARTED, 0U);
    qps_put(NRF_CLOCK_TASKS_HFCLKSTART, 1U);
    while (qps_get(NRF_CLOCK_EVENTS_HFCLKSTARTED) == 0U) {
    }
}

#endif
