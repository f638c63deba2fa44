#include "qps_image_dense.h"
#include "qps_thumb.h"
#include "qps_trace.h"

/* The pixels under the window that are not zero. */
static qps_image_list_t qps_list_pixels(const qps_image_t *layer, const uint8_t *image, const qps_taps_t *rows,
                                        const qps_taps_t *columns, qps_image_event_t *events)
{
    const qps_window_t *const window = &layer->window;
    const uint32_t row_bytes = layer->row_bytes;
    const uint32_t right = window->dilation_width;
    const uint32_t down = (uint32_t)layer->input.width * window->dilation_height;
    const uint32_t y = (uint32_t)(rows->origin + (int32_t)(rows->first * window->dilation_height));
    const uint32_t x = (uint32_t)(columns->origin + (int32_t)(columns->first * window->dilation_width));
    const uint32_t width = columns->last - columns->first;
    const uint8_t *plane = image + y * layer->input.width + x;
    uint32_t plane_offset = (rows->first * window->kernel_width + columns->first) * row_bytes;
    qps_image_event_t *event = events;
    uint32_t total = 0U;
    for (uint32_t channels = layer->input.channels; channels > 0U; channels--) {
        const uint8_t *line = plane;
        uint32_t line_offset = plane_offset;
        for (uint32_t ky = rows->first; ky < rows->last; ky++) {
            const uint8_t *pixel = line;
            uint32_t offset = line_offset;
            for (uint32_t taps = width; taps > 0U; taps--, pixel += right, offset += row_bytes) {
                const uint32_t value = *pixel;
                if (value != 0U) {
                    event->offset = offset;
                    event->value = value;
                    event++;
                    total += value;
                }
            }
            line += down;
            line_offset += window->kernel_width * row_bytes;
        }
        plane += (uint32_t)layer->input.height * layer->input.width;
        plane_offset += (uint32_t)window->kernel_height * window->kernel_width * row_bytes;
    }
    event->value = 0U;
    {
        const qps_image_list_t list = {events, (uint32_t)(event - events), total, NULL};
        return list;
    }
}

#if !QPS_HELIUM
/* The sums of QPS_IMAGE_BLOCK channels. */
#if QPS_BLOCKS
/* clang-format off */
#define QPS_ADD_PIXEL                                                                                                  \
    "ldrd r4, r5, [r1], #8\n\t"                                                                                        \
    "cbz r5, 2f\n\t"                                                                                                   \
    "add r4, r0\n\t"                                                                                                   \
    "ldrd r6, r7, [r4]\n\t"                                                                                            \
    "umlal r2, r3, r6, r5\n\t"                                                                                         \
    "umlal r8, r9, r7, r5\n\t"                                                                                         \
    "ldrd r6, r7, [r4, #8]\n\t"                                                                                        \
    "umlal r10, r11, r6, r5\n\t"                                                                                       \
    "umlal r12, lr, r7, r5\n\t"
#define QPS_SPLIT_PAIR(low, high)                                                                                      \
    "bic r5, " low ", #0xFF000000\n\t"                                                                                 \
    "lsr r6, " low ", #24\n\t"                                                                                         \
    "orr r6, r6, " high ", lsl #8\n\t"                                                                                 \
    "strd r5, r6, [r4], #8\n\t"

