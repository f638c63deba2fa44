/* Event-driven layers of spiking neurons: weights are only touched where an input spiked, and then for all outputs at once.
 *
 * For each output pixel and timestep the spikes under the window become a list of events; the rows of weight codes they name
 * are added up (qps_rows.h); the neurons take the sums (qps_lif.h). A maximum pool that follows is applied on the way: its
 * spikes are OR-ed into the smaller map. */
#ifndef QPS_EVENTS_H
#define QPS_EVENTS_H

#include "qps_lif.h"
#include "qps_map.h"
#include "qps_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qps_map_t input; /* QPS_MAP_SPIKES */
    qps_window_t window;
    qps_rows_t rows; /* row (ky * kernel_width + kx) * input channels + channel */
    qps_lif_t lif;
    qps_map_t output; /* QPS_MAP_SPIKES, after the pool */
    uint16_t height;  /* of the layer's own map, before the pool */
    uint16_t width;
    uint8_t pool_height; /* 1: no pool */
    uint8_t pool_width;
    uint16_t trace; /* the layer's index for qps_trace_spikes() */
} qps_events_t;

/* All timesteps of a layer. scratch, in this order:
 *   sums of QPS_STEPS timesteps; membranes, if there are more timesteps than that: 2 words for each word of sums of one;
 *   spikes of one pixel: QPS_STEPS times the words of its channels; the event list: rows of 16 bits.
 * output aliases neither input nor scratch. */
void qps_events_run(const qps_events_t *layer, const void *input, uint32_t *output, int32_t *scratch);

#ifdef __cplusplus
}
#endif
#endif
