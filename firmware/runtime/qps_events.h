/* Event-driven layers of spiking neurons: weights are only touched where an input spiked, and then for all outputs at
 * once.
 *
 * For each output pixel and timestep the spikes under the window become a list of events; the rows of weight codes
 * they name are added up (qps_rows.h); the neurons take the sums (qps_lif.h). A maximum pool that follows is applied
 * on the way: its spikes are OR-ed into the smaller map. */
#ifndef QPS_EVENTS_H
#define QPS_EVENTS_H

#include "qps_gather.h"
#include "qps_lif.h"
#include "qps_map.h"
#include "qps_pixel.h"
#include "qps_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qps_map_t input; /* QPS_MAP_SPIKES or QPS_MAP_SPIKES8 */
    qps_window_t window;
    qps_rows_t rows; /* in the order of qps_gather.h */
    qps_lif_t lif;
    qps_map_t output; /* likewise, after the pool */
    qps_tiles_t tiles;
    uint16_t slot; /* events of a timestep for which lists are kept; 0: they are not */
} qps_events_t;

/* Row y of the layer, before the pool, at all timesteps. Rows are computed in order; of input and output, memory may
 * hold fewer rows than they have: those under the window and, of output, all that are still to be read. scratch, in
 * this order:
 *   sums of QPS_STEPS timesteps; membranes, if there are more timesteps than that: one for each sum of one;
 *   spikes of one pixel, and of one without events: QPS_STEPS times the words of its channels each; the lists of
 *     events, 16 bits each: all rows, and QPS_STEPS slots.
 * It need not be the same from row to row. output aliases neither input nor scratch. */
void qps_events_row(const qps_events_t *layer, const void *input, uint32_t *output, int32_t *scratch, uint32_t y);

/* All rows of a layer. */
void qps_events_run(const qps_events_t *layer, const void *input, uint32_t *output, int32_t *scratch);

#ifdef __cplusplus
}
#endif
#endif
