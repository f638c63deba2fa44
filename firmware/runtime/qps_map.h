/* Reading and writing maps. Every function takes the map's description and its data apart: descriptions are constants
 * in flash, data lie in the caller's arena. Positions are inside the map; nothing here checks them again.
 * All rows of a map are in memory (rows == height); only kernels that say so take others. */
#ifndef QPS_MAP_H
#define QPS_MAP_H

#include <string.h>

#include "qps_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Words that hold the spikes of one pixel. */
static inline uint32_t qps_spike_words(uint32_t channels)
{
    return (channels + 31U) / 32U;
}

/* Bytes from pixel to pixel of a map of spikes. */
static inline uint32_t qps_spike_bytes(const qps_map_t *map)
{
    return map->format == QPS_MAP_SPIKES8 ? (map->channels + 7U) / 8U : 4U * qps_spike_words(map->channels);
}

/* Index of a pixel among all pixels of all frames; t is ignored by maps that do not change over time. */
static inline uint32_t qps_pixel(const qps_map_t *map, uint32_t t, uint32_t y, uint32_t x)
{
    const uint32_t frame = map->timesteps > 1U ? t : 0U;
    return (frame * map->height + y) * map->width + x;
}

/* The spike words of one pixel of a QPS_MAP_SPIKES map. */
static inline const uint32_t *qps_spikes_at(const qps_map_t *map, const void *data, uint32_t t, uint32_t y, uint32_t x)
{
    return (const uint32_t *)data + (size_t)qps_pixel(map, t, y, x) * qps_spike_words(map->channels);
}

static inline uint16_t qps_load_u16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/* One value of any map. */
static inline int32_t qps_map_value(const qps_map_t *map, const void *data, uint32_t t, uint32_t y, uint32_t x,
                                    uint32_t c)
{
    const uint8_t *const bytes = (const uint8_t *)data;
    const size_t interleaved = (size_t)qps_pixel(map, t, y, x) * map->channels + c;
    const size_t planar = ((size_t)c * map->height + y) * map->width + x;
    int16_t half;
    int8_t byte;
    int32_t value = 0;
    switch (map->format) {
    case QPS_MAP_SPIKES8: /* not for this function */
        break;
    case QPS_MAP_SPIKES:
        value = (int32_t)((qps_spikes_at(map, data, t, y, x)[c / 32U] >> (c % 32U)) & 1U);
        break;
    case QPS_MAP_COUNTS8:
        value = bytes[interleaved];
        break;
    case QPS_MAP_COUNTS16:
        value = qps_load_u16(&bytes[2U * interleaved]);
        break;
    case QPS_MAP_IMAGE_U8:
        value = bytes[planar];
        break;
    case QPS_MAP_IMAGE_S8:
        memcpy(&byte, &bytes[planar], sizeof byte);
        value = byte;
        break;
    case QPS_MAP_IMAGE_S16:
        memcpy(&half, &bytes[2U * planar], sizeof half);
        value = half;
        break;
    }
    return value;
}

/* Store one value of a map that has one frame per timestep; a spike map must have been cleared before. */
static inline void qps_map_store(const qps_map_t *map, void *data, uint32_t t, uint32_t y, uint32_t x, uint32_t c,
                                 uint32_t value)
{
    const uint32_t pixel = qps_pixel(map, t, y, x);
    if (map->format == QPS_MAP_SPIKES) {
        uint32_t *const words = (uint32_t *)data + (size_t)pixel * qps_spike_words(map->channels);
        words[c / 32U] |= value << (c % 32U);
    } else if (map->format == QPS_MAP_COUNTS8) {
        ((uint8_t *)data)[(size_t)pixel * map->channels + c] = (uint8_t)value;
    } else {
        const uint16_t half = (uint16_t)value;
        memcpy((uint8_t *)data + 2U * ((size_t)pixel * map->channels + c), &half, sizeof half);
    }
}

/* Add one to a count. */
static inline void qps_map_count(const qps_map_t *map, void *data, uint32_t pixel, uint32_t c)
{
    const size_t place = (size_t)pixel * map->channels + c;
    uint8_t *const bytes = (uint8_t *)data;
    if (map->format == QPS_MAP_COUNTS8) {
        bytes[place]++;
    } else {
        const uint16_t half = (uint16_t)(qps_load_u16(&bytes[2U * place]) + 1U);
        memcpy(&bytes[2U * place], &half, sizeof half);
    }
}

/* Set all values of a map to zero. */
static inline void qps_map_clear(const qps_map_t *map, void *data)
{
    const size_t pixels = (size_t)map->timesteps * map->height * map->width;
    const size_t counts = pixels * map->channels;
    size_t bytes = pixels * qps_spike_words(map->channels) * sizeof(uint32_t);
    if (map->format == QPS_MAP_COUNTS8) {
        bytes = counts;
    } else if (map->format == QPS_MAP_COUNTS16) {
        bytes = 2U * counts;
    } else {
        /* spikes, computed above */
    }
    memset(data, 0, bytes);
}

/* The part of a window that lies inside the map: taps first..last-1, tap 0 at position origin (may be negative). */
typedef struct {
    int32_t origin;
    uint32_t first, last;
} qps_taps_t;

static inline qps_taps_t qps_taps(uint32_t position, uint32_t stride, uint32_t padding, uint32_t kernel,
                                  uint32_t dilation, uint32_t size)
{
    qps_taps_t taps;
    taps.origin = (int32_t)(position * stride) - (int32_t)padding;
    taps.first = 0U;
    taps.last = kernel;
    while (taps.first < taps.last && taps.origin + (int32_t)(taps.first * dilation) < 0) {
        taps.first++;
    }
    while (taps.last > taps.first && taps.origin + (int32_t)((taps.last - 1U) * dilation) >= (int32_t)size) {
        taps.last--;
    }
    return taps;
}

/* The rows of a map of that height under a window at output row y. */
static inline qps_taps_t qps_rows(const qps_window_t *window, uint32_t y, uint32_t height)
{
    return qps_taps(y, window->stride_height, window->padding_height, window->kernel_height, window->dilation_height,
                    height);
}

/* The columns of a map of that width under a window at output column x. */
static inline qps_taps_t qps_columns(const qps_window_t *window, uint32_t x, uint32_t width)
{
    return qps_taps(x, window->stride_width, window->padding_width, window->kernel_width, window->dilation_width,
                    width);
}

#ifdef __cplusplus
}
#endif
#endif
