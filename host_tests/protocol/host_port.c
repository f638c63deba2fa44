/* A board that is none: its counter, stack and faults are made up, and oracle.py knows them. */
#include "../app/qps_protocol.h"

uint32_t qps_port_stack_size(void)
{
    return 2048U;
}

uint32_t qps_port_stack_used(void)
{
    return 777U;
}

/* Reading number n since the start is 10 + 20 + ... + 10 n: no two intervals are the same. */
static uint32_t readings;

void qps_port_counter_start(void)
{
    readings = 0U;
}

uint32_t qps_port_counter(void)
{
    readings++;
    return 5U * readings * (readings + 1U);
}

#if QPS_FAULT_TESTS
void qps_provoke(qps_provoke_t kind)
{
    if (kind != QPS_PROVOKE_SILENCE) {
        const qps_fault_t fault = {.kind = (uint32_t)kind,
                                   .pc = 0x08001234U,
                                   .lr = 0x08004321U,
                                   .sp = 0x20000400U,
                                   .status = 0x00008200U,
                                   .address = 0xE8000000U};
        qps_protocol_fault(&fault);
    }
}
#endif
