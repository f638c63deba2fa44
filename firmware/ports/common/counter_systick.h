/* SysTick, the 24-bit timer of the core, extended to 32 bits by its interrupt: for chips with nothing better.
 * To be included by a board.c only: it defines the interrupt's handler. */
#ifndef QPS_COUNTER_SYSTICK_H
#define QPS_COUNTER_SYSTICK_H

#include "qps_registers.h"
#include "qps_startup.h"

#define SYSTICK_CSR 0xE000E010U
#define SYSTICK_CSR_ENABLE (1U << 0)
#define SYSTICK_CSR_TICKINT (1U << 1)   /* interrupt when it arrives at 0 */
#define SYSTICK_CSR_CLKSOURCE (1U << 2) /* the core's clock */
#define SYSTICK_RVR 0xE000E014U         /* first value after 0 */
#define SYSTICK_CVR 0xE000E018U         /* counts down; any write makes it 0 */
#define SYSTICK_MAX 0x00FFFFFFU
#define SYSTICK_BITS 24U
#define SCB_ICSR 0xE000ED04U
#define SCB_ICSR_PENDSTCLR (1U << 25)
#define SCB_ICSR_PENDSTSET (1U << 26) /* the interrupt waits */

static volatile uint32_t systick_wraps;

void qps_port_systick(void)
{
    systick_wraps++;
}

static inline void qps_counter_systick_start(void)
{
    qps_put(SYSTICK_CSR, 0U);
    qps_put(SCB_ICSR, SCB_ICSR_PENDSTCLR);
    qps_barrier();
    systick_wraps = 0U;
    qps_put(SYSTICK_RVR, SYSTICK_MAX);
    qps_put(SYSTICK_CVR, 0U);
    qps_put(SYSTICK_CSR, SYSTICK_CSR_CLKSOURCE | SYSTICK_CSR_TICKINT | SYSTICK_CSR_ENABLE);
}

static inline uint32_t qps_counter_systick_read(void)
{
    uint32_t wraps;
    uint32_t low;
    uint32_t pending;
    do {
        wraps = systick_wraps;
        low = (0U - qps_get(SYSTICK_CVR)) & SYSTICK_MAX;
        pending = qps_get(SCB_ICSR) & SCB_ICSR_PENDSTSET;
    } while (wraps != systick_wraps);
    /* It has wrapped, and the interrupt is still to come; only then low is small. */
    if (pending != 0U && low <= SYSTICK_MAX / 2U) {
        wraps++;
    }
    return (wraps << SYSTICK_BITS) + low;
}

#endif
