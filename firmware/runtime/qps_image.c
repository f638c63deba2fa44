#include "qps_image_dense.h"
#include "qps_image_walk.h"
#include "qps_thumb.h"
#include "qps_trace.h"

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
          QPS_NEXT_PIXEL
          QPS_STORE_SUMS
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

static inline void qps_image_block(const uint8_t *codes, const qps_image_list_t *list, uint32_t *sums)
{
    qps_sum_pixels(codes, list->events, sums);
}
#endif

/* What an output pixel sees, all of it at once. */
QPS_MERGED qps_image_list_t qps_image_see(const qps_image_view_t *view, void *dense, qps_image_place_t *place)
{
#if QPS_HELIUM
    if (dense != NULL) {
        return qps_dense_see(view, (qps_dense_t *)dense);
    }
#endif
    (void)dense;
    return qps_list_pixels(view, 0U, place);
}

QPS_MERGED void qps_image_pixel(const qps_image_view_t *view, const qps_image_list_t *list, qps_image_place_t *place,
                                uint32_t words, uint32_t *spikes)
{
    const qps_image_t *const layer = view->layer;
    const uint32_t channels = layer->output.channels;
    const qps_image_scale_t scale = {layer->multiplier, 0U - list->total * layer->zero_point};
    (void)place;
    qps_clear_words(spikes, layer->output.timesteps * words);
    for (uint32_t first = 0U; first < channels; first += QPS_IMAGE_BLOCK) {
        uint32_t sums[QPS_IMAGE_BLOCK];
        qps_image_block(layer->codes + 2U * first, list, sums);
        qps_image_fire(layer, &scale, first, sums, words, spikes);
    }
    qps_trace_operations(list->count * channels);
}

void qps_image_row(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch, uint32_t y)
{
#if QPS_HELIUM
    qps_dense_t all;
    qps_dense_t *const dense = qps_dense_begin(layer, &all) ? &all : NULL;
#else
    void *const dense = NULL;
#endif
    qps_image_walk(layer, input, output, (uint32_t *)scratch, 0U, y, qps_image_see, dense, qps_image_pixel);
}

void qps_image_run(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch)
{
    for (uint32_t y = 0U; y < layer->tiles.height; y++) {
        qps_image_row(layer, input, output, scratch, y);
    }
}
