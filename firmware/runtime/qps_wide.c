#include "qps_wide.h"

#include "qps_trace.h"

/* sums[0 .. count) += value * the weights of outputs first .. first + count, for every input of one pixel; returns how
 * many inputs were not zero. */
static uint32_t qps_add_pixel(const qps_wide_t *wide, const void *input, uint32_t t, uint32_t y, uint32_t x,
                              const uint8_t *rows, uint32_t first, uint32_t count, int64_t *sums)
{
    uint32_t active = 0U;
    for (uint32_t c = 0U; c < wide->input.channels; c++) {
        const int32_t value = qps_map_value(&wide->input, input, t, y, x, c);
        if (value != 0) {
            const uint8_t *const row = rows + 2U * ((size_t)c * wide->outputs + first);
            for (uint32_t k = 0U; k < count; k++) {
                int16_t weight;
                memcpy(&weight, &row[2U * k], sizeof weight);
                sums[k] += (int64_t)value * weight;
            }
            active++;
        }
    }
    return active;
}

void qps_wide_fill(const void *layer, const void *input, uint32_t t, uint32_t y, uint32_t x, int32_t *current)
{
    const qps_wide_t *const wide = (const qps_wide_t *)layer;
    const qps_window_t *const window = &wide->window;
    const qps_taps_t rows = qps_rows(window, y, wide->input.height);
    const qps_taps_t columns = qps_columns(window, x, wide->input.width);
    const size_t tap_bytes = 2U * (size_t)wide->input.channels * wide->outputs;
    const int64_t half = wide->shift > 0U ? (int64_t)1 << (wide->shift - 1U) : 0;

    for (uint32_t first = 0U; first < wide->outputs; first += QPS_WIDE_BLOCK) {
        const uint32_t left = wide->outputs - first;
        const uint32_t count = left < QPS_WIDE_BLOCK ? left : QPS_WIDE_BLOCK;
        int64_t sums[QPS_WIDE_BLOCK] = {0};
        uint32_t active = 0U;
        for (uint32_t ky = rows.first; ky < rows.last; ky++) {
            const uint32_t iy = (uint32_t)(rows.origin + (int32_t)(ky * window->dilation_height));
            for (uint32_t kx = columns.first; kx < columns.last; kx++) {
                const uint32_t ix = (uint32_t)(columns.origin + (int32_t)(kx * window->dilation_width));
                const uint8_t *const weights = wide->weights + (ky * window->kernel_width + kx) * tap_bytes;
                active += qps_add_pixel(wide, input, t, iy, ix, weights, first, count, sums);
            }
        }
        qps_trace_operations(active * count);
        for (uint32_t k = 0U; k < count; k++) {
            current[first + k] = (int32_t)qps_shift_right_64(sums[k] + half, wide->shift);
        }
    }
}
