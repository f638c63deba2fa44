#include "qps_image_chunks.h"
#include "qps_thumb.h"

#if !QPS_HELIUM
/* The sums of a word of four codes a, b, c, d, the lowest first, as loops leave them behind. */
#if QPS_BLOCKS
/* Words times pixels as they are, a + 2^8 b + 2^16 c + 2^24 d, and turned by half without their ends, c + 2^24 b:
 * the second says what the first has in its middle. */
typedef struct {
    uint64_t all, middle;
} qps_word_sum_t;

#define QPS_ADD_PIXEL                                                                                                  \
    "ldrd r4, r5, [r1], #8\n\t"                                                                                        \
    "cbz r5, 2f\n\t"                                                                                                   \
    "add r4, r0\n\t"                                                                                                   \
    "ldrd r4, r6, [r4]\n\t"                                                                                            \
    "umlal r2, r3, r4, r5\n\t"                                                                                         \
    "and r4, r7, r4, ror #16\n\t"                                                                                      \
    "umlal r8, r9, r4, r5\n\t"                                                                                         \
    "umlal r10, r11, r6, r5\n\t"                                                                                       \
    "and r6, r7, r6, ror #16\n\t"                                                                                      \
    "umlal r12, lr, r6, r5\n\t"

/* clang-format off */
__attribute__((naked, noinline)) static void qps_sum_bytes(const uint8_t *codes __attribute__((unused)),
                                                           const qps_image_event_t *event __attribute__((unused)),
                                                           qps_word_sum_t *sums __attribute__((unused)))
{
    __asm("push {r2, r4-r11, lr}\n\t"
          QPS_CLEAR_SUMS
          "mov r7, #0xFF\n\t"
          "orr r7, r7, #0xFF000000\n"
          "1:\n\t"
          QPS_ADD_PIXEL
          QPS_ADD_PIXEL
          QPS_ADD_PIXEL
          "b 1b\n"
          "2:\n\t"
          "pop {r4}\n\t"
          "stmia r4!, {r2, r3, r8-r12, lr}\n\t"
          "pop {r4-r11, pc}");
}
/* clang-format on */

static inline void qps_split_word(const qps_word_sum_t *word, uint32_t *sums)
{
    const uint32_t b = (uint32_t)(word->middle >> 24);
    const uint32_t c = (uint32_t)word->middle & UINT32_C(0x00FFFFFF);
    const uint64_t ends = word->all - ((uint64_t)b << 8) - ((uint64_t)c << 16);
    sums[0] += (uint32_t)ends & UINT32_C(0x00FFFFFF);
    sums[1] += b;
    sums[2] += c;
    sums[3] += (uint32_t)(ends >> 24);
}
#else
/* Words times pixels, and the same shifted to the right by one, two and three codes: each says what the one before
 * has above its lowest code. All of it is modulo 2^32. */
typedef struct {
    uint32_t from[4];
} qps_word_sum_t;

#if QPS_NARROW_BLOCKS
#define QPS_ADD_WORD(offset, a, b, c, d)                                                                               \
    "ldr r7, [r5, #" offset "]\n\t"                                                                                    \
    "lsrs r4, r7, #24\n\t"                                                                                             \
    "muls r4, r6\n\t"                                                                                                  \
    "add " d ", r4\n\t"                                                                                                \
    "lsrs r4, r7, #16\n\t"                                                                                             \
    "muls r4, r6\n\t"                                                                                                  \
    "add " c ", r4\n\t"                                                                                                \
    "lsrs r4, r7, #8\n\t"                                                                                              \
    "muls r4, r6\n\t"                                                                                                  \
    "add " b ", r4\n\t"                                                                                                \
    "muls r7, r6\n\t"                                                                                                  \
    "add " a ", r7\n\t"

/* clang-format off */
__attribute__((naked, noinline)) static void qps_sum_bytes(const uint8_t *codes __attribute__((unused)),
                                                           const qps_image_event_t *event __attribute__((unused)),
                                                           qps_word_sum_t *sums __attribute__((unused)))
{
    __asm(".syntax unified\n\t"
          "push {r2, r4-r7, lr}\n\t"
          QPS_PUSH_HIGH
          QPS_CLEAR_SUMS
          "b 2f\n"
          "1:\n\t"
          "add r5, r0\n\t"
          QPS_ADD_WORD("0", "r2", "r3", "r8", "r9")
          QPS_ADD_WORD("4", "r10", "r11", "r12", "lr")
          "2:\n\t"
          QPS_NEXT_PIXEL
          QPS_STORE_SUMS
          QPS_POP_HIGH
          "pop {r2, r4-r7, pc}");
}
/* clang-format on */
#else
static inline void qps_add_word(uint32_t word, uint32_t value, qps_word_sum_t *sum)
{
    sum->from[0] += word * value;
    sum->from[1] += (word >> 8) * value;
    sum->from[2] += (word >> 16) * value;
    sum->from[3] += (word >> 24) * value;
}

static void qps_sum_bytes(const uint8_t *codes, const qps_image_event_t *event, qps_word_sum_t *sums)
{
    qps_word_sum_t sum0 = {{0U, 0U, 0U, 0U}}, sum1 = {{0U, 0U, 0U, 0U}};
    for (; event->value != 0U; event++) {
        const uint8_t *const row = codes + event->offset;
        qps_add_word(qps_load_word(row), event->value, &sum0);
        qps_add_word(qps_load_word(row + 4), event->value, &sum1);
    }
    sums[0] = sum0;
    sums[1] = sum1;
}
#endif

static inline void qps_split_word(const qps_word_sum_t *word, uint32_t *sums)
{
    sums[0] += word->from[0] - (word->from[1] << 8);
    sums[1] += word->from[1] - (word->from[2] << 8);
    sums[2] += word->from[2] - (word->from[3] << 8);
    sums[3] += word->from[3];
}
#endif

void qps_add_pixels(const uint8_t *codes, const qps_image_list_t *list, uint32_t channels, uint32_t *sums)
{
    for (uint32_t first = 0U; first < channels; first += QPS_IMAGE_BLOCK) {
        qps_word_sum_t words[2];
        qps_sum_bytes(codes + first, list->events, words);
        qps_split_word(&words[0], sums + first);
        qps_split_word(&words[1], sums + first + 4);
    }
}
#endif

static void qps_bytes_add(const qps_image_view_t *view, const qps_image_list_t *chunk, uint32_t channels)
{
    qps_add_pixels(view->layer->codes, chunk, channels, view->sums);
}

QPS_MERGED void qps_bytes_pixel(const qps_image_view_t *view, const qps_image_list_t *list, qps_image_place_t *place,
                                uint32_t words, uint32_t *spikes)
{
    qps_chunks_pixel(view, list, place, words, spikes, view->layer->row_bytes, qps_bytes_add);
}

void qps_image_bytes_row(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch, uint32_t y)
{
    qps_image_walk(layer, input, output, (uint32_t *)scratch, layer->row_bytes, y, qps_chunks_see, NULL,
                   qps_bytes_pixel);
}

void qps_image_bytes_run(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch)
{
    for (uint32_t y = 0U; y < layer->tiles.height; y++) {
        qps_image_bytes_row(layer, input, output, scratch, y);
    }
}