__attribute__((naked)) static void qps_sum_pixels(const uint8_t *codes __attribute__((unused)),
                                                  const qps_image_event_t *event __attribute__((unused)),
                                                  uint32_t *sums __attribute__((unused)))
{
    __asm("push {r2, r4-r11, lr}\n\t"
          QPS_CLEAR_SUMS
          "1:\n\t"
          QPS_ADD_PIXEL
          QPS_ADD_PIXEL
          QPS_ADD_PIXEL
          "b 1b\n"
          "2:\n\t"
          "ldr r4, [sp], #4\n\t"
          QPS_SPLIT_PAIR("r2", "r3")
          QPS_SPLIT_PAIR("r8", "r9")
          QPS_SPLIT_PAIR("r10", "r11")
          QPS_SPLIT_PAIR("r12", "lr")
          "pop {r4-r11, pc}");
}
/* clang-format on */
#elif QPS_NARROW_BLOCKS
/* clang-format off */
#define QPS_ADD_PAIR(offset, low, high)                                                                                \
    "ldr r7, [r5, #" offset "]\n\t"                                                                                    \
    "uxtb r4, r7\n\t"                                                                                                  \
    "muls r4, r6\n\t"                                                                                                  \
    "add " low ", r4\n\t"                                                                                              \
    "lsrs r7, r7, #24\n\t"                                                                                             \
    "muls r7, r6\n\t"                                                                                                  \
    "add " high ", r7\n\t"

__attribute__((naked, noinline)) static void qps_sum_pixels(const uint8_t *codes __attribute__((unused)),
                                                            const qps_image_event_t *event __attribute__((unused)),
                                                            uint32_t *sums __attribute__((unused)))
{
    __asm(".syntax unified\n\t"
          "push {r2, r4-r7, lr}\n\t"
          QPS_PUSH_HIGH
          QPS_CLEAR_SUMS
          "b 2f\n"
          "1:\n\t"
          "add r5, r0\n\t"
          QPS_ADD_PAIR("0", "r2", "r3")
          QPS_ADD_PAIR("4", "r8", "r9")
          QPS_ADD_PAIR("8", "r10", "r11")
          QPS_ADD_PAIR("12", "r12", "lr")
          "2:\n\t"
          "ldmia r1!, {r5, r6}\n\t"
          "cmp r6, #0\n\t"
          "bne 1b\n\t"
          "ldr r0, [sp, #16]\n\t"
          "mov r4, r8\n\t"
          "mov r5, r9\n\t"
          "mov r6, r10\n\t"
          "mov r7, r11\n\t"
          "stmia r0!, {r2-r7}\n\t"
          "mov r4, r12\n\t"
          "mov r5, lr\n\t"
          "stmia r0!, {r4, r5}\n\t"
          QPS_POP_HIGH
          "pop {r2, r4-r7, pc}");
}
/* clang-format on */
#else
static void qps_sum_pixels(const uint8_t *codes, const qps_image_event_t *event, uint32_t *sums)
{
    qps_pair_sum_t sum0 = QPS_NO_PAIR_SUM, sum1 = QPS_NO_PAIR_SUM, sum2 = QPS_NO_PAIR_SUM, sum3 = QPS_NO_PAIR_SUM;
    for (; event->value != 0U; event++) {
        const uint8_t *const row = codes + event->offset;
        sum0 = qps_pair_multiply(sum0, qps_load_word(row), event->value);
        sum1 = qps_pair_multiply(sum1, qps_load_word(row + 4), event->value);
        sum2 = qps_pair_multiply(sum2, qps_load_word(row + 8), event->value);
        sum3 = qps_pair_multiply(sum3, qps_load_word(row + 12), event->value);
    }
    qps_pair_split(sum0, &sums[0]);
    qps_pair_split(sum1, &sums[2]);
    qps_pair_split(sum2, &sums[4]);
    qps_pair_split(sum3, &sums[6]);
}
#endif

/* The sums of a block, and which of its neurons spike at all. */
static inline uint32_t qps_image_block(const uint8_t *codes, const qps_image_list_t *list,
                                       const qps_image_scale_t *scale, const int32_t *quiet, uint32_t *sums)
{
    uint32_t active = 0U;
    qps_sum_pixels(codes, list->events, sums);
#define QPS_TEST(k)                                                                                                    \
    if ((int32_t)(sums[k] * scale->factor + scale->offset) > quiet[k]) {                                               \
        active |= UINT32_C(1) << (k);                                                                                  \
    }
    QPS_TEST(0)
    QPS_TEST(1)
    QPS_TEST(2)
    QPS_TEST(3)
    QPS_TEST(4)
    QPS_TEST(5)
    QPS_TEST(6)
    QPS_TEST(7)
#undef QPS_TEST
    return active;
}
#endif

