/* Where the spikes of a layer's pixel go: to the trace, and into the map after the pool that is fused with the layer. */
#ifndef QPS_PIXEL_H
#define QPS_PIXEL_H

#include "qps_map.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A maximum pool whose windows lie side by side; 1 by 1 is none. */
typedef struct {
    uint16_t height, width;
    uint16_t trace; /* the layer's index for qps_trace_spikes() */
} qps_pool_tile_t;

/* spikes: [steps][words], timesteps first to first + steps of pixel (y, x) of the layer; they are OR-ed into output, which was
 * cleared before. Pixels beyond the last whole tile are traced, and go nowhere. */
void qps_store_pixel(const qps_map_t *map, const qps_pool_tile_t *tile, const uint32_t *spikes, uint32_t first,
                     uint32_t steps, uint32_t y, uint32_t x, uint32_t *output);

#ifdef __cplusplus
}
#endif
#endif
