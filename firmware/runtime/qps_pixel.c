#include "qps_pixel.h"

#include "qps_lanes.h"
#include "qps_trace.h"

qps_line_t qps_begin_line(const qps_map_t *map, const qps_tiles_t *tiles, uint32_t y, uint32_t *output)
{
    const uint32_t row_bytes = map->width * qps_spike_bytes(map);
    const uint32_t py = y / tiles->pool_height;
    qps_line_t line = {map, NULL, y, tiles->width, tiles->pool_width, tiles->trace, py * tiles->pool_height == y};
    if (py < map->height) {
        line.pixels = (uint8_t *)output + (size_t)(py % map->rows) * row_bytes;
    }
#if !QPS_TRACE
    line.columns = line.pixels != NULL ? (uint32_t)map->width * tiles->pool_width : 0U;
#endif
    return line;
}

/* Spikes of some timesteps into a map: they take the place of what is there, or are OR-ed to it. */
static inline void qps_put_spikes(const uint32_t *spikes, uint32_t bytes, uint32_t steps, uint32_t frame, int fresh,
                                  uint8_t *pixel)
{
    const int aligned = bytes % 4U == 0U;
    for (; steps > 0U; steps--, pixel += frame) {
        uint8_t *target = pixel;
        uint8_t *const end = pixel + (bytes & ~UINT32_C(3));
        for (; target != end; target += 4) {
            const uint32_t word = *spikes++;
            qps_store_four(target, aligned, fresh ? word : word | qps_load_four(target, aligned));
        }
        if (!aligned) {
            for (uint32_t word = *spikes++; target != pixel + bytes; word >>= 8, target++) {
                *target = (uint8_t)(fresh ? word : word | *target);
            }
        }
    }
}

void qps_store_pixel(const qps_line_t *line, const uint32_t *spikes, uint32_t first, uint32_t steps, uint32_t x)
{
    const qps_map_t *const map = line->map;
    const uint32_t bytes = qps_spike_bytes(map);
    const uint32_t frame = (uint32_t)map->rows * map->width * bytes;
    const uint32_t px = line->pool_width == 1U ? x : x / line->pool_width;
#if QPS_TRACE
    const uint32_t words = qps_spike_words(map->channels);
    for (uint32_t t = 0U; t < steps; t++) {
        qps_trace_spikes(line->trace, first + t, line->y, x, spikes + t * words, words);
    }
#endif
    if (line->pixels != NULL && px < map->width) {
        uint8_t *const pixel = line->pixels + (size_t)first * frame + px * bytes;
        if (line->fresh && px * line->pool_width == x) {
            qps_put_spikes(spikes, bytes, steps, frame, 1, pixel);
        } else {
            qps_put_spikes(spikes, bytes, steps, frame, 0, pixel);
        }
    }
}
