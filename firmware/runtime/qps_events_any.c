#include "qps_events_any.h"

#include "qps_events_pixel.h"
#include "qps_lif_group.h"

/* One row of a layer. */
typedef struct {
    const qps_events_any_t *layer;
    const void *shortcut;
    uint32_t y;
} qps_any_row_t;

/* What a part of a timestep's events does to the membranes: they decay with the first one. */
typedef struct {
    const qps_neuron_t *neuron; /* NULL where the decay is by a shift, and there is no bias */
    uint32_t decay_shift;
    uint32_t sum_shift;
    uint32_t cost; /* of the events */
} qps_any_charge_t;

/* Charge membranes, whose sums are step apart. Modulo 2^32: that in the end they fit is proven, not that they do on
 * the way. */
QPS_ALONE static void qps_any_charge_lanes(const qps_any_charge_t *charge, const qps_half_t *sums, uint32_t step,
                                           uint32_t first, uint32_t count, int32_t *membranes)
{
    const qps_neuron_t *const neuron = charge->neuron;
    const uint32_t scale = UINT32_C(1) << charge->sum_shift;
    const uint32_t cost = charge->cost;
    const uint32_t end = first + count;
    if (neuron == NULL) {
        const uint32_t decay = charge->decay_shift;
        for (uint32_t c = first; c < end; c++, sums += step) {
            membranes[c] = qps_lif_charge(membranes[c], decay, *sums, scale, cost);
        }
    } else {
        for (uint32_t c = first; c < end; c++, sums += step) {
            const uint32_t bias = neuron->bias != NULL ? (uint32_t)neuron->bias[c] : 0U;
            membranes[c] = qps_lif_charge(qps_neuron_decay(neuron, membranes[c]), 0U, *sums, scale, cost - bias);
        }
    }
}

/* The same for all: of lif's neurons membranes are in the order of the sums, of others in that of channels. */
static void qps_any_charge(const qps_any_charge_t *charge, uint32_t channels, int lif, const uint32_t *sums,
                           int32_t *membranes)
{
    for (uint32_t first = 0U; first < channels; first += QPS_GROUP, sums += QPS_GROUP_SUMS) {
        const qps_half_t *const lanes = (const qps_half_t *)(const void *)sums;
        const uint32_t left = channels - first;
        const uint32_t pairs = qps_group_pairs(left);
        const uint32_t count = left < QPS_GROUP ? left : QPS_GROUP;
        if (lif) {
            qps_any_charge_lanes(charge, lanes, 1U, first, count, membranes);
        } else {
            qps_any_charge_lanes(charge, lanes, 2U, first, pairs, membranes);
            qps_any_charge_lanes(charge, lanes + 1, 2U, first + pairs, count - pairs, membranes);
        }
    }
}

/* Charge the membranes with a timestep's events, as many at a time as 16 bits hold the sums of. */
QPS_ALONE static void qps_any_step(const qps_events_any_t *layer, qps_list_t list, uint32_t *sums, int32_t *membranes)
{
    const qps_lif_t *const lif = &layer->events.lif;
    const qps_neuron_t *const neuron = &layer->neuron;
    const int plain = neuron->threshold == NULL;
    uint32_t left = list.count;
    qps_any_charge_t charge = {NULL, plain ? lif->decay_shift : neuron->decay_shift, lif->sum_shift, 0U};
    if (neuron->bias != NULL || neuron->decay_multiplier != 0) {
        charge.neuron = neuron;
    }
    if (plain) {
        charge.cost = 0U - qps_lif_bias(lif);
    }
    do {
        list.count = left < layer->sum_limit ? left : layer->sum_limit;
        charge.cost += list.count * qps_lif_event_cost(lif);
        layer->events.rows.sum(&layer->events.rows, &list, sums);
        qps_any_charge(&charge, lif->channels, plain, sums, membranes);
        charge.neuron = NULL;
        charge.decay_shift = 0U;
        charge.cost = 0U;
        list.events += list.count;
        left -= list.count;
    } while (left > 0U);
}

static void qps_any_shortcut(const qps_any_row_t *row, uint32_t t, uint32_t x, int32_t *membranes)
{
    const qps_map_t *const map = &row->layer->shortcut;
    const int32_t *const gain = row->layer->neuron.gain;
    if (map->format == QPS_MAP_SPIKES) {
        const uint32_t *words = qps_spikes_at(map, row->shortcut, t, row->y, x);
        for (uint32_t first = 0U; first < map->channels; first += QPS_GROUP, words++) {
            for (uint32_t word = *words; word != 0U; word &= word - 1U) {
                const uint32_t c = first + qps_lowest_bit(word);
                membranes[c] = qps_lif_charge(membranes[c], 0U, 1U, (uint32_t)gain[c], 0U);
            }
        }
    } else {
        for (uint32_t c = 0U; c < map->channels; c++) {
            const uint32_t value = (uint32_t)qps_map_value(map, row->shortcut, t, row->y, x, c);
            membranes[c] = qps_lif_charge(membranes[c], 0U, value, (uint32_t)gain[c], 0U);
        }
    }
}

