#include "qps_pixel.h"

#include "qps_trace.h"

void qps_store_pixel(const qps_map_t *map, const qps_pool_tile_t *tile, const uint32_t *spikes, uint32_t first,
                     uint32_t steps, uint32_t y, uint32_t x, uint32_t *output)
{
    const uint32_t words = qps_spike_words(map->channels);
    const uint32_t frame_words = (uint32_t)map->height * map->width * words;
    const uint32_t py = tile->height == 1U ? y : y / tile->height;
    const uint32_t px = tile->width == 1U ? x : x / tile->width;
    const int kept = py < map->height && px < map->width;
    uint32_t *pixel = kept ? output + (size_t)qps_pixel(map, first, py, px) * words : output;
    for (uint32_t t = first; t < first + steps; t++, pixel += frame_words) {
        qps_trace_spikes(tile->trace, t, y, x, spikes, words);
        for (uint32_t word = 0U; word < words; word++) {
            if (kept) {
                pixel[word] |= *spikes;
            }
            spikes++;
        }
    }
}
