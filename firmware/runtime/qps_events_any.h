/* Event-driven layers of any weights and any neurons: those that qps_events.h leaves out.
 *
 * Sums are 16 bits wide. Where more events than that holds reach a pixel, or its neurons are not those of qps_lif.h,
 * the pixel is computed timestep by timestep: the sums of as many events as fit are added to the membranes, until all
 * events
 * are in; then the neurons are looked at one by one. Pixels of such a layer that do fit are computed as by
 * qps_events.h. */
#ifndef QPS_EVENTS_ANY_H
#define QPS_EVENTS_ANY_H

#include "qps_events.h"
#include "qps_neuron.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qps_events_t events; /* lif: its thresholds and rests, too, if neuron has none */
    uint16_t sum_limit;  /* at least 1: rows of which any so many sum to less than 2^16 in every channel */
    qps_neuron_t neuron; /* fraction_bits are those of lif; threshold is NULL where the neurons are lif's */
    qps_map_t shortcut;  /* not QPS_MAP_SPIKES8; as large as the layer; used when neuron.gain is not NULL */
} qps_events_any_t;

/* As qps_events_row(), but scratch always has room for membranes; shortcut may be
 * NULL where there is none, and is no alias of output. */
void qps_events_any_row(const qps_events_any_t *layer, const void *input, const void *shortcut, uint32_t *output,
                        int32_t *scratch, uint32_t y);

/* All rows of a layer. */
void qps_events_any_run(const qps_events_any_t *layer, const void *input, const void *shortcut, uint32_t *output,
                        int32_t *scratch);

#ifdef __cplusplus
}
#endif
#endif
