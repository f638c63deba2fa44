#include "qps_readout.h"

#include "qps_trace.h"

void qps_rescale(const qps_rescale_t *rescale, uint32_t classes, int32_t *logits)
{
    for (uint32_t k = 0U; k < classes; k++) {
        if (rescale->multiplier != NULL) {
            const int64_t product = (int64_t)logits[k] * rescale->multiplier[k];
            const int64_t half = rescale->shift > 0U ? (int64_t)1 << (rescale->shift - 1U) : 0;
            logits[k] = (int32_t)qps_shift_right_64(product + half, rescale->shift);
        }
        logits[k] += rescale->offset[k];
    }
}

void qps_sum_readout_run(const qps_sum_readout_t *layer, const void *input, int32_t *logits, int32_t *scratch)
{
    memset(logits, 0, layer->classes * sizeof *logits);
    for (uint32_t t = 0U; t < layer->timesteps; t++) {
        if (t == 0U || layer->static_current == 0U) {
            layer->source.fill(layer->source.layer, input, t, 0U, 0U, scratch);
        }
        for (uint32_t k = 0U; k < layer->classes; k++) {
            logits[k] += scratch[k];
        }
    }
    qps_rescale(&layer->rescale, layer->classes, logits);
}

void qps_last_readout_run(const qps_last_readout_t *layer, const void *input, int32_t *logits, int32_t *scratch)
{
    const qps_neuron_t *const neuron = &layer->neuron;
    const uint32_t words = qps_spike_words(layer->classes);
    int32_t *const current = scratch + words;
    memcpy(logits, neuron->rest, layer->classes * sizeof *logits);
    for (uint32_t t = 0U; t < layer->timesteps; t++) {
        if (t == 0U || layer->static_current == 0U) {
            layer->source.fill(layer->source.layer, input, t, 0U, 0U, current);
        }
        memset(scratch, 0, words * sizeof *scratch);
        for (uint32_t k = 0U; k < layer->classes; k++) {
            int32_t w = qps_neuron_charge(neuron, k, logits[k], current[k]);
            if (w > neuron->threshold[k]) {
                scratch[k / 32U] = (int32_t)((uint32_t)scratch[k / 32U] | (UINT32_C(1) << (k % 32U)));
                w = qps_neuron_discharge(neuron, k, w);
            }
            logits[k] = w;
        }
        qps_trace_spikes(layer->trace, t, 0U, 0U, (const uint32_t *)scratch, words);
    }
    qps_rescale(&layer->rescale, layer->classes, logits);
}
