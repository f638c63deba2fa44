#include "qps_neuron.h"

#include "qps_trace.h"

/* One timestep of one pixel: membranes in place, spikes to words. */
static void qps_spiking_step(const qps_spiking_t *layer, const int32_t *current, const void *shortcut, uint32_t t,
                             uint32_t y, uint32_t x, int32_t *membrane, uint32_t *words)
{
    const qps_neuron_t *const neuron = &layer->neuron;
    const uint32_t channels = layer->output.channels;
    for (uint32_t c = 0U; c < channels; c++) {
        int32_t w = qps_neuron_charge(neuron, c, membrane[c], current[c]);
        if (neuron->gain != NULL) {
            w += neuron->gain[c] * qps_map_value(&layer->shortcut, shortcut, t, y, x, c);
        }
        if (w > neuron->threshold[c]) {
            words[c / 32U] |= UINT32_C(1) << (c % 32U);
            w = qps_neuron_discharge(neuron, c, w);
        }
        membrane[c] = w;
    }
}

void qps_spiking_run(const qps_spiking_t *layer, const void *input, const void *shortcut, uint32_t *output,
                     int32_t *scratch)
{
    const qps_map_t *const map = &layer->output;
    const uint32_t words = qps_spike_words(map->channels);
    int32_t *const membrane = scratch;
    int32_t *const current = scratch + map->channels;
    qps_map_clear(map, output);
    for (uint32_t y = 0U; y < map->height; y++) {
        for (uint32_t x = 0U; x < map->width; x++) {
            memcpy(membrane, layer->neuron.rest, map->channels * sizeof *membrane);
            for (uint32_t t = 0U; t < map->timesteps; t++) {
                uint32_t *const spikes = output + (size_t)qps_pixel(map, t, y, x) * words;
                if (t == 0U || layer->static_current == 0U) {
                    layer->source.fill(layer->source.layer, input, t, y, x, current);
                }
                qps_spiking_step(layer, current, shortcut, t, y, x, membrane, spikes);
                qps_trace_spikes(layer->trace, t, y, x, spikes, words);
            }
        }
    }
}
