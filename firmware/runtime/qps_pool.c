#include "qps_pool.h"

/* The part of a pool's input that lies under a window, at one timestep. */
typedef struct {
    const qps_pool_t *layer;
    const void *input;
    uint32_t t;
    qps_taps_t rows, columns;
} qps_pool_view_t;

static uint32_t qps_pool_row(const qps_pool_view_t *view, uint32_t ky)
{
    return (uint32_t)(view->rows.origin + (int32_t)(ky * view->layer->window.dilation_height));
}

static uint32_t qps_pool_column(const qps_pool_view_t *view, uint32_t kx)
{
    return (uint32_t)(view->columns.origin + (int32_t)(kx * view->layer->window.dilation_width));
}

/* The spikes of a word of channels, of all pixels under the window. */
static uint32_t qps_pool_word(const qps_pool_view_t *view, uint32_t word)
{
    uint32_t spikes = 0U;
    for (uint32_t ky = view->rows.first; ky < view->rows.last; ky++) {
        for (uint32_t kx = view->columns.first; kx < view->columns.last; kx++) {
            spikes |= qps_spikes_at(&view->layer->input, view->input, view->t, qps_pool_row(view, ky),
                                    qps_pool_column(view, kx))[word];
        }
    }
    return spikes;
}

/* The sum or the maximum of a channel. */
static uint32_t qps_pool_value(const qps_pool_view_t *view, uint32_t c)
{
    uint32_t pooled = 0U;
    for (uint32_t ky = view->rows.first; ky < view->rows.last; ky++) {
        for (uint32_t kx = view->columns.first; kx < view->columns.last; kx++) {
            const uint32_t value = (uint32_t)qps_map_value(&view->layer->input, view->input, view->t,
                                                           qps_pool_row(view, ky), qps_pool_column(view, kx), c);
            if (view->layer->mode == QPS_POOL_SUM) {
                pooled += value;
            } else if (value > pooled) {
                pooled = value;
            } else {
                /* the larger value is kept */
            }
        }
    }
    return pooled;
}

/* Count the spikes of every channel: the sum of spikes. The counts were cleared before. */
static void qps_pool_count(const qps_pool_view_t *view, uint32_t pixel, void *output)
{
    const qps_pool_t *const layer = view->layer;
    for (uint32_t ky = view->rows.first; ky < view->rows.last; ky++) {
        for (uint32_t kx = view->columns.first; kx < view->columns.last; kx++) {
            const uint32_t *const spikes =
                qps_spikes_at(&layer->input, view->input, view->t, qps_pool_row(view, ky), qps_pool_column(view, kx));
            for (uint32_t word = 0U; word < qps_spike_words(layer->input.channels); word++) {
                uint32_t left = spikes[word];
                for (uint32_t c = 32U * word; left != 0U; left >>= 1, c++) {
                    if ((left & 1U) != 0U) {
                        qps_map_count(&layer->output, output, pixel, c);
                    }
                }
            }
        }
    }
}

/* One pixel of the output. */
static void qps_pool_pixel(const qps_pool_view_t *view, uint32_t y, uint32_t x, void *output)
{
    const qps_map_t *const map = &view->layer->output;
    const uint32_t pixel = qps_pixel(map, view->t, y, x);
    if (map->format == QPS_MAP_SPIKES) {
        const uint32_t words = qps_spike_words(map->channels);
        for (uint32_t word = 0U; word < words; word++) {
            ((uint32_t *)output)[(size_t)pixel * words + word] = qps_pool_word(view, word);
        }
    } else if (view->layer->input.format == QPS_MAP_SPIKES) {
        qps_pool_count(view, pixel, output);
    } else {
        for (uint32_t c = 0U; c < map->channels; c++) {
            qps_map_store(map, output, view->t, y, x, c, qps_pool_value(view, c));
        }
    }
}

void qps_pool_run(const qps_pool_t *layer, const void *input, void *output)
{
    qps_pool_view_t view = {layer, input, 0U, {0, 0U, 0U}, {0, 0U, 0U}};
    if (layer->input.format != layer->output.format) {
        qps_map_clear(&layer->output, output);
    }
    for (view.t = 0U; view.t < layer->output.timesteps; view.t++) {
        for (uint32_t y = 0U; y < layer->output.height; y++) {
            view.rows = qps_rows(&layer->window, y, layer->input.height);
            for (uint32_t x = 0U; x < layer->output.width; x++) {
                view.columns = qps_columns(&layer->window, x, layer->input.width);
                qps_pool_pixel(&view, y, x, output);
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
