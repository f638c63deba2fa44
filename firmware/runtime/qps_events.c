#include "qps_events.h"

#include "qps_trace.h"

void qps_events_row(const qps_events_t *layer, const void *input, uint32_t *output, int32_t *scratch, uint32_t y)
{
    const uint32_t timesteps = layer->output.timesteps;
    const uint32_t groups = qps_rows_groups(&layer->rows);
    uint32_t *const sums = (uint32_t *)scratch;
    int32_t *const membranes = timesteps > QPS_STEPS ? scratch + groups * QPS_GROUP_SUMS : NULL;
    uint32_t *const spikes = sums + groups * (QPS_GROUP_SUMS + (membranes != NULL ? 2U * QPS_PAIRS : 0U));
    uint16_t *const area = (uint16_t *)(void *)(spikes + QPS_STEPS * qps_spike_words(layer->output.channels));
    const qps_line_t line = qps_begin_line(&layer->output, &layer->tiles, y, output);
    qps_gather_t gather;
    qps_gather_begin(&gather, &layer->input, &layer->window, input, y, area, layer->slot);
    for (uint32_t x = 0U; x < line.columns; x++) {
        for (uint32_t first = 0U; first < timesteps; first += QPS_STEPS) {
            const uint32_t left = timesteps - first;
            qps_steps_t steps = {first, left < QPS_STEPS ? left : QPS_STEPS, {0U}};
            const int kept = qps_gather_next(&gather, x, steps.steps);
            for (uint32_t t = 0U; t < steps.steps; t++) {
                const qps_list_t list =
                    kept ? qps_gather_kept(&gather, t) : qps_gather_window(&gather, x, first + t);
                qps_rows_sum(&layer->rows, &list, sums + QPS_PAIRS * t);
                qps_trace_operations(list.count * layer->output.channels);
                steps.events[t] = list.count;
            }
            qps_lif_run(&layer->lif, &steps, sums, membranes, spikes);
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
