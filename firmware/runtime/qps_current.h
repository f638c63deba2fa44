/* Currents: the integers A a neuron adds up. They are computed where they are used, pixel by pixel, and never stored.
 *
 * A source is a function and its constants. fill() writes the currents of all channels of output pixel (y, x) at
 * timestep t to current[0 .. channels). It may use the words after that, as many as the planner reserved, as its own
 * scratch. input is the map the source reads; current does not alias it. */
#ifndef QPS_CURRENT_H
#define QPS_CURRENT_H

#include "qps_map.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef void qps_fill_fn(const void *layer, const void *input, uint32_t t, uint32_t y, uint32_t x, int32_t *current);

typedef struct {
    qps_fill_fn *fill;
    const void *layer;
} qps_source_t;

/* The values of a map themselves are the current; layer is the qps_map_t. */
void qps_map_fill(const void *layer, const void *input, uint32_t t, uint32_t y, uint32_t x, int32_t *current);

#ifdef __cplusplus
}
#endif
#endif
