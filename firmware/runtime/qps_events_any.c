#include "qps_events_any.h"

#include "qps_events_pixel.h"
#include "qps_lif_group.h"

/* One row of a layer. */
typedef struct {
    const qps_events_any_t *layer;
    const void *shortcut;
    uint32_t y;
} qps_any_row_t;

static inline void qps_any_add_lanes(const qps_half_t *sums, uint32_t step, uint32_t count, uint32_t shift,
                                     uint32_t *charges)
{
    for (; count > 0U; count--, sums += step, charges++) {
        *charges += (uint32_t)*sums << shift;
    }
}

/* Add the sums of some events to the charges, which are in the order of channels. */
static void qps_any_add(const qps_lif_t *lif, const uint32_t *sums, uint32_t *charges)
{
    const uint32_t shift = lif->sum_shift;
    for (uint32_t left = lif->channels; left > 0U; charges += QPS_GROUP, sums += QPS_GROUP_SUMS) {
        const qps_half_t *const lanes = (const qps_half_t *)(const void *)sums;
        if (left < QPS_GROUP) {
            qps_any_add_lanes(lanes, 1U, left, shift, charges);
            break;
        }
        qps_any_add_lanes(lanes, 2U, QPS_PAIRS, shift, charges);
        qps_any_add_lanes(lanes + 1, 2U, QPS_PAIRS, shift, charges + QPS_PAIRS);
        left -= QPS_GROUP;
    }
}

/* What a timestep adds to every membrane, without the shortcut. Modulo 2^32: that the membranes fit is proven, not that all
 * parts of them do. */
static void qps_any_charge(const qps_events_any_t *layer, qps_list_t list, uint32_t *sums, uint32_t *charges)
{
    const qps_lif_t *const lif = &layer->events.lif;
    const int32_t *const bias = layer->neuron.bias;
    const uint32_t cost = list.count * qps_lif_event_cost(lif);
    uint32_t left = list.count;
    for (uint32_t c = 0U; c < lif->channels; c++) {
        charges[c] = (bias != NULL ? (uint32_t)bias[c] : 0U) - cost;
    }
    while (left > 0U) {
        list.count = left < layer->sum_limit ? left : layer->sum_limit;
        qps_rows_sum(&layer->events.rows, &list, sums);
        qps_any_add(lif, sums, charges);
        list.events += list.count;
        left -= list.count;
    }
}

static void qps_any_shortcut(const qps_any_row_t *row, uint32_t t, uint32_t x, uint32_t *charges)
{
    const qps_map_t *const map = &row->layer->shortcut;
    const int32_t *const gain = row->layer->neuron.gain;
    if (map->format == QPS_MAP_SPIKES) {
        const uint32_t *words = qps_spikes_at(map, row->shortcut, t, row->y, x);
        for (uint32_t first = 0U; first < map->channels; first += 32U, words++) {
            for (uint32_t word = *words; word != 0U; word &= word - 1U) {
                const uint32_t c = first + qps_lowest_bit(word);
                charges[c] += (uint32_t)gain[c];
            }
        }
    } else {
        for (uint32_t c = 0U; c < map->channels; c++) {
            charges[c] += (uint32_t)gain[c] * (uint32_t)qps_map_value(map, row->shortcut, t, row->y, x, c);
        }
    }
}

/* One timestep of any neurons; membranes in the order of channels. */
static void qps_any_neurons(const qps_neuron_t *neuron, uint32_t channels, const uint32_t *charges, int32_t *membranes,
                            uint32_t *words)
{
    for (uint32_t c = 0U; c < channels; c++) {
        int32_t w = (int32_t)((uint32_t)qps_neuron_decay(neuron, membranes[c]) + charges[c]);
        if (w > neuron->threshold[c]) {
            words[c / 32U] |= UINT32_C(1) << (c % 32U);
            w = qps_neuron_discharge(neuron, c, w);
        }
        membranes[c] = w;
    }
}

/* One timestep of lif's; constants and membranes in the order of the sums. */
static void qps_any_lif(const qps_lif_t *lif, int begin, const uint32_t *charges, int32_t *membranes, uint32_t *words)
{
    const uint32_t cost = 0U - qps_lif_bias(lif);
    const uint32_t whole = lif->channels & ~(QPS_GROUP - 1U);
    for (uint32_t c = 0U; c < lif->channels; c++) {
        const uint32_t lane = c < whole ? (c & ~(QPS_GROUP - 1U)) + c % QPS_PAIRS * 2U + c / QPS_PAIRS % 2U : c;
        const int32_t rest = qps_lane_rest(lif, lane);
        int32_t w = qps_lif_charge(begin ? rest : membranes[lane], lif->decay_shift, charges[c], 1U, cost);
        if (w > qps_lane_threshold(lif, lane)) {
            words[c / 32U] |= UINT32_C(1) << (c % 32U);
            w = rest;
        }
        membranes[lane] = w;
    }
}

static void qps_any_pixel(const void *context, const qps_events_pixel_t *pixel, qps_steps_t *steps,
                          const qps_events_buffers_t *buffers, uint32_t *spikes)
{
    const qps_any_row_t *const row = (const qps_any_row_t *)context;
    const qps_events_any_t *const layer = row->layer;
    const qps_events_t *const events = &layer->events;
    const qps_neuron_t *const neuron = &layer->neuron;
    const uint32_t channels = events->lif.channels;
    const uint32_t words = qps_spike_words(channels);
    const int lif = neuron->threshold == NULL;
    int32_t *const membranes = buffers->membranes;
    if (lif) {
        int32_t *const carried = events->output.timesteps > QPS_STEPS ? membranes : NULL;
        if (qps_events_together(events, pixel, steps, layer->sum_limit, buffers->sums, carried, spikes)) {
            return;
        }
    } else if (steps->first == 0U) {
        memcpy(membranes, neuron->rest, channels * sizeof *membranes);
    } else {
        /* membranes are there */
    }
    for (uint32_t t = 0U; t < steps->steps; t++, spikes += words) {
        const qps_list_t list = qps_events_list(pixel, steps->first, t);
        qps_any_charge(layer, list, buffers->sums, buffers->charges);
        qps_trace_operations(list.count * channels);
        memset(spikes, 0, words * sizeof *spikes);
        if (lif) {
            qps_any_lif(&events->lif, steps->first + t == 0U, buffers->charges, membranes, spikes);
        } else {
            if (neuron->gain != NULL) {
                qps_any_shortcut(row, steps->first + t, pixel->x, buffers->charges);
            }
            qps_any_neurons(neuron, channels, buffers->charges, membranes, spikes);
        }
    }
}

void qps_events_any_row(const qps_events_any_t *layer, const void *input, const void *shortcut, uint32_t *output,
                        int32_t *scratch, uint32_t y)
{
    const qps_any_row_t row = {layer, shortcut, y};
    const qps_events_buffers_t buffers = qps_events_buffers(&layer->events, scratch, 2U);
    qps_events_walk(&layer->events, input, output, y, &buffers, layer->neuron.gain == NULL, qps_any_pixel, &row);
}

void qps_events_any_run(const qps_events_any_t *layer, const void *input, const void *shortcut, uint32_t *output,
                        int32_t *scratch)
{
    for (uint32_t y = 0U; y < layer->events.tiles.height; y++) {
        qps_events_any_row(layer, input, shortcut, output, scratch, y);
    }
}
