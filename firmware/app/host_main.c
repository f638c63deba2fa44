/* The host application: inputs from standard input, results to standard output, as raw native-endian values.
 *
 * Per input of QPS_MODEL_INPUT_SIZE elements: QPS_MODEL_CLASSES int32_t logits, and, built with QPS_TRACE=1, every
 * spike of every layer as QPS_MODEL_TRACE_WORDS words. Ends with 0 at the end of input, 1 if an input is cut short
 * or a run fails. */
#include <stdio.h>

#include "model.h"
#include "../runtime/qps_trace.h"

static qps_model_t net;
static qps_model_input_t input[QPS_MODEL_INPUT_SIZE];
static int32_t logits[QPS_MODEL_CLASSES];

#if QPS_TRACE
static uint32_t traced[QPS_MODEL_TRACE_WORDS + 1U]; /* a network may have nothing to trace */
static const qps_model_trace_t trace_table[QPS_MODEL_TRACE_LAYERS + 1U] = QPS_MODEL_TRACE_TABLE;

static void keep(void *context, uint32_t layer, uint32_t t, uint32_t y, uint32_t x, const uint32_t *words,
                 uint32_t count)
{
    const qps_model_trace_t *const place = &trace_table[layer];
    const uint32_t pixel = (t * place->height + y) * place->width + x;
    for (uint32_t w = 0U; w < count; w++) {
        ((uint32_t *)context)[place->offset + pixel * place->words + w] = words[w];
    }
}

static const qps_trace_sink_t sink = {.spikes = keep, .context = traced};
#endif

static int fail(const char *message)
{
    (void)fprintf(stderr, QPS_MODEL_NAME ": %s\n", message);
    return 1;
}

int main(void)
{
    size_t got;
    qps_model_init(&net);
#if QPS_TRACE
    qps_trace_sink = &sink;
#endif
    while ((got = fread(input, 1U, sizeof input, stdin)) == sizeof input) {
        const qps_status_t status = qps_model_run(&net, input, logits);
        if (status != QPS_OK) {
            return fail(qps_status_string(status));
        }
        if (fwrite(logits, sizeof logits[0], QPS_MODEL_CLASSES, stdout) != QPS_MODEL_CLASSES) {
            return fail("cannot write");
        }
#if QPS_TRACE
        if (fwrite(traced, sizeof traced[0], QPS_MODEL_TRACE_WORDS, stdout) != QPS_MODEL_TRACE_WORDS) {
            return fail("cannot write");
        }
#endif
    }
    return got == 0U ? 0 : fail("the last input is cut short");
}
