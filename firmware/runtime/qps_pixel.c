#include "qps_pixel.h"

#include "qps_trace.h"

qps_line_t qps_begin_line(const qps_map_t *map, const qps_tiles_t *tiles, uint32_t y, uint32_t *output)
{
    const uint32_t row_bytes = map->width * qps_spike_bytes(map);
    const uint32_t py = y / tiles->pool_height;
    qps_line_t line = {map, NULL, y, tiles->width, tiles->pool_width, tiles->trace};
    if (py < map->height) {
        line.pixels = (uint8_t *)output + (size_t)(py % map->rows) * row_bytes;
        if (py * tiles->pool_height == y) {
            uint8_t *row = line.pixels;
            for (uint32_t t = 0U; t < map->timesteps; t++, row += map->rows * row_bytes) {
                memset(row, 0, row_bytes);
            }
        }
    }
#if !QPS_TRACE
    line.columns = line.pixels != NULL ? (uint32_t)map->width * tiles->pool_width : 0U;
#endif
    return line;
}

/* target |= spikes; in words where the map is: then both lie on words. */
static void qps_merge_spikes(const uint32_t *spikes, uint32_t bytes, int packed, uint8_t *target)
{
    if (packed) {
        const uint8_t *const source = (const uint8_t *)spikes;
        for (uint32_t k = 0U; k < bytes; k++) {
            target[k] = (uint8_t)(target[k] | source[k]);
        }
    } else {
        uint32_t *const words = (uint32_t *)(void *)target;
        for (uint32_t word = 0U; word < bytes / 4U; word++) {
            words[word] |= spikes[word];
        }
    }
}

void qps_store_pixel(const qps_line_t *line, const uint32_t *spikes, uint32_t first, uint32_t steps, uint32_t x)
{
    const qps_map_t *const map = line->map;
    const uint32_t words = qps_spike_words(map->channels);
    const uint32_t bytes = qps_spike_bytes(map);
    const uint32_t frame_bytes = (uint32_t)map->rows * map->width * bytes;
    const uint32_t px = line->pool_width == 1U ? x : x / line->pool_width;
    const int kept = line->pixels != NULL && px < map->width;
    uint8_t *pixel = kept ? line->pixels + (size_t)first * frame_bytes + px * bytes : NULL;
    for (uint32_t t = first; t < first + steps; t++) {
        qps_trace_spikes(line->trace, t, line->y, x, spikes, words);
        if (kept) {
            qps_merge_spikes(spikes, bytes, map->format == QPS_MAP_SPIKES8, pixel);
            pixel += frame_bytes;
        }
        spikes += words;
    }
}
