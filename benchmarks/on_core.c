/* Runs networks one after another, each on its inputs. After a byte has arrived, sends for each run the ticks of
 * every stage, those of all its rows where stages take turns, then the logits, as little-endian words. Only the
 * networks' own files have the trace hooks, that of their stages: the kernels are those that ship. */
#include "qps_port.h"

#define QPS_TRACE 1
#include "../runtime/qps_trace.h"
#include "on_core.h"

static uint32_t
    ticks[ON_CORE_STAGES + 1U]; /* of the stages; the last is of what comes before the first and after them */
static uint32_t running;        /* the stage that is */
static uint32_t arena[ON_CORE_ARENA_WORDS];
static int32_t logits[ON_CORE_CLASSES];

static void send(uint32_t word)
{
    for (uint32_t k = 0U; k < 4U; k++) {
        qps_port_write((uint8_t)(word >> (8U * k)));
    }
}

static void add_time(void *context, uint32_t stage)
{
    const uint32_t now = qps_port_counter();
    const network_t *const network = context;
    ticks[running] += now;
    running = stage < network->stages ? stage : ON_CORE_STAGES;
    ticks[running] -= now;
}

int main(void)
{
    while (qps_port_read() < 0) {
    }
    for (uint32_t n = 0U; n < sizeof networks / sizeof networks[0]; n++) {
        const network_t *const network = &networks[n];
        for (uint32_t i = 0U; i < network->inputs; i++) {
            const uint32_t *const input = network->data + (size_t)i * network->input_words;
            const qps_trace_sink_t sink = {.stage = add_time, .context = (void *)(uintptr_t)network};
            qps_trace_sink = &sink;
            memset(ticks, 0, sizeof ticks);
            running = ON_CORE_STAGES;
            qps_port_counter_start();
            QPS_ASSERT(network->run(arena, input, logits) == QPS_OK);
            for (uint32_t stage = 0U; stage < network->stages; stage++) {
                send(ticks[stage]);
            }
            for (uint32_t k = 0U; k < network->classes; k++) {
                send((uint32_t)logits[k]);
            }
        }
    }
    for (;;) {
    }
}

_Noreturn void qps_on_fault(const qps_fault_t *fault)
{
    (void)fault;
    for (;;) {
        qps_port_write('F');
    }
}
