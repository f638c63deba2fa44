/* What remains of rows of codes behind their last whole block and half: a word, then bytes. */
#include "qps_blocks.h"

#if !QPS_HELIUM

/* Words in C, where there is no assembly for them, or rests cannot be read as words. */
#define QPS_WORDS_IN_C (!QPS_WORDS || !QPS_UNALIGNED)

/* A last byte of 2-bit codes, four channels: their sums fit a register as they are. */
QPS_ALONE static void qps_sum_byte_2(const qps_blocks_t *rest)
{
    const uint8_t *const codes = rest->codes;
    const uint16_t *events = rest->events;
    const uint16_t *const end = rest->end;
    uint32_t all = 0U, once = 0U, twice = 0U, thrice = 0U;
    do {
        uint32_t byte = codes[*events++];
        all += byte;
        byte >>= 2;
        once += byte;
        byte >>= 2;
        twice += byte;
        byte >>= 2;
        thrice += byte;
    } while (events != end);
    rest->sums[0] = (all - (once << 2)) | (once - (twice << 2)) << 16;
    rest->sums[1] = (twice - (thrice << 2)) | thrice << 16;
}

/* A last byte of 4-bit codes, two channels. */
QPS_ALONE static void qps_sum_byte_4(const qps_blocks_t *rest)
{
    const uint8_t *const codes = rest->codes;
    const uint16_t *events = rest->events;
    const uint16_t *const end = rest->end;
    uint32_t all = 0U, upper = 0U;
    if (((uint32_t)(end - events) & 1U) != 0U) {
        all = codes[*events];
        upper = all >> 4;
        events++;
    }
    for (; events != end; events += 2) {
        const uint32_t byte0 = codes[events[0]], byte1 = codes[events[1]];
        all += byte0;
        upper += byte0 >> 4;
        all += byte1;
        upper += byte1 >> 4;
    }
    rest->sums[0] = (all - (upper << 4)) | upper << 16;
}

#if QPS_WORDS_IN_C
/* The end of the next chunk of events. */
static inline const uint16_t *qps_chunk_end(const uint16_t *events, const uint16_t *end, uint32_t most)
{
    return end - events > (ptrdiff_t)most ? events + most : end;
}

/* The bytes of one row, which are a constant wherever this is called. */
static inline uint32_t qps_load_part(const qps_blocks_t *words, uint32_t bytes, uint32_t event)
{
    const uint8_t *const codes = words->codes + event * words->size;
    if (bytes == 2U) {
        return *(const qps_half_t *)(const void *)codes;
    }
    return bytes == 4U ? qps_load_four(codes, 1) : qps_load_bytes(codes, bytes);
}

/* A word of 4-bit lanes to four pairs of sums. */
QPS_ALONE static void qps_spread_word(uint32_t all, uint32_t upper, uint32_t spacing, int first, uint32_t *sums)
{
    const uint32_t lower = all - (upper << 4);
    if (first) {
        sums[0] = sums[spacing] = sums[2U * spacing] = sums[3U * spacing] = 0U;
    }
    sums[0] += qps_even_bytes(lower);
    sums[spacing] += qps_odd_bytes(lower);
    sums[2U * spacing] += qps_even_bytes(upper);
    sums[3U * spacing] += qps_odd_bytes(upper);
}

QPS_MERGED void qps_add_words_4(const qps_blocks_t *words, uint32_t bytes)
{
    const uint16_t *events = words->events;
    int first = 1;
    do {
        const uint16_t *const last = qps_chunk_end(events, words->end, QPS_NIBBLE_ROWS);
        uint32_t all = 0U, upper = 0U;
        while (events != last) {
            qps_add_nibbles(qps_load_part(words, bytes, *events++), &all, &upper);
        }
        qps_spread_word(all, upper, 1U, first, words->sums);
        first = 0;
    } while (events != words->end);
}
#endif

#if !QPS_WORDS
/* 16 2-bit codes of a word, in lanes of 4 bits: all, and the upper one of each pair. */
static inline void qps_add_crumbs(uint32_t word, uint32_t *all, uint32_t *upper)
{
    uint32_t odd = word & UINT32_C(0xCCCCCCCC);
    QPS_KEEP(odd);
    *all += word;
    *upper += odd >> 2;
}

