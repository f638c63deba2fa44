#include "qps_events.h"

#include "qps_lanes.h"
#include "qps_trace.h"

/* Append base + the channel of every spike in a word. */
static inline uint16_t *qps_list_word(uint32_t word, uint32_t base, uint16_t *list)
{
#if defined(__ARM_FEATURE_CLZ) && defined(__thumb2__)
    /* As a whole, so that no register is missing; from the last channel to the first, which the sum does not mind. */
    uint32_t channel, bit;
    __asm volatile("cbz %[word], 2f\n"
                   "1:\n\t"
                   "clz %[channel], %[word]\n\t"
                   "lsr %[bit], %[top], %[channel]\n\t"
                   "sub %[channel], %[last], %[channel]\n\t"
                   "strh %[channel], [%[list]], #2\n\t"
                   "bics %[word], %[word], %[bit]\n\t"
                   "bne 1b\n"
                   "2:"
                   : [word] "+l"(word), [list] "+r"(list), [channel] "=&r"(channel), [bit] "=&r"(bit)
                   : [top] "r"(UINT32_C(0x80000000)), [last] "r"(base + 31U)
                   : "cc", "memory");
#elif defined(__GNUC__) && !QPS_NARROW_CORE
    while (word != 0U) {
        *list++ = (uint16_t)(base + (uint32_t)__builtin_ctz(word));
        word &= word - 1U;
    }
#else
    while (word != 0U) {
        if ((word & 0xFFU) == 0U) {
            word >>= 8;
            base += 8U;
        } else {
            if ((word & 1U) != 0U) {
                *list++ = (uint16_t)base;
            }
            word >>= 1;
            base++;
        }
    }
#endif
    return list;
}

/* The taps of a window that lie inside the map, the same at every timestep. Distances are in bytes of the map. */
typedef struct {
    uint32_t start; /* from the first byte of a frame to the first tap */
    uint32_t rows, columns;
    uint32_t down, right; /* from tap to tap */
    uint32_t bytes;       /* of one tap */
    uint32_t row;         /* of weights, of the first channel of the first tap */
    uint32_t row_down, row_right;
    uint32_t frame; /* of all rows that are in memory: behind the last comes the first again */
} qps_view_t;

static void qps_view_rows(const qps_events_t *layer, uint32_t y, qps_view_t *view, uint32_t *start, uint32_t *row)
{
    const qps_taps_t taps = qps_rows(&layer->window, y, layer->input.height);
    const uint32_t first = (uint32_t)(taps.origin + (int32_t)(taps.first * layer->window.dilation_height));
    view->rows = taps.last - taps.first;
    *start = first % layer->input.rows * layer->input.width;
    *row = taps.first * layer->window.kernel_width;
}

static void qps_view_columns(const qps_events_t *layer, uint32_t x, qps_view_t *view, uint32_t start, uint32_t row)
{
    const qps_taps_t taps = qps_columns(&layer->window, x, layer->input.width);
    const uint32_t first = (uint32_t)(taps.origin + (int32_t)(taps.first * layer->window.dilation_width));
    const uint32_t bytes = qps_spike_bytes(&layer->input);
    view->columns = taps.last - taps.first;
    view->bytes = bytes;
    view->start = (start + first) * bytes;
    view->row = (row + taps.first) * layer->input.channels;
    if (view->columns > 0U && layer->input.channels == 8U * bytes && layer->window.dilation_width == 1U) {
        /* Neighbours follow each other in the map as their rows do among the weights: one long tap. */
        view->bytes *= view->columns;
        view->columns = 1U;
    }
}

/* The events of one tap, in words. */
static inline uint16_t *qps_list_words(const uint8_t *tap, uint32_t bytes, uint32_t base, uint16_t *list)
{
    const uint8_t *const end = tap + bytes;
    do {
        list = qps_list_word(qps_load_word(tap), base, list);
        tap += 4;
        base += 32U;
    } while (tap != end);
    return list;
}

/* The same, in bytes on any address: four at a time, then those left over. */
static inline uint16_t *qps_list_bytes(const uint8_t *tap, uint32_t bytes, uint32_t base, uint16_t *list)
{
    uint32_t word = 0U;
    for (; bytes >= 4U; bytes -= 4U) {
        memcpy(&word, tap, sizeof word);
        list = qps_list_word(word, base, list);
        tap += 4;
        base += 32U;
    }
    if (bytes > 0U) {
        word = tap[0];
        if (bytes > 1U) {
            word |= (uint32_t)tap[1] << 8;
        }
        if (bytes > 2U) {
            word |= (uint32_t)tap[2] << 16;
        }
        list = qps_list_word(word, base, list);
    }
    return list;
}

