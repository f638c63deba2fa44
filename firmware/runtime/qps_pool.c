#include "qps_pool.h"

void qps_pool_run(const qps_pool_t *layer, const void *input, void *output)
{
    const qps_window_t *const window = &layer->window;
    qps_map_clear(&layer->output, output);
    for (uint32_t t = 0U; t < layer->output.timesteps; t++) {
        for (uint32_t y = 0U; y < layer->output.height; y++) {
            const qps_taps_t rows = qps_rows(window, y, layer->input.height);
            for (uint32_t x = 0U; x < layer->output.width; x++) {
                const qps_taps_t columns = qps_columns(window, x, layer->input.width);
                for (uint32_t c = 0U; c < layer->output.channels; c++) {
                    uint32_t pooled = 0U;
                    for (uint32_t ky = rows.first; ky < rows.last; ky++) {
                        const uint32_t iy = (uint32_t)(rows.origin + (int32_t)(ky * window->dilation_height));
                        for (uint32_t kx = columns.first; kx < columns.last; kx++) {
                            const uint32_t ix = (uint32_t)(columns.origin + (int32_t)(kx * window->dilation_width));
                            const uint32_t value = (uint32_t)qps_map_value(&layer->input, input, t, iy, ix, c);
                            if (layer->mode == QPS_POOL_SUM) {
                                pooled += value;
                            } else if (value > pooled) {
                                pooled = value;
                            } else {
                                /* the larger value is kept */
                            }
                        }
                    }
                    qps_map_store(&layer->output, output, t, y, x, c, pooled);
                }
            }
        }
    }
}

/* Merge one pixel's currents into the pool. */
static void qps_current_pool_merge(const qps_current_pool_t *pool, const int32_t *pixel, int32_t *current)
{
    for (uint32_t c = 0U; c < pool->channels; c++) {
        const int minimum = pool->minimum != NULL && (((uint32_t)pool->minimum[c / 8U] >> (c % 8U)) & 1U) != 0U;
        if (pool->mode == QPS_POOL_SUM) {
            current[c] += pixel[c];
        } else if (minimum ? pixel[c] < current[c] : pixel[c] > current[c]) {
            current[c] = pixel[c];
        } else {
            /* the value so far is kept */
        }
    }
}

void qps_current_pool_fill(const void *layer, const void *input, uint32_t t, uint32_t y, uint32_t x, int32_t *current)
{
    const qps_current_pool_t *const pool = (const qps_current_pool_t *)layer;
    const qps_window_t *const window = &pool->window;
    const qps_taps_t rows = qps_rows(window, y, pool->height);
    const qps_taps_t columns = qps_columns(window, x, pool->width);
    int32_t *const pixel = current + pool->channels;
    int first = 1;
    memset(current, 0, pool->channels * sizeof *current);
    for (uint32_t ky = rows.first; ky < rows.last; ky++) {
        const uint32_t iy = (uint32_t)(rows.origin + (int32_t)(ky * window->dilation_height));
        for (uint32_t kx = columns.first; kx < columns.last; kx++) {
            const uint32_t ix = (uint32_t)(columns.origin + (int32_t)(kx * window->dilation_width));
            pool->source.fill(pool->source.layer, input, t, iy, ix, pixel);
            if (first != 0) {
                memcpy(current, pixel, pool->channels * sizeof *current);
                first = 0;
            } else {
                qps_current_pool_merge(pool, pixel, current);
            }
        }
    }
}