QPS_MERGED void qps_add_words_2(const qps_blocks_t *words, uint32_t bytes)
{
    const uint16_t *events = words->events;
    int first = 1;
    do {
        const uint16_t *const last = qps_chunk_end(events, words->end, QPS_NIBBLE_ROWS * QPS_CRUMB_ROWS);
        uint32_t all0 = 0U, all1 = 0U, upper0 = 0U, upper1 = 0U;
        while (events != last) {
            const uint16_t *const part = qps_chunk_end(events, last, QPS_CRUMB_ROWS);
            uint32_t all = 0U, upper = 0U;
            while (events != part) {
                qps_add_crumbs(qps_load_part(words, bytes, *events++), &all, &upper);
            }
            qps_add_nibbles(all - (upper << 2), &all0, &upper0);
            qps_add_nibbles(upper, &all1, &upper1);
        }
        qps_spread_word(all0, upper0, 2U, first, words->sums);
        qps_spread_word(all1, upper1, 2U, first, words->sums + 1);
        first = 0;
    } while (events != words->end);
}

void qps_words_2(const qps_blocks_t *words)
{
    qps_add_words_2(words, 4U);
}

void qps_words_4(const qps_blocks_t *words)
{
    qps_add_words_4(words, 4U);
}
#endif

/* Any number of rows. */
QPS_MERGED void qps_add_words_8(const qps_blocks_t *words, int whole)
{
    const uint16_t *events = words->events;
    uint32_t even = 0U, odd = 0U;
    do {
        const uint8_t *const codes = words->codes + *events++ * words->size;
        qps_add_bytes(whole ? qps_load_four(codes, 1) : qps_load_bytes(codes, words->size), &even, &odd);
    } while (events != words->end);
    words->sums[0] = qps_even_lanes(even, odd);
    words->sums[1] = odd;
}

QPS_ALONE void qps_words_8(const qps_blocks_t *words)
{
    qps_add_words_8(words, 1);
}

/* Of two pairs the lower halves, or the upper ones. */
static inline uint32_t qps_lower_halves(uint32_t pair0, uint32_t pair1)
{
    return (pair0 & 0xFFFFU) | pair1 << 16;
}

static inline uint32_t qps_upper_halves(uint32_t pair0, uint32_t pair1)
{
    return pair0 >> 16 | (pair1 & 0xFFFF0000U);
}

/* Rests are added up as words are, then the sums of each byte are put together. A group has room for those of a
 * word. */
void qps_rest_2(const qps_blocks_t *rest, uint32_t bits)
{
    if (rest->size > 1U) {
#if QPS_WORDS
        qps_half_words_2(rest);
#else
        uint32_t *const sums = rest->sums;
        qps_add_words_2(rest, 2U);
        sums[0] = qps_lower_halves(sums[0], sums[1]);
        sums[1] = qps_lower_halves(sums[4], sums[5]);
        sums[2] = qps_lower_halves(sums[2], sums[3]);
        sums[3] = qps_lower_halves(sums[6], sums[7]);
#endif
    } else if (bits == 4U) {
        qps_sum_byte_4(rest);
    } else {
        qps_sum_byte_2(rest);
    }
}

void qps_rest_4(const qps_blocks_t *rest, uint32_t bits)
{
    uint32_t *const sums = rest->sums;
    (void)bits;
    if (rest->size == 1U) {
        qps_sum_byte_4(rest);
    } else {
        uint32_t last;
#if QPS_UNALIGNED
        qps_words_4(rest);
#else
        if (rest->size == 2U) {
            qps_add_words_4(rest, 2U);
        } else {
            qps_add_words_4(rest, 3U);
        }
#endif
        last = qps_upper_halves(sums[0], sums[2]);
        sums[0] = qps_lower_halves(sums[0], sums[2]);
        sums[1] = qps_lower_halves(sums[1], sums[3]);
        sums[2] = last;
    }
}

void qps_rest_8(const qps_blocks_t *rest, uint32_t bits)
{
    uint32_t *const sums = rest->sums;
    uint32_t last;
    (void)bits;
    if (QPS_UNALIGNED) {
        qps_words_8(rest);
    } else {
        qps_add_words_8(rest, 0);
    }
    last = qps_upper_halves(sums[0], sums[1]);
    sums[0] = qps_lower_halves(sums[0], sums[1]);
    sums[1] = last;
}
#endif