/* Which neurons spike, and their reset. */
QPS_ALONE static void qps_any_fire(const qps_neuron_t *neuron, uint32_t channels, int32_t *membranes, uint32_t *words)
{
    const int32_t *const threshold = neuron->threshold;
    for (uint32_t c = 0U; c < channels; words++) {
        uint32_t word = 0U;
        for (uint32_t bit = 1U; bit != 0U && c < channels; bit <<= 1, c++) {
            const int32_t w = membranes[c];
            if (w > threshold[c]) {
                word |= bit;
                membranes[c] = qps_neuron_discharge(neuron, c, w);
            }
        }
        *words = word;
    }
}

/* The same of lif's. */
static void qps_any_fire_lif(const qps_lif_t *lif, int32_t *membranes, uint32_t *words)
{
    qps_clear_words(words, qps_spike_words(lif->channels));
    for (uint32_t lane = 0U; lane < lif->channels; lane++) {
        /* The channels of a pair are as many apart as the group has pairs. */
        const uint32_t pairs = qps_group_pairs(lif->channels - lane / QPS_GROUP * QPS_GROUP);
        const uint32_t bit = lane % 2U * pairs + lane % QPS_GROUP / 2U;
        if (membranes[lane] > qps_lane_threshold(lif, lane)) {
            words[lane / QPS_GROUP] |= UINT32_C(1) << bit;
            membranes[lane] = qps_lane_rest(lif, lane);
        }
    }
}

static void qps_any_begin(const qps_events_any_t *layer, int32_t *membranes)
{
    const qps_lif_t *const lif = &layer->events.lif;
    for (uint32_t c = 0U; c < lif->channels; c++) {
        membranes[c] = layer->neuron.threshold == NULL ? qps_lane_rest(lif, c) : layer->neuron.rest[c];
    }
}

QPS_ALONE static void qps_any_pixel(const void *context, const qps_events_pixel_t *pixel, qps_steps_t *steps,
                                    const qps_events_buffers_t *buffers, uint32_t *spikes)
{
    const qps_any_row_t *const row = (const qps_any_row_t *)context;
    const qps_events_any_t *const layer = row->layer;
    const qps_events_t *const events = &layer->events;
    const qps_neuron_t *const neuron = &layer->neuron;
    const uint32_t channels = events->lif.channels;
    const uint32_t words = qps_spike_words(channels);
    int32_t *const membranes = buffers->membranes;
    if (neuron->threshold == NULL) {
        int32_t *const carried = events->output.timesteps > QPS_STEPS ? membranes : NULL;
        if (qps_events_together(events, pixel, steps, layer->sum_limit, buffers->sums, carried, spikes)) {
            return;
        }
    }
    if (steps->first == 0U) {
        qps_any_begin(layer, membranes);
    }
    for (uint32_t t = 0U; t < steps->steps; t++, spikes += words) {
        const qps_list_t list = qps_events_list(pixel, steps->first, t);
        qps_any_step(layer, list, buffers->sums, membranes);
        qps_trace_operations(list.count * channels);
        if (neuron->gain != NULL) {
            qps_any_shortcut(row, steps->first + t, pixel->x, membranes);
        }
        if (neuron->threshold != NULL) {
            qps_any_fire(neuron, channels, membranes, spikes);
        } else {
            qps_any_fire_lif(&events->lif, membranes, spikes);
        }
    }
}

void qps_events_any_row(const qps_events_any_t *layer, const void *input, const void *shortcut, uint32_t *output,
                        int32_t *scratch, uint32_t y)
{
    const qps_any_row_t row = {layer, shortcut, y};
    const qps_events_buffers_t buffers = qps_events_buffers(&layer->events, scratch, 1);
    qps_events_walk(&layer->events, input, output, y, &buffers, layer->neuron.gain == NULL, qps_any_pixel, &row);
}

void qps_events_any_run(const qps_events_any_t *layer, const void *input, const void *shortcut, uint32_t *output,
                        int32_t *scratch)
{
    for (uint32_t y = 0U; y < layer->events.tiles.height; y++) {
        qps_events_any_row(layer, input, shortcut, output, scratch, y);
    }
}
