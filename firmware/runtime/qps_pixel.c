#include "qps_pixel.h"

#include "qps_trace.h"

qps_line_t qps_begin_line(const qps_map_t *map, const qps_tiles_t *tiles, uint32_t y, uint32_t *output)
{
    const uint32_t row_words = map->width * qps_spike_words(map->channels);
    const uint32_t py = y / tiles->pool_height;
    qps_line_t line = {map, NULL, y, tiles->width, tiles->pool_width, tiles->trace};
    if (py < map->height) {
        line.pixels = output + (size_t)(py % map->rows) * row_words;
        if (py * tiles->pool_height == y) {
            uint32_t *row = line.pixels;
            for (uint32_t t = 0U; t < map->timesteps; t++, row += map->rows * row_words) {
                memset(row, 0, row_words * sizeof *row);
            }
        }
    }
#if !QPS_TRACE
    line.columns = line.pixels != NULL ? (uint32_t)map->width * tiles->pool_width : 0U;
#endif
    return line;
}

void qps_store_pixel(const qps_line_t *line, const uint32_t *spikes, uint32_t first, uint32_t steps, uint32_t x)
{
    const qps_map_t *const map = line->map;
    const uint32_t words = qps_spike_words(map->channels);
    const uint32_t frame_words = (uint32_t)map->rows * map->width * words;
    const uint32_t px = line->pool_width == 1U ? x : x / line->pool_width;
    const int kept = line->pixels != NULL && px < map->width;
    uint32_t *pixel = kept ? line->pixels + (size_t)first * frame_words + px * words : NULL;
    for (uint32_t t = first; t < first + steps; t++) {
        qps_trace_spikes(line->trace, t, line->y, x, spikes, words);
        if (kept) {
            for (uint32_t word = 0U; word < words; word++) {
                pixel[word] |= spikes[word];
            }
            pixel += frame_words;
        }
        spikes += words;
    }
}
