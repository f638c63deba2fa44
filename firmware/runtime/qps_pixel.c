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

/* target = spikes, or target |= spikes. */
static inline void qps_put_spikes(const uint32_t *spikes, uint32_t bytes, int first, uint8_t *target)
{
    const int aligned = bytes % 4U == 0U;
    const uint8_t *rest;
    for (; bytes >= 4U; bytes -= 4U, target += 4) {
        const uint32_t word = *spikes++;
        qps_store_four(target, aligned, first ? word : word | qps_load_four(target, aligned));
    }
    rest = (const uint8_t *)spikes;
    for (; bytes > 0U; bytes--, target++) {
        *target = (uint8_t)(first ? *rest : *rest | *target);
        rest++;
    }
}

void qps_store_pixel(const qps_line_t *line, const uint32_t *spikes, uint32_t first, uint32_t steps, uint32_t x)
{
    const qps_map_t *const map = line->map;
    const uint32_t words = qps_spike_words(map->channels);
    const uint32_t bytes = qps_spike_bytes(map);
    const uint32_t frame = (uint32_t)map->rows * map->width * bytes;
    const uint32_t px = line->pool_width == 1U ? x : x / line->pool_width;
    const int fresh = line->fresh && px * line->pool_width == x;
    const int kept = line->pixels != NULL && px < map->width;
    uint8_t *pixel = kept ? line->pixels + (size_t)first * frame + px * bytes : NULL;
    for (uint32_t t = first; t < first + steps; t++) {
        qps_trace_spikes(line->trace, t, line->y, x, spikes, words);
        if (kept) {
            qps_put_spikes(spikes, bytes, fresh, pixel);
            pixel += frame;
        }
        spikes += words;
    }
}
