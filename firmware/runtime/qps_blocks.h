/* Blocks: rows of 16 bytes of codes, added up in the registers of a core.
 *
 * Eight lanes of 4 bits in a word are added to two sums: of all lanes, and of every other one. Each has room for 8 bits a lane,
 * and qps_block_spread() takes them apart. Lanes of 8 bits are added to sums of 16 bits, even and odd ones. Pairs of sums
 * come out in the order [part of a word][word]. */
#ifndef QPS_BLOCKS_H
#define QPS_BLOCKS_H

#include "qps_lanes.h"

/* Rows of 4-bit lanes that a block has room for. */
#define QPS_BLOCK_ROWS 17U

/* The sums of four words: all lanes and the upper ones, or even and odd ones. */
typedef struct {
    uint32_t all0, all1, all2, all3;
    uint32_t odd0, odd1, odd2, odd3;
} qps_block_t;

#define QPS_EMPTY_BLOCK {0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U}

#if QPS_THUMB2_ASM
/* These loops take every register there is, which compilers do not dare: rows are added four at a time, and the first
 * round begins where it must for the last one to be whole. */
#define QPS_ADD_ROW(ADD_WORD)                                                                                          \
    "ldrh %[row], [%[events]], #2\n\t"                                                                                 \
    "add %[row], %[codes], %[row], lsl #4\n\t"                                                                         \
    "ldrd %[word0], %[word1], [%[row], #8]\n\t" /* the lower ones last: row may hold one of them */                    \
    ADD_WORD("word0", "2") ADD_WORD("word1", "3") "ldrd %[word0], %[word1], [%[row]]\n\t" ADD_WORD("word0", "0")       \
        ADD_WORD("word1", "1")
#define QPS_ADD_ROWS(ADD_WORD, block, codes, events, last)                                                             \
    do {                                                                                                               \
        const uint16_t *const qps_last = (last);                                                                       \
        uint32_t qps_row, qps_word1;                                                                                   \
        uint32_t qps_word0 = (uint32_t)((events)-qps_last) & 3U;                                                       \
        __asm volatile("tbb [pc, %[word0]]\n"                                                                          \
                       "1:\n\t"                                                                                        \
                       ".byte (2f-1b)/2, (3f-1b)/2, (4f-1b)/2, (5f-1b)/2\n"                                            \
                       "2:\n\t" QPS_ADD_ROW(ADD_WORD) "3:\n\t" QPS_ADD_ROW(ADD_WORD) "4:\n\t" QPS_ADD_ROW(ADD_WORD)    \
                           "5:\n\t" QPS_ADD_ROW(ADD_WORD) "ldr %[row], %[last]\n\t"                                    \
                                                          "cmp %[events], %[row]\n\t"                                  \
                                                          "bne 2b"                                                     \
                       : [events] "+&r"(events), [row] "=&r"(qps_row), [word0] "+&r"(qps_word0),                       \
                         [word1] "=&r"(qps_word1), [all0] "+&r"((block)->all0), [all1] "+&r"((block)->all1),           \
                         [all2] "+&r"((block)->all2), [all3] "+&r"((block)->all3), [odd0] "+&r"((block)->odd0),        \
                         [odd1] "+&r"((block)->odd1), [odd2] "+&r"((block)->odd2), [odd3] "+&r"((block)->odd3)         \
                       : [codes] "r"(codes), [last] "m"(qps_last)                                                      \
                       : "cc", "memory");                                                                              \
    } while (0)
#define QPS_ADD_NIBBLES(word, k)                                                                                       \
    "add %[all" k "], %[" word "]\n\t"                                                                                 \
    "and %[" word "], %[" word "], #0xF0F0F0F0\n\t"                                                                    \
    "add %[odd" k "], %[odd" k "], %[" word "], lsr #4\n\t"
#if QPS_DSP
#define QPS_ADD_BYTES(word, k)                                                                                         \
    "uxtab16 %[all" k "], %[all" k "], %[" word "]\n\t"                                                                \
    "uxtab16 %[odd" k "], %[odd" k "], %[" word "], ror #8\n\t"
#else
#define QPS_ADD_BYTES(word, k)                                                                                         \
    "add %[all" k "], %[" word "]\n\t"                                                                                 \
    "and %[" word "], %[" word "], #0xFF00FF00\n\t"                                                                    \
    "add %[odd" k "], %[odd" k "], %[" word "], lsr #8\n\t"
