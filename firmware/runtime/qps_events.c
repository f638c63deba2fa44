#include "qps_events.h"

#include "qps_trace.h"

/* Buffers of a layer, in this order in its scratch. */
typedef struct {
    uint32_t *sums;
    int32_t *membranes; /* NULL if no more timesteps follow those that are computed together */
    uint32_t *spikes;
    uint32_t *silent; /* spikes of a pixel that no event reaches */
    uint16_t *lists;
} qps_events_buffers_t;

static qps_events_buffers_t qps_events_buffers(const qps_events_t *layer, int32_t *scratch)
{
    const uint32_t groups = qps_rows_groups(&layer->rows);
    const uint32_t spike_words = QPS_STEPS * qps_spike_words(layer->output.channels);
    qps_events_buffers_t buffers;
    int32_t *next = scratch + groups * QPS_GROUP_SUMS;
    buffers.sums = (uint32_t *)scratch;
    buffers.membranes = NULL;
    if (layer->output.timesteps > QPS_STEPS) {
        buffers.membranes = next;
        next += groups * 2U * QPS_PAIRS;
    }
    buffers.spikes = (uint32_t *)next;
    buffers.silent = buffers.spikes + spike_words;
    buffers.lists = (uint16_t *)(void *)(buffers.silent + spike_words);
    return buffers;
}

/* The spikes of some timesteps of a pixel, from the lists of its events. */
static inline void qps_events_pixel(const qps_events_t *layer, const qps_gather_t *gather, uint32_t x, int kept,
                                    qps_steps_t *steps, const qps_events_buffers_t *buffers, uint32_t *spikes)
{
    for (uint32_t t = 0U; t < steps->steps; t++) {
        const qps_list_t list = kept ? qps_gather_kept(gather, t) : qps_gather_window(gather, x, steps->first + t);
        qps_rows_sum(&layer->rows, &list, buffers->sums + QPS_PAIRS * t);
        qps_trace_operations(list.count * layer->output.channels);
        steps->events[t] = list.count;
    }
    qps_lif_run(&layer->lif, steps, buffers->sums, buffers->membranes, spikes);
}

void qps_events_row(const qps_events_t *layer, const void *input, uint32_t *output, int32_t *scratch, uint32_t y)
{
    const uint32_t timesteps = layer->output.timesteps;
    const qps_events_buffers_t buffers = qps_events_buffers(layer, scratch);
    const qps_line_t line = qps_begin_line(&layer->output, &layer->tiles, y, output);
    int silent = 0; /* known */
    qps_gather_t gather;
    qps_gather_begin(&gather, &layer->input, &layer->window, input, y, buffers.lists, layer->slot);
    for (uint32_t x = 0U; x < line.columns; x++) {
        for (uint32_t first = 0U; first < timesteps; first += QPS_STEPS) {
            const uint32_t left = timesteps - first;
            qps_steps_t steps = {first, left < QPS_STEPS ? left : QPS_STEPS, {0U}};
            const int kept = qps_gather_next(&gather, x, steps.steps);
            uint32_t *spikes = buffers.spikes;
            if (kept && qps_gather_silent(&gather, steps.steps)) {
                spikes = buffers.silent;
            }
            if (spikes != buffers.silent || !silent) {
                qps_events_pixel(layer, &gather, x, kept, &steps, &buffers, spikes);
                silent = silent || spikes == buffers.silent;
            }
            qps_store_pixel(&line, spikes, first, steps.steps, x);
        }
    }
}

void qps_events_run(const qps_events_t *layer, const void *input, uint32_t *output, int32_t *scratch)
{
    for (uint32_t y = 0U; y < layer->tiles.height; y++) {
        qps_events_row(layer, input, output, scratch, y);
    }
}
