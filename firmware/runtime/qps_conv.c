#include "qps_conv.h"

#include "qps_trace.h"

/* sums[0 .. count) += the codes of one row. One loop per width, so that each is a plain loop over bytes. */
static void qps_add_row(const uint8_t *row, uint32_t bits, uint32_t count, int32_t *sums)
{
    uint32_t o = 0U;
    if (bits == 8U) {
        for (; o < count; o++) {
            sums[o] += row[o];
        }
    } else if (bits == 4U) {
        for (; o + 1U < count; o += 2U) {
            sums[o] += row[o / 2U] & 0x0F;
            sums[o + 1U] += row[o / 2U] >> 4;
        }
    } else {
        for (; o + 3U < count; o += 4U) {
            const uint8_t codes = row[o / 4U];
            sums[o] += codes & 0x03;
            sums[o + 1U] += (codes >> 2) & 0x03;
            sums[o + 2U] += (codes >> 4) & 0x03;
            sums[o + 3U] += codes >> 6;
        }
    }
    for (uint32_t left = 0U; o < count; o++, left += bits) {
        sums[o] += (row[(o * bits) / 8U] >> left) & (int32_t)((1U << bits) - 1U);
    }
}

/* sums[0 .. count) += value * the codes of one row. */
static void qps_add_scaled_row(const uint8_t *row, uint32_t bits, uint32_t count, int32_t value, int32_t *sums)
{
    const uint32_t mask = (1U << bits) - 1U;
    for (uint32_t o = 0U; o < count; o++) {
        const uint32_t first = o * bits;
        sums[o] += value * (int32_t)(((uint32_t)row[first / 8U] >> (first % 8U)) & mask);
    }
}

/* Add the rows of the spikes among input channels first .. first + count of one pixel; returns how many there were. */
static int32_t qps_add_spikes(const qps_conv_t *conv, const uint32_t *spikes, const uint8_t *rows, uint32_t first,
                              uint32_t count, int32_t *sums)
{
    int32_t events = 0;
    const uint32_t end = first + count;
    for (uint32_t base = first & ~31U; base < end; base += 32U) {
        uint32_t word = spikes[base / 32U];
        if (base < first) {
            word &= UINT32_MAX << (first - base);
        }
        if (end - base < 32U) {
            word &= ~(UINT32_MAX << (end - base));
        }
        while (word != 0U) {
            const uint32_t c = base + qps_lowest_bit(word);
            word &= word - 1U;
            qps_add_row(rows + (size_t)c * conv->row_bytes, conv->bits, conv->group_outputs, sums);
            events++;
        }
    }
    qps_trace_operations((uint32_t)events * conv->group_outputs);
    return events;
}

/* The same for values other than spikes; returns their sum. */
static int32_t qps_add_values(const qps_conv_t *conv, const void *input, uint32_t t, uint32_t y, uint32_t x,
                              const uint8_t *rows, uint32_t first, int32_t *sums)
{
    int32_t total = 0;
    uint32_t active = 0U;
    for (uint32_t c = first; c < first + conv->group_inputs; c++) {
        const int32_t value = qps_map_value(&conv->input, input, t, y, x, c);
        if (value != 0) {
            qps_add_scaled_row(rows + (size_t)c * conv->row_bytes, conv->bits, conv->group_outputs, value, sums);
            total += value;
            active++;
        }
    }
    qps_trace_operations(active * conv->group_outputs);
    return total;
}

void qps_conv_fill(const void *layer, const void *input, uint32_t t, uint32_t y, uint32_t x, int32_t *current)
{
    const qps_conv_t *const conv = (const qps_conv_t *)layer;
    const qps_window_t *const window = &conv->window;
    const qps_taps_t rows = qps_rows(window, y, conv->input.height);
    const qps_taps_t columns = qps_columns(window, x, conv->input.width);
    const size_t tap_bytes = (size_t)conv->input.channels * conv->row_bytes;

    for (uint32_t group = 0U; group < conv->groups; group++) {
        int32_t *const sums = current + (size_t)group * conv->group_outputs;
        const uint32_t first = group * conv->group_inputs;
        int32_t total = 0;
        memset(sums, 0, conv->group_outputs * sizeof *sums);
        for (uint32_t ky = rows.first; ky < rows.last; ky++) {
            const uint32_t iy = (uint32_t)(rows.origin + (int32_t)(ky * window->dilation_height));
            for (uint32_t kx = columns.first; kx < columns.last; kx++) {
                const uint32_t ix = (uint32_t)(columns.origin + (int32_t)(kx * window->dilation_width));
                const uint8_t *const codes = conv->codes + (ky * window->kernel_width + kx) * tap_bytes;
                if (conv->input.format == QPS_MAP_SPIKES) {
                    const uint32_t *const spikes = qps_spikes_at(&conv->input, input, t, iy, ix);
                    total += qps_add_spikes(conv, spikes, codes, first, conv->group_inputs, sums);
                } else {
                    total += qps_add_values(conv, input, t, iy, ix, codes, first, sums);
                }
            }
        }
        for (uint32_t o = 0U; o < conv->group_outputs; o++) {
            sums[o] = (int32_t)conv->multiplier * sums[o] - (int32_t)conv->zero_point * total;
        }
    }
}
