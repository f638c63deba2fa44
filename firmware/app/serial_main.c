/* The serial application: answers requests over the board's UART, see docs/protocol.md. */
#include "qps_protocol.h"

/* Long enough for a counter that ticks once in 64 instructions to be right within a thousandth; some 0.1 s at 16
 * MHz. */
#define CALIBRATION_ROUNDS 262144U
#define CALIBRATION_INSTRUCTIONS (2U * CALIBRATION_ROUNDS)

/* Ticks of a loop whose instructions are known. */
static uint32_t calibrate(void)
{
    uint32_t rounds = CALIBRATION_ROUNDS;
    qps_port_counter_start();
    __asm__ volatile(".syntax unified\n"
                     "1: subs %0, %0, #1\n"
                     "   bne 1b"
                     : "+l"(rounds)
                     :
                     : "cc");
    return qps_port_counter();
}

#if QPS_FAULT_TESTS
/* Nothing answers there on any of the boards: beyond the core's own registers. */
#define NOWHERE ((volatile const uint32_t *)0xE8000000U)

static uint32_t use_stack(uint32_t depth)
{
    volatile uint32_t words[8];
    words[depth % 8U] = depth;
    return depth == 0U ? 0U : use_stack(depth - 1U) + words[depth % 8U];
}

void qps_provoke(qps_provoke_t kind)
{
    switch (kind) {
    case QPS_PROVOKE_STACK:
        (void)use_stack(UINT32_MAX);
        break;
    case QPS_PROVOKE_BUS:
        (void)*NOWHERE;
        break;
    case QPS_PROVOKE_ASSERT:
        QPS_ASSERT(kind != QPS_PROVOKE_ASSERT);
        break;
    case QPS_PROVOKE_SILENCE:
        /* By the calibration loop: emulators are slow where a counter is read all the time. */
        for (uint32_t ticks = 0U; ticks / 2U < QPS_COUNTER_HZ;) {
            ticks += calibrate();
        }
        break;
    case QPS_PROVOKE_END:
        break;
    }
}
#endif

_Noreturn void qps_on_fault(const qps_fault_t *fault)
{
    qps_protocol_fault(fault);
}

int main(void)
{
    static qps_protocol_t protocol;
    qps_protocol_init(&protocol, CALIBRATION_INSTRUCTIONS, calibrate());
    qps_protocol_serve(&protocol);
}
