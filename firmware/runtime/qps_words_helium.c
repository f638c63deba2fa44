/* Helium: the words of four rows at a time are in the lanes of one register; what each lane has summed is added up at the end. */
#include "qps_blocks.h"

#if QPS_HELIUM
#include <arm_mve.h>

#define QPS_LANES 4U

/* As qps_blocks_helium.c has them: all bytes, the same without their lowest code, without two, without three. Of 8-bit codes halves of
 * a word take the place of bytes, and have two codes. */
typedef struct {
    uint32x4_t shifted[4];
} qps_lanes_t;

/* q1: words of the events in q0. */
#define QPS_LOAD_1 "vldrb.u32 q1, [%[codes], q0]\n\t"
#define QPS_LOAD_2 "vldrh.u32 q1, [%[codes], q0, uxtw #1]\n\t"
#define QPS_LOAD_3                                                                                                     \
    "vmul.i32 q0, q0, %[stride]\n\t"                                                                                   \
    "vldrb.u32 q1, [%[codes], q0]\n\t"                                                                                 \
    "vldrb.u32 q2, [%[second], q0]\n\t"                                                                                \
    "vldrb.u32 q3, [%[third], q0]\n\t"                                                                                 \
    "vsli.32 q1, q2, #8\n\t"                                                                                           \
    "vsli.32 q1, q3, #16\n\t"
#define QPS_LOAD_4 "vldrw.u32 q1, [%[codes], q0, uxtw #2]\n\t"

#define QPS_ADD_2                                                                                                      \
    "vadd.i8 %q[all], %q[all], q1\n\t"                                                                                 \
    "vshr.u8 q2, q1, #2\n\t"                                                                                           \
    "vadd.i8 %q[once], %q[once], q2\n\t"                                                                               \
    "vshr.u8 q2, q1, #4\n\t"                                                                                           \
    "vadd.i8 %q[twice], %q[twice], q2\n\t"                                                                             \
    "vshr.u8 q2, q1, #6\n\t"                                                                                           \
    "vadd.i8 %q[thrice], %q[thrice], q2\n\t"
#define QPS_ADD_4                                                                                                      \
    "vadd.i8 %q[all], %q[all], q1\n\t"                                                                                 \
    "vshr.u8 q1, q1, #4\n\t"                                                                                           \
    "vadd.i8 %q[once], %q[once], q1\n\t"
#define QPS_ADD_8                                                                                                      \
    "vadd.i16 %q[all], %q[all], q1\n\t"                                                                                \
    "vshr.u16 q1, q1, #8\n\t"                                                                                          \
    "vadd.i16 %q[once], %q[once], q1\n\t"

/* The last round has as many lanes as there are events left. */
#define QPS_SUM(LOAD, ADD)                                                                                             \
    __asm volatile(                                                                                                    \
        "dlstp.32 lr, %[count]\n"                                                                                      \
        "1:\n\t"                                                                                                       \
        "vldrh.u32 q0, [%[events]], #8\n\t" LOAD ADD "letp lr, 1b"                                                     \
        : [events] "+&l"(events), [all] "+&w"(sum.shifted[0]), [once] "+&w"(sum.shifted[1]),                           \
          [twice] "+&w"(sum.shifted[2]), [thrice] "+&w"(sum.shifted[3])                                                \
        : [codes] "r"(codes), [second] "r"(codes + 1), [third] "r"(codes + 2), [stride] "r"(bytes), [count] "r"(count) \
        : "q0", "q1", "q2", "q3", "lr", "memory")
