#include "qps_events.h"

#include "qps_events_pixel.h"

static void qps_events_pixel(const void *context, const qps_events_pixel_t *pixel, qps_steps_t *steps,
                             const qps_events_buffers_t *buffers, uint32_t *spikes)
{
    const qps_events_t *const layer = (const qps_events_t *)context;
    (void)qps_events_together(layer, pixel, steps, UINT32_MAX, buffers->sums, buffers->membranes, spikes);
}

void qps_events_row(const qps_events_t *layer, const void *input, uint32_t *output, int32_t *scratch, uint32_t y)
{
    const qps_events_buffers_t buffers = qps_events_buffers(layer, scratch, layer->output.timesteps > QPS_STEPS);
    qps_events_walk(layer, input, output, y, &buffers, 1, qps_events_pixel, layer);
}

void qps_events_run(const qps_events_t *layer, const void *input, uint32_t *output, int32_t *scratch)
{
    for (uint32_t y = 0U; y < layer->tiles.height; y++) {
        qps_events_row(layer, input, output, scratch, y);
    }
}
