#include "qps_image.h"

#include "qps_lanes.h"
#include "qps_trace.h"

/* The pixels under the window that are not zero; returns the end of the list. */
static qps_image_event_t *qps_list_pixels(const qps_image_t *layer, const uint8_t *image, const qps_taps_t *rows,
                                          const qps_taps_t *columns, qps_image_event_t *list)
{
    const qps_window_t *const window = &layer->window;
    const uint32_t channels = layer->input.channels;
    const uint32_t row_bytes = layer->row_bytes;
    const uint32_t plane = (uint32_t)layer->input.height * layer->input.width;
    for (uint32_t ky = rows->first; ky < rows->last; ky++) {
        const uint32_t y = (uint32_t)(rows->origin + (int32_t)(ky * window->dilation_height));
        for (uint32_t kx = columns->first; kx < columns->last; kx++) {
            const uint32_t x = (uint32_t)(columns->origin + (int32_t)(kx * window->dilation_width));
            const uint8_t *pixel = image + y * layer->input.width + x;
            uint32_t offset = (ky * window->kernel_width + kx) * channels * row_bytes;
            for (uint32_t c = channels; c > 0U; c--, offset += row_bytes, pixel += plane) {
                const uint32_t value = *pixel;
                if (value != 0U) {
                    list->offset = (uint16_t)offset;
                    list->value = (uint16_t)value;
                    list++;
                }
            }
        }
    }
    return list;
}

/* sums of QPS_IMAGE_BLOCK channels. */
QPS_ALONE static void qps_sum_pixels(const uint8_t *codes, const qps_image_event_t *event, const qps_image_event_t *end,
                                     uint32_t *sums)
{
    qps_pair_sum_t sum0 = QPS_NO_PAIR_SUM, sum1 = QPS_NO_PAIR_SUM, sum2 = QPS_NO_PAIR_SUM, sum3 = QPS_NO_PAIR_SUM;
    for (; event != end; event++) {
        const uint8_t *const row = codes + event->offset;
        const uint32_t value = event->value;
        uint32_t word0, word1;
        qps_load_words(row, &word0, &word1);
        sum0 = qps_pair_multiply(sum0, word0, value);
        sum1 = qps_pair_multiply(sum1, word1, value);
        qps_load_words(row + 8, &word0, &word1);
        sum2 = qps_pair_multiply(sum2, word0, value);
        sum3 = qps_pair_multiply(sum3, word1, value);
    }
    qps_pair_split(sum0, &sums[0]);
    qps_pair_split(sum1, &sums[2]);
    qps_pair_split(sum2, &sums[4]);
    qps_pair_split(sum3, &sums[6]);
}

/* All timesteps of one neuron that does spike. */
static void qps_image_spike(const qps_image_t *layer, const int32_t *neuron, int32_t current, uint32_t bit,
                            uint32_t stride, uint32_t *word)
{
    const int32_t charge = qps_scale_up(current, layer->fraction_bits);
    const int32_t threshold = neuron[1];
    const int32_t rest = neuron[2];
    int32_t membrane = rest;
    for (uint32_t t = 0U; t < layer->output.timesteps; t++, word += stride) {
        membrane = qps_shift_right(membrane, layer->decay_shift) + charge;
        if (membrane > threshold) {
            membrane = rest;
            *word |= bit;
        }
    }
}

/* The spikes of one pixel of the layer, all timesteps, from the list of its inputs. */
static void qps_image_pixel(const qps_image_t *layer, const qps_image_event_t *list, const qps_image_event_t *end,
                            uint32_t words, uint32_t *spikes)
{
    const uint32_t channels = layer->output.channels;
    const int32_t scale = layer->multiplier;
    uint32_t total = 0U;
    for (const qps_image_event_t *event = list; event != end; event++) {
        total += event->value;
    }
    const int32_t offset = (int32_t)(total * layer->zero_point);
    memset(spikes, 0, (size_t)layer->output.timesteps * words * sizeof *spikes);
    for (uint32_t first = 0U; first < channels; first += QPS_IMAGE_BLOCK) {
        const uint32_t left = channels - first;
        const uint32_t count = left < QPS_IMAGE_BLOCK ? left : QPS_IMAGE_BLOCK;
        const int32_t *neuron = layer->neurons + 3U * first;
        uint32_t sums[QPS_IMAGE_BLOCK];
        qps_sum_pixels(layer->codes + 2U * first, list, end, sums);
        for (uint32_t k = 0U; k < count; k++, neuron += 3) {
            const int32_t current = scale * (int32_t)sums[k] - offset;
            if (current > neuron[0]) {
                const uint32_t c = first + k;
                qps_image_spike(layer, neuron, current, UINT32_C(1) << (c % 32U), words, spikes + c / 32U);
            }
        }
    }
    qps_trace_operations((uint32_t)(end - list) * channels);
}

void qps_image_row(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch, uint32_t y)
{
    const uint32_t words = qps_spike_words(layer->output.channels);
    uint32_t *const spikes = (uint32_t *)scratch;
    qps_image_event_t *const list = (qps_image_event_t *)(void *)(spikes + layer->output.timesteps * words);
    const qps_taps_t rows = qps_rows(&layer->window, y, layer->input.height);
    const qps_line_t line = qps_begin_line(&layer->output, &layer->tiles, y, output);
    for (uint32_t x = 0U; x < line.columns; x++) {
        const qps_taps_t columns = qps_columns(&layer->window, x, layer->input.width);
        const qps_image_event_t *const end = qps_list_pixels(layer, (const uint8_t *)input, &rows, &columns, list);
        qps_image_pixel(layer, list, end, words, spikes);
        qps_store_pixel(&line, spikes, 0U, layer->output.timesteps, x);
    }
}

void qps_image_run(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch)
{
    for (uint32_t y = 0U; y < layer->tiles.height; y++) {
        qps_image_row(layer, input, output, scratch, y);
    }
}
