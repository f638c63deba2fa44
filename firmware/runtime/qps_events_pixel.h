/* What all event-driven layers share: their buffers, the walk along a row, and pixels whose sums and neurons are the
 * fast ones. */
#ifndef QPS_EVENTS_PIXEL_H
#define QPS_EVENTS_PIXEL_H

#include "qps_events.h"
#include "qps_lanes.h"
#include "qps_trace.h"

/* Buffers of a layer, in this order in its scratch. */
typedef struct {
    uint32_t *sums;
    int32_t *membranes; /* NULL if none are kept */
    uint32_t *spikes;
    uint32_t *silent; /* spikes of a pixel that no event reaches */
    uint16_t *lists;
} qps_events_buffers_t;

static inline qps_events_buffers_t qps_events_buffers(const qps_events_t *layer, int32_t *scratch, int membranes)
{
    const uint32_t groups = qps_rows_groups(&layer->rows);
    const uint32_t spike_words = QPS_STEPS * qps_spike_words(layer->output.channels);
    qps_events_buffers_t buffers;
    int32_t *next = scratch + groups * QPS_GROUP_SUMS;
    buffers.sums = (uint32_t *)scratch;
    buffers.membranes = NULL;
    if (membranes) {
        buffers.membranes = next;
        next += groups * 2U * QPS_PAIRS;
    }
    buffers.spikes = (uint32_t *)next;
    buffers.silent = buffers.spikes + spike_words;
    buffers.lists = (uint16_t *)(void *)(buffers.silent + spike_words);
    return buffers;
}

/* A pixel whose lists have been moved on to; kept: they are the gather's own. */
typedef struct {
    const qps_gather_t *gather;
    uint32_t x;
    int kept;
} qps_events_pixel_t;

/* The list of step t of those from first on. */
static inline qps_list_t qps_events_list(const qps_events_pixel_t *pixel, uint32_t first, uint32_t t)
{
    return pixel->kept ? qps_gather_kept(pixel->gather, t) : qps_gather_window(pixel->gather, pixel->x, first + t);
}

/* The spikes of some timesteps of a pixel, all of them computed together. Returns 0, nothing done, where a timestep
 * has more than limit events. */
static inline int qps_events_together(const qps_events_t *layer, const qps_events_pixel_t *pixel, qps_steps_t *steps,
                                      uint32_t limit, uint32_t *sums, int32_t *membranes, uint32_t *spikes)
{
    for (uint32_t t = 0U; t < steps->steps; t++) {
        const qps_list_t list = qps_events_list(pixel, steps->first, t);
        if (list.count > limit) {
            return 0;
        }
        layer->rows.sum(&layer->rows, &list, sums + QPS_PAIRS * t);
        steps->events[t] = list.count;
    }
#if QPS_TRACE
    for (uint32_t t = 0U; t < steps->steps; t++) {
        qps_trace_operations(steps->events[t] * layer->output.channels);
    }
#endif
    qps_lif_run(&layer->lif, steps, sums, membranes, spikes);
    return 1;
}

/* The spikes of some timesteps of a pixel: what layers differ in. */
typedef void qps_events_pixel_fn(const void *context, const qps_events_pixel_t *pixel, qps_steps_t *steps,
                                 const qps_events_buffers_t *buffers, uint32_t *spikes);

/* Row y of a layer; alike: pixels that no event reaches have the same spikes. */
QPS_MERGED void qps_events_walk(const qps_events_t *layer, const void *input, uint32_t *output, uint32_t y,
                                const qps_events_buffers_t *buffers, int alike, qps_events_pixel_fn *run,
                                const void *context)
{
    const uint32_t timesteps = layer->output.timesteps;
    const qps_line_t line = qps_begin_line(&layer->output, &layer->tiles, y, output);
    int silent = 0; /* known */
    qps_gather_t gather;
    qps_gather_begin(&gather, &layer->input, &layer->window, input, y, buffers->lists, layer->slot);
    for (uint32_t x = 0U; x < line.columns; x++) {
        for (uint32_t first = 0U; first < timesteps; first += QPS_STEPS) {
            const uint32_t left = timesteps - first;
            qps_steps_t steps = {first, left < QPS_STEPS ? left : QPS_STEPS, {0U}};
            const qps_events_pixel_t pixel = {&gather, x, qps_gather_next(&gather, x, steps.steps)};
            uint32_t *spikes = buffers->spikes;
            if (pixel.kept && alike && qps_gather_silent(&gather, steps.steps)) {
                spikes = buffers->silent;
            }
            if (spikes != buffers->silent || !silent) {
                run(context, &pixel, &steps, buffers, spikes);
                silent = silent || spikes == buffers->silent;
            }
            qps_store_pixel(&line, spikes, first, steps.steps, x);
        }
    }
}

#endif
