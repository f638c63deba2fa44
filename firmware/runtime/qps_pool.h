/* Pools, in two places: over maps (spikes or counts, a stage of its own) and over currents (inside a source). */
#ifndef QPS_POOL_H
#define QPS_POOL_H

#include "qps_current.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    QPS_POOL_MAX, /* of spikes: their OR. Positions outside the map do not take part. */
    QPS_POOL_SUM  /* the count below an average; its divisor is folded into the next weights */
} qps_pool_mode_t;

typedef struct {
    qps_map_t input;
    qps_map_t output; /* frames as the input's; format wide enough for the largest value */
    qps_window_t window;
    qps_pool_mode_t mode;
} qps_pool_t;

/* Pool all frames of a map, pixel after pixel, words or values one by one. output may begin where input does if
 * their formats are the same and no pixel is read after one that lies at its place was written; else it does not
 * alias input. */
void qps_pool_run(const qps_pool_t *layer, const void *input, void *output);

typedef struct {
    qps_source_t source; /* of height x width pixels */
    uint16_t channels;
    uint16_t height;
    uint16_t width;
    qps_window_t window;
    qps_pool_mode_t mode;
    const uint8_t *minimum; /* one bit per channel, byte c / 8: take the minimum instead; or NULL */
} qps_current_pool_t;

/* A qps_fill_fn; layer is a qps_current_pool_t. Its inner source fills current[channels ...). */
void qps_current_pool_fill(const void *layer, const void *input, uint32_t t, uint32_t y, uint32_t x, int32_t *current);

#ifdef __cplusplus
}
#endif
#endif