#define QPS_SUM_LANES(ADD)                                                                                             \
    static inline qps_lanes_t qps_sum_lanes##ADD(const uint8_t *codes, uint32_t bytes, const uint16_t *events,         \
                                                 uint32_t count)                                                       \
    {                                                                                                                  \
        const uint32x4_t none = vdupq_n_u32(0U);                                                                       \
        qps_lanes_t sum = {{none, none, none, none}};                                                                  \
        if (bytes == 1U) {                                                                                             \
            QPS_SUM(QPS_LOAD_1, QPS_ADD##ADD);                                                                         \
        } else if (bytes == 2U) {                                                                                      \
            QPS_SUM(QPS_LOAD_2, QPS_ADD##ADD);                                                                         \
        } else if (bytes == 3U) {                                                                                      \
            QPS_SUM(QPS_LOAD_3, QPS_ADD##ADD);                                                                         \
        } else {                                                                                                       \
            QPS_SUM(QPS_LOAD_4, QPS_ADD##ADD);                                                                         \
        }                                                                                                              \
        return sum;                                                                                                    \
    }
QPS_SUM_LANES(_2)
QPS_SUM_LANES(_4)
QPS_SUM_LANES(_8)

/* Sums of the four bytes of a word, or of one code of each. */
typedef struct {
    uint32_t even, odd; /* bytes 0 and 2, 1 and 3 */
} qps_byte_sums_t;

static inline void qps_add_lanes(uint32x4_t lanes, qps_byte_sums_t *sums)
{
    const uint8x16_t bytes = vreinterpretq_u8_u32(lanes);
    sums->even = vaddvaq_u32(sums->even, vreinterpretq_u32_u16(vmovlbq_u8(bytes)));
    sums->odd = vaddvaq_u32(sums->odd, vreinterpretq_u32_u16(vmovltq_u8(bytes)));
}

/* Byte by byte lanes - other * 2^bits. */
static inline uint32x4_t qps_without(uint32x4_t lanes, uint32x4_t other, uint32_t bits)
{
    const int8x16_t bytes = vreinterpretq_s8_u32(lanes);
    return vreinterpretq_u32_s8(vmlaq_n_s8(bytes, vreinterpretq_s8_u32(other), (int8_t)(0 - (1 << bits))));
}

/* Two codes of each byte to sums: of a word, spacing apart, or byte by byte. */
static inline void qps_place_word(uint32_t spacing, qps_byte_sums_t lower, qps_byte_sums_t upper, uint32_t *sums)
{
    sums[0] = lower.even;
    sums[spacing] = lower.odd;
    sums[2U * spacing] = upper.even;
    sums[3U * spacing] = upper.odd;
}

static inline void qps_place_rest(qps_byte_sums_t lower, qps_byte_sums_t upper, uint32_t *sums)
{
    sums[0] = (lower.even & 0xFFFFU) | upper.even << 16;
    sums[1] = (lower.odd & 0xFFFFU) | upper.odd << 16;
    sums[2] = lower.even >> 16 | (upper.even & 0xFFFF0000U);
}

/* A last byte of 4-bit codes: eight events at a time. */
QPS_ALONE static void qps_sum_byte_4(const qps_blocks_t *rest)
{
    const uint8_t *const codes = rest->codes;
    const uint16_t *events = rest->events;
    const uint32_t count = (uint32_t)(rest->end - events);
    uint32_t all = 0U, upper = 0U;
    __asm volatile("dlstp.16 lr, %[count]\n"
                   "1:\n\t"
                   "vldrh.u16 q0, [%[events]], #16\n\t"
                   "vldrb.u16 q1, [%[codes], q0]\n\t"
                   "vaddva.u16 %[all], q1\n\t"
                   "vshr.u16 q1, q1, #4\n\t"
                   "vaddva.u16 %[upper], q1\n\t"
                   "letp lr, 1b"
                   : [events] "+&r"(events), [all] "+&Te"(all), [upper] "+&Te"(upper)
                   : [codes] "r"(codes), [count] "r"(count)
                   : "q0", "q1", "lr", "memory");
    rest->sums[0] = (all - (upper << 4)) | upper << 16;
}

/* The same of 2-bit codes: of a byte, or of either one of two. */
#define QPS_SUM_BYTE_2(name, LOAD)                                                                                     \
    QPS_ALONE static void name(const qps_blocks_t *rest, uint32_t *sums)                                               \
    {                                                                                                                  \
        const uint16_t *events = rest->events;                                                                         \
        const uint32_t count = (uint32_t)(rest->end - events);                                                         \
        uint32_t all = 0U, once = 0U, twice = 0U, thrice = 0U;                                                         \
        __asm volatile("dlstp.16 lr, %[count]\n"                                                                       \
                       "1:\n\t"                                                                                        \
                       "vldrh.u16 q0, [%[events]], #16\n\t" LOAD "vaddva.u16 %[all], q1\n\t"                           \
                       "vshr.u16 q1, q1, #2\n\t"                                                                       \
                       "vaddva.u16 %[once], q1\n\t"                                                                    \
                       "vshr.u16 q1, q1, #2\n\t"                                                                       \
                       "vaddva.u16 %[twice], q1\n\t"                                                                   \
                       "vshr.u16 q1, q1, #2\n\t"                                                                       \
                       "vaddva.u16 %[thrice], q1\n\t"                                                                  \
                       "letp lr, 1b"                                                                                   \
                       : [events] "+&r"(events), [all] "+&Te"(all), [once] "+&Te"(once), [twice] "+&Te"(twice),        \
                         [thrice] "+&Te"(thrice)                                                                       \
                       : [codes] "r"(rest->codes), [count] "r"(count)                                                  \
                       : "q0", "q1", "lr", "memory");                                                                  \
        sums[0] = (all - (once << 2)) | (once - (twice << 2)) << 16;                                                   \
        sums[1] = (twice - (thrice << 2)) | thrice << 16;                                                              \
    }
QPS_SUM_BYTE_2(qps_sum_byte_2, "vldrb.u16 q1, [%[codes], q0]\n\t")
QPS_SUM_BYTE_2(qps_sum_lower_byte_2, "vldrh.u16 q1, [%[codes], q0, uxtw #1]\n\tvmovlb.u8 q1, q1\n\t")
QPS_SUM_BYTE_2(qps_sum_upper_byte_2, "vldrh.u16 q1, [%[codes], q0, uxtw #1]\n\tvmovlt.u8 q1, q1\n\t")

void qps_words_2(const qps_blocks_t *words)
{
    const uint16_t *events = words->events;
    uint32_t count = (uint32_t)(words->end - events);
    qps_byte_sums_t codes[4] = {{0U, 0U}, {0U, 0U}, {0U, 0U}, {0U, 0U}};
    const uint32_t most = QPS_LANES * QPS_NIBBLE_ROWS * QPS_CRUMB_ROWS;
    while (count > 0U) {
        const uint32_t chunk = count < most ? count : most;
        const qps_lanes_t lanes = qps_sum_lanes_2(words->codes, 4U, events, chunk);
        qps_add_lanes(qps_without(lanes.shifted[0], lanes.shifted[1], 2U), &codes[0]);
        qps_add_lanes(qps_without(lanes.shifted[1], lanes.shifted[2], 2U), &codes[1]);
        qps_add_lanes(qps_without(lanes.shifted[2], lanes.shifted[3], 2U), &codes[2]);
        qps_add_lanes(lanes.shifted[3], &codes[3]);
        events += chunk;
        count -= chunk;
    }
    qps_place_word(2U, codes[0], codes[2], words->sums);
    qps_place_word(2U, codes[1], codes[3], words->sums + 1);
}

QPS_ALONE static void qps_sum_lanes_of_4(const qps_blocks_t *words, uint32_t bytes)
{
    const uint16_t *events = words->events;
    uint32_t count = (uint32_t)(words->end - events);
    qps_byte_sums_t lower = {0U, 0U}, upper = {0U, 0U};
    while (count > 0U) {
        const uint32_t most = QPS_LANES * QPS_NIBBLE_ROWS;
        const uint32_t chunk = count < most ? count : most;
        const qps_lanes_t lanes = qps_sum_lanes_4(words->codes, bytes, events, chunk);
        qps_add_lanes(qps_without(lanes.shifted[0], lanes.shifted[1], 4U), &lower);
        qps_add_lanes(lanes.shifted[1], &upper);
        events += chunk;
        count -= chunk;
    }
    if (bytes == 4U) {
        qps_place_word(1U, lower, upper, words->sums);
    } else {
        qps_place_rest(lower, upper, words->sums);
    }
}

QPS_ALONE static void qps_sum_lanes_of_8(const qps_blocks_t *words, uint32_t bytes)
{
    const uint32_t count = (uint32_t)(words->end - words->events);
    const qps_lanes_t lanes = qps_sum_lanes_8(words->codes, bytes, words->events, count);
    const int16x8_t all = vreinterpretq_s16_u32(lanes.shifted[0]), once = vreinterpretq_s16_u32(lanes.shifted[1]);
    const uint32_t even = vaddvq_u32(vreinterpretq_u32_s16(vmlaq_n_s16(all, once, -256)));
    const uint32_t odd = vaddvq_u32(lanes.shifted[1]);
    if (bytes == 4U) {
        words->sums[0] = even;
        words->sums[1] = odd;
    } else {
        words->sums[0] = (even & 0xFFFFU) | odd << 16;
        words->sums[1] = even >> 16;
    }
}

void qps_words_4(const qps_blocks_t *words)
{
    qps_sum_lanes_of_4(words, 4U);
}

void qps_words_8(const qps_blocks_t *words)
{
    qps_sum_lanes_of_8(words, 4U);
}

void qps_rest_2(const qps_blocks_t *rest, uint32_t bits)
{
    if (bits == 4U) {
        qps_sum_byte_4(rest);
    } else if (rest->size == 1U) {
        qps_sum_byte_2(rest, rest->sums);
    } else {
        qps_sum_lower_byte_2(rest, rest->sums);
        qps_sum_upper_byte_2(rest, rest->sums + 2);
    }
}

void qps_rest_4(const qps_blocks_t *rest, uint32_t bits)
{
    (void)bits;
    if (rest->size == 1U) {
        qps_sum_byte_4(rest);
    } else {
        qps_sum_lanes_of_4(rest, rest->size);
    }
}

void qps_rest_8(const qps_blocks_t *rest, uint32_t bits)
{
    (void)bits;
    qps_sum_lanes_of_8(rest, rest->size);
}
#endif