#endif
#else
#define QPS_ADD_ROWS(ADD_WORD, block, codes, events, last)                                                             \
    for (; (events) != (last); (events)++) {                                                                           \
        const uint8_t *const qps_row = (codes) + ((uint32_t)*(events) << 4);                                           \
        ADD_WORD(qps_load_word(qps_row), &(block)->all0, &(block)->odd0);                                              \
        ADD_WORD(qps_load_word(qps_row + 4), &(block)->all1, &(block)->odd1);                                          \
        ADD_WORD(qps_load_word(qps_row + 8), &(block)->all2, &(block)->odd2);                                          \
        ADD_WORD(qps_load_word(qps_row + 12), &(block)->all3, &(block)->odd3);                                         \
    }
#define QPS_ADD_NIBBLES qps_add_nibbles
#define QPS_ADD_BYTES qps_add_bytes
#endif

/* Add the rows of events up to last, at least one: of 4-bit lanes, QPS_BLOCK_ROWS in all at most. */
static inline void qps_block_add_nibbles(qps_block_t *block, const uint8_t *codes, const uint16_t *events,
                                         const uint16_t *last)
{
    QPS_ADD_ROWS(QPS_ADD_NIBBLES, block, codes, events, last);
}

/* The same of 8-bit lanes. */
static inline void qps_block_add_bytes(qps_block_t *block, const uint8_t *codes, const uint16_t *events,
                                       const uint16_t *last)
{
    QPS_ADD_ROWS(QPS_ADD_BYTES, block, codes, events, last);
}

/* Bytes of two words to pairs of 16-bit sums that follow each other, adding to what is there unless they are the first. */
static inline void qps_spread_even(uint32_t word0, uint32_t word1, int first, uint32_t *sums)
{
    if (first != 0) {
        qps_store_words(sums, qps_even_bytes(word0), qps_even_bytes(word1));
    } else {
        uint32_t sum0, sum1;
        qps_load_words((const uint8_t *)sums, &sum0, &sum1);
        qps_store_words(sums, qps_add_even_bytes(sum0, word0), qps_add_even_bytes(sum1, word1));
    }
}

static inline void qps_spread_odd(uint32_t word0, uint32_t word1, int first, uint32_t *sums)
{
    if (first != 0) {
        qps_store_words(sums, qps_odd_bytes(word0), qps_odd_bytes(word1));
    } else {
        uint32_t sum0, sum1;
        qps_load_words((const uint8_t *)sums, &sum0, &sum1);
        qps_store_words(sums, qps_add_odd_bytes(sum0, word0), qps_add_odd_bytes(sum1, word1));
    }
}

/* A block of 4-bit lanes to 16 pairs of sums. */
static inline void qps_block_spread_nibbles(const qps_block_t *block, int first, uint32_t *sums)
{
    const uint32_t lower0 = block->all0 - (block->odd0 << 4), lower1 = block->all1 - (block->odd1 << 4);
    const uint32_t lower2 = block->all2 - (block->odd2 << 4), lower3 = block->all3 - (block->odd3 << 4);
    qps_spread_even(lower0, lower1, first, sums);
    qps_spread_even(lower2, lower3, first, sums + 2);
    qps_spread_odd(lower0, lower1, first, sums + 4);
    qps_spread_odd(lower2, lower3, first, sums + 6);
    qps_spread_even(block->odd0, block->odd1, first, sums + 8);
    qps_spread_even(block->odd2, block->odd3, first, sums + 10);
    qps_spread_odd(block->odd0, block->odd1, first, sums + 12);
    qps_spread_odd(block->odd2, block->odd3, first, sums + 14);
}

/* A block of 8-bit lanes to 8 pairs of sums. */
static inline void qps_block_spread_bytes(const qps_block_t *block, uint32_t *sums)
{
    sums[0] = qps_even_lanes(block->all0, block->odd0);
    sums[1] = qps_even_lanes(block->all1, block->odd1);
    sums[2] = qps_even_lanes(block->all2, block->odd2);
    sums[3] = qps_even_lanes(block->all3, block->odd3);
    sums[4] = block->odd0;
    sums[5] = block->odd1;
    sums[6] = block->odd2;
    sums[7] = block->odd3;
}

#endif
