/* Where the spikes of a layer's pixels go: to the trace, and into the map after the pool that is fused with the
 * layer. */
#ifndef QPS_PIXEL_H
#define QPS_PIXEL_H

#include "qps_map.h"
#include "qps_trace.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A layer with the maximum pool that follows, whose windows lie side by side; 1 by 1 is none. */
typedef struct {
    uint16_t height, width; /* of the layer's own map, before the pool */
    uint16_t pool_height, pool_width;
    uint16_t trace; /* the layer's index for qps_trace_spikes() */
} qps_tiles_t;

/* One row of a layer on its way into the map after the pool. */
typedef struct {
    uint8_t *pixels;  /* the map's row in its first frame, or NULL: nobody reads this one */
    uint32_t bytes;   /* from pixel to pixel */
    uint32_t frame;   /* bytes from timestep to timestep */
    uint32_t columns; /* of the layer, to be computed */
    uint32_t pool_width;
    int fresh; /* the first row of a tile: nothing of it is in the map yet */
#if QPS_TRACE
    const qps_map_t *map;
    uint32_t y; /* of the layer */
    uint32_t trace;
#endif
} qps_line_t;

/* Begin row y of a layer. Rows are begun in order, and hold what their first pixel in a tile leaves there.
 * The map is one of spikes, in words or in bytes, and may keep fewer rows than it has. Pixels beyond the last whole
 * tile are read by nobody: with QPS_TRACE they are computed all the same, to be traced; else they are not among the
 * columns, and a row of them has none. */
qps_line_t qps_begin_line(const qps_map_t *map, const qps_tiles_t *tiles, uint32_t y, uint32_t *output);

/* spikes: [steps][words], timesteps first to first + steps of pixel x of the line; they are traced, and put into the
 * map: OR-ed to those of the same tile. Pixels of a row are stored in order. */
void qps_store_pixel(const qps_line_t *line, const uint32_t *spikes, uint32_t first, uint32_t steps, uint32_t x);

#ifdef __cplusplus
}
#endif
#endif
