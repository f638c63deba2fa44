#include "qps_pool.h"

/* Merge an input pixel's spikes into the output pixel they belong to. */
static void qps_pool_spikes(const qps_pool_t *layer, const uint32_t *spikes, uint32_t t, uint32_t y, uint32_t x,
                            void *output)
{
    const uint32_t words = qps_spike_words(layer->input.channels);
    const uint32_t pixel = qps_pixel(&layer->output, t, y, x);
    for (uint32_t word = 0U; word < words; word++) {
        uint32_t left = spikes[word];
        if (layer->output.format == QPS_MAP_SPIKES) {
            ((uint32_t *)output)[(size_t)pixel * words + word] |= left;
            continue;
        }
        for (uint32_t c = 32U * word; left != 0U; left >>= 1, c++) {
            if ((left & 1U) != 0U) {
                qps_map_count(&layer->output, output, pixel, c);
            }
        }
    }
}

/* The same for a pixel of counts. */
static void qps_pool_counts(const qps_pool_t *layer, const void *input, uint32_t t, uint32_t iy, uint32_t ix,
                            uint32_t y, uint32_t x, void *output)
{
    for (uint32_t c = 0U; c < layer->output.channels; c++) {
        const uint32_t value = (uint32_t)qps_map_value(&layer->input, input, t, iy, ix, c);
        const uint32_t pooled = (uint32_t)qps_map_value(&layer->output, output, t, y, x, c);
        if (layer->mode == QPS_POOL_SUM) {
            qps_map_store(&layer->output, output, t, y, x, c, pooled + value);
        } else if (value > pooled) {
            qps_map_store(&layer->output, output, t, y, x, c, value);
        } else {
            /* the larger value is kept */
        }
    }
}

void qps_pool_run(const qps_pool_t *layer, const void *input, void *output)
{
    const qps_window_t *const window = &layer->window;
    qps_map_clear(&layer->output, output);
    for (uint32_t t = 0U; t < layer->output.timesteps; t++) {
        for (uint32_t y = 0U; y < layer->output.height; y++) {
            const qps_taps_t rows = qps_rows(window, y, layer->input.height);
            for (uint32_t x = 0U; x < layer->output.width; x++) {
                const qps_taps_t columns = qps_columns(window, x, layer->input.width);
                for (uint32_t ky = rows.first; ky < rows.last; ky++) {
                    const uint32_t iy = (uint32_t)(rows.origin + (int32_t)(ky * window->dilation_height));
                    for (uint32_t kx = columns.first; kx < columns.last; kx++) {
                        const uint32_t ix = (uint32_t)(columns.origin + (int32_t)(kx * window->dilation_width));
                        if (layer->input.format == QPS_MAP_SPIKES) {
                            qps_pool_spikes(layer, qps_spikes_at(&layer->input, input, t, iy, ix), t, y, x, output);
                        } else {
                            qps_pool_counts(layer, input, t, iy, ix, y, x, output);
                        }
                    }
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
