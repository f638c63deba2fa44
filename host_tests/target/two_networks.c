/* Two networks in one image, one of them twice, in turn. After a byte has arrived, sends for each run its logits and
 * the sum of the CRC-32s of all its spikes, as little-endian words. */
#include "qps_port.h"

#include "../first.h"
#include "../runtime/qps_trace.h"
#include "../second.h"
#include "qps_frame.h"
#include "two_inputs.h"

static first_t first_one, first_two;
static second_t second;

static void send(uint32_t word)
{
    for (uint32_t k = 0U; k < 4U; k++) {
        qps_port_write((uint8_t)(word >> (8U * k)));
    }
}

static void add_spikes(void *context, uint32_t layer, uint32_t t, uint32_t y, uint32_t x, const uint32_t *words,
                       uint32_t count)
{
    const uint32_t place[4] = {layer, t, y, x};
    uint32_t *const digest = context;
    *digest += qps_crc32(qps_crc32(0U, place, sizeof place), words, count * (uint32_t)sizeof *words);
}

static void report(const int32_t *logits, uint32_t classes, uint32_t digest)
{
    for (uint32_t k = 0U; k < classes; k++) {
        send((uint32_t)logits[k]);
    }
    send(digest);
}

int main(void)
{
    static uint32_t digests[3];
    static const qps_trace_sink_t sinks[3] = {
        {.spikes = add_spikes, .context = &digests[0]},
        {.spikes = add_spikes, .context = &digests[1]},
        {.spikes = add_spikes, .context = &digests[2]},
    };
    static int32_t logits[3][FIRST_CLASSES];
    first_init(&first_one);
    second_init(&second);
    first_init(&first_two);
    while (qps_port_read() < 0) {
    }
    for (uint32_t i = 0U; i < INPUTS; i++) {
        digests[0] = digests[1] = digests[2] = 0U;
        qps_trace_sink = &sinks[0];
        QPS_ASSERT(first_run(&first_one, inputs[i], logits[0]) == QPS_OK);
        qps_trace_sink = &sinks[1];
        QPS_ASSERT(second_run(&second, inputs[i], logits[1]) == QPS_OK);
        qps_trace_sink = &sinks[2];
        QPS_ASSERT(first_run(&first_two, inputs[INPUTS - 1U - i], logits[2]) == QPS_OK);
        for (uint32_t k = 0U; k < 3U; k++) {
            report(logits[k], FIRST_CLASSES, digests[k]);
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