/* All timesteps of one neuron that does spike. */
static inline void qps_image_spike(const qps_image_t *layer, const int32_t *neuron, int32_t current, uint32_t bit,
                                   uint32_t stride, uint32_t *word)
{
    const int32_t charge = qps_scale_up(current, layer->fraction_bits);
    const uint32_t decay = layer->decay_shift;
    const int32_t threshold = neuron[0];
    const int32_t rest = neuron[1];
    int32_t membrane = rest;
    for (uint32_t t = layer->output.timesteps; t > 0U; t--, word += stride) {
        membrane = qps_shift_right(membrane, decay) + charge;
        if (membrane > threshold) {
            membrane = rest;
            *word |= bit;
        }
    }
}

/* The spikes of one pixel of the layer, all timesteps, from the list of its inputs. */
static void qps_image_pixel(const qps_image_t *layer, const qps_image_list_t *list, uint32_t words, uint32_t *spikes)
{
    const uint32_t channels = layer->output.channels;
    const qps_image_scale_t scale = {layer->multiplier, 0U - list->total * layer->zero_point};
    qps_clear_words(spikes, layer->output.timesteps * words);
    for (uint32_t first = 0U; first < channels; first += QPS_IMAGE_BLOCK) {
        uint32_t sums[QPS_IMAGE_BLOCK];
        uint32_t active = qps_image_block(layer->codes + 2U * first, list, &scale, layer->quiet + first, sums);
        while (active != 0U) {
            const uint32_t k = qps_lowest_bit(active) / QPS_ACTIVE_BITS;
            const uint32_t c = first + k;
            const int32_t current = (int32_t)(sums[k] * scale.factor + scale.offset);
            qps_image_spike(layer, layer->neurons + 2U * c, current, UINT32_C(1) << (c % 32U), words, spikes + c / 32U);
            active = qps_image_without(active);
        }
    }
    qps_trace_operations(list->count * channels);
}

void qps_image_row(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch, uint32_t y)
{
    const uint32_t words = qps_spike_words(layer->output.channels);
    const uint32_t timesteps = layer->output.timesteps;
    uint32_t *const spikes = (uint32_t *)scratch;
    uint32_t *const silent = spikes + timesteps * words; /* of a pixel that sees nothing */
    qps_image_event_t *const events = (qps_image_event_t *)(void *)(silent + timesteps * words);
    const qps_taps_t rows = qps_rows(&layer->window, y, layer->input.height);
    const qps_line_t line = qps_begin_line(&layer->output, &layer->tiles, y, output);
    int known = 0; /* silent is */
#if QPS_HELIUM
    qps_dense_t dense;
    const int few = qps_dense_begin(layer, &dense);
#endif
    for (uint32_t x = 0U; x < line.columns; x++) {
        const qps_taps_t columns = qps_columns(&layer->window, x, layer->input.width);
#if QPS_HELIUM
        const qps_image_list_t list = few ? qps_dense_see(layer, &dense, (const uint8_t *)input, &rows, &columns)
                                          : qps_list_pixels(layer, (const uint8_t *)input, &rows, &columns, events);
#else
        const qps_image_list_t list = qps_list_pixels(layer, (const uint8_t *)input, &rows, &columns, events);
#endif
        uint32_t *const pixel = list.count == 0U ? silent : spikes;
        if (pixel == spikes || !known) {
            qps_image_pixel(layer, &list, words, pixel);
            known = known || pixel == silent;
        }
        qps_store_pixel(&line, pixel, 0U, timesteps, x);
    }
}

void qps_image_run(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch)
{
    for (uint32_t y = 0U; y < layer->tiles.height; y++) {
        qps_image_row(layer, input, output, scratch, y);
    }
}
