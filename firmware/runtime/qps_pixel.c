#include "qps_pixel.h"

#include "qps_lanes.h"
#include "qps_trace.h"

qps_line_t qps_begin_line(const qps_map_t *map, const qps_tiles_t *tiles, uint32_t y, uint32_t *output)
{
    const uint32_t bytes = qps_spike_bytes(map);
    const uint32_t row_bytes = map->width * bytes;
    const uint32_t py = y / tiles->pool_height;
    qps_line_t line;
    line.pixels = NULL;
    line.bytes = bytes;
    line.frame = map->rows * row_bytes;
    line.columns = tiles->width;
    line.pool_width = tiles->pool_width;
    line.fresh = py * tiles->pool_height == y;
#if QPS_TRACE
    line.map = map;
    line.y = y;
    line.trace = tiles->trace;
#endif
    if (py < map->height) {
        line.pixels = (uint8_t *)output + (size_t)(py % map->rows) * row_bytes;
    }
#if !QPS_TRACE
    line.columns = line.pixels != NULL ? (uint32_t)map->width * tiles->pool_width : 0U;
#endif
    return line;
}

/* Spikes of some timesteps into a map: they take the place of what is there, or are OR-ed to it. */
static inline void qps_put_words(const uint32_t *spikes, uint32_t words, uint32_t steps, uint32_t frame, int fresh,
                                 uint8_t *pixel)
{
    do {
        uint8_t *target = pixel;
        uint32_t left = words;
        do {
            const uint32_t word = *spikes++;
            qps_store_four(target, 1, fresh ? word : word | qps_load_four(target, 1));
            target += 4;
        } while (--left > 0U);
        pixel += frame;
    } while (--steps > 0U);
}

/* The same where pixels are not whole words. */
static inline void qps_put_bytes(const uint32_t *spikes, uint32_t bytes, uint32_t steps, uint32_t frame, int fresh,
                                 uint8_t *pixel)
{
    for (; steps > 0U; steps--, pixel += frame) {
        uint8_t *target = pixel;
        uint8_t *const end = pixel + (bytes & ~UINT32_C(3));
        for (; target != end; target += 4) {
            const uint32_t word = *spikes++;
            qps_store_four(target, 0, fresh ? word : word | qps_load_four(target, 0));
        }
        for (uint32_t word = *spikes++; target != pixel + bytes; word >>= 8, target++) {
            *target = (uint8_t)(fresh ? word : word | *target);
        }
    }
}

static inline void qps_put_spikes(const qps_line_t *line, const uint32_t *spikes, uint32_t steps, int fresh,
                                  uint8_t *pixel)
{
    if (line->bytes % 4U == 0U) {
        qps_put_words(spikes, line->bytes / 4U, steps, line->frame, fresh, pixel);
    } else {
        qps_put_bytes(spikes, line->bytes, steps, line->frame, fresh, pixel);
    }
}

void qps_store_pixel(const qps_line_t *line, const uint32_t *spikes, uint32_t first, uint32_t steps, uint32_t x)
{
    const uint32_t width = line->pool_width;
    const uint32_t px = width <= 2U ? x >> (width - 1U) : x / width;
    uint8_t *pixel;
#if QPS_TRACE
    const uint32_t words = qps_spike_words(line->map->channels);
    for (uint32_t t = 0U; t < steps; t++) {
        qps_trace_spikes(line->trace, first + t, line->y, x, spikes + t * words, words);
    }
    /* Without a trace these are not among the columns. */
    if (line->pixels == NULL || px >= line->map->width) {
        return;
    }
#endif
    pixel = line->pixels + first * line->frame + px * line->bytes;
    if (line->fresh && px * width == x) {
        qps_put_spikes(line, spikes, steps, 1, pixel);
    } else {
        qps_put_spikes(line, spikes, steps, 0, pixel);
    }
}