/* The events of one output pixel at one timestep; returns the end of the list. packed: a constant. */
static inline uint16_t *qps_list_taps(const qps_view_t *view, const uint8_t *frame, int packed, uint16_t *list)
{
    const uint8_t *const frame_end = frame + view->frame;
    const uint8_t *line = frame + view->start;
    uint32_t line_row = view->row;
    for (uint32_t rows = view->rows; rows > 0U; rows--) {
        const uint8_t *tap = line;
        uint32_t row = line_row;
        for (uint32_t columns = view->columns; columns > 0U; columns--) {
            list = packed ? qps_list_bytes(tap, view->bytes, row, list) : qps_list_words(tap, view->bytes, row, list);
            tap += view->right;
            row += view->row_right;
        }
        line += view->down;
        if (line >= frame_end) {
            line -= view->frame;
        }
        line_row += view->row_down;
    }
    return list;
}

QPS_ALONE static uint16_t *qps_list_events(const qps_view_t *view, const uint8_t *frame, uint16_t *list)
{
    return qps_list_taps(view, frame, 0, list);
}

QPS_ALONE static uint16_t *qps_list_packed(const qps_view_t *view, const uint8_t *frame, uint16_t *list)
{
    return qps_list_taps(view, frame, 1, list);
}

void qps_events_row(const qps_events_t *layer, const void *input, uint32_t *output, int32_t *scratch, uint32_t y)
{
    const uint32_t timesteps = layer->output.timesteps;
    const uint32_t sum_words = qps_rows_sums(&layer->rows);
    const uint32_t input_bytes = qps_spike_bytes(&layer->input);
    uint32_t *const sums = (uint32_t *)scratch;
    int32_t *const membranes = timesteps > QPS_STEPS ? scratch + QPS_STEPS * sum_words : NULL;
    uint32_t *const spikes = sums + QPS_STEPS * sum_words + (membranes != NULL ? 2U * sum_words : 0U);
    uint16_t *const list = (uint16_t *)(void *)(spikes + QPS_STEPS * qps_spike_words(layer->output.channels));
    const qps_line_t line = qps_begin_line(&layer->output, &layer->tiles, y, output);
    const int packed = layer->input.format == QPS_MAP_SPIKES8;
    uint32_t start, row;
    qps_view_t view;
    view.right = layer->window.dilation_width * input_bytes;
    view.down = layer->input.width * layer->window.dilation_height * input_bytes;
    view.row_right = layer->input.channels;
    view.row_down = (uint32_t)layer->window.kernel_width * layer->input.channels;
    view.frame = (uint32_t)layer->input.rows * layer->input.width * input_bytes;
    qps_view_rows(layer, y, &view, &start, &row);
    for (uint32_t x = 0U; x < line.columns; x++) {
        qps_view_columns(layer, x, &view, start, row);
        for (uint32_t first = 0U; first < timesteps; first += QPS_STEPS) {
            const uint32_t left = timesteps - first;
            const uint32_t steps = left < QPS_STEPS ? left : QPS_STEPS;
            const uint8_t *frame = (const uint8_t *)input + (size_t)first * view.frame;
            uint32_t events[QPS_STEPS];
            for (uint32_t t = 0U; t < steps; t++, frame += view.frame) {
                const uint16_t *const end =
                    packed ? qps_list_packed(&view, frame, list) : qps_list_events(&view, frame, list);
                events[t] = (uint32_t)(end - list);
                qps_rows_sum(&layer->rows, list, events[t], sums + t);
                qps_trace_operations(events[t] * layer->output.channels);
            }
            qps_lif_run(&layer->lif, sums, events, steps, membranes, first == 0U, spikes);
            qps_store_pixel(&line, spikes, first, steps, x);
        }
    }
}

void qps_events_run(const qps_events_t *layer, const void *input, uint32_t *output, int32_t *scratch)
{
    for (uint32_t y = 0U; y < layer->tiles.height; y++) {
        qps_events_row(layer, input, output, scratch, y);
    }
}
