/* Adding up rows of packed weight codes, all output channels of a layer at once: the inner loop of event-driven layers.
 *
 * An event is the index of a row: of the input whose spike adds that row's codes to the sums of all outputs.
 *
 * Layout of codes: blocks of output channels one after the other, each block [row][bytes]. Blocks are 16 bytes wide (2-bit codes: 8)
 * as long as that many are left, then 4 bytes. Within a word, code k is bits k * bits up; which channel it belongs to
 * follows from where its sum goes: sums are 16-bit lanes in pairs, a pair per 32-bit word, in the order the words' lanes
 * come apart. Sums of QPS_STEPS timesteps lie side by side: pair p of timestep t is word p * QPS_STEPS + t. The generator permutes channels so that pair p of a group of 32 channels is (p, p + 16), and so that
 * in a last, smaller group pair p is (2 p, 2 p + 1).
 * Range: the generator has proven that a row set of any events sums to less than 2^16 in every channel. */
#ifndef QPS_ROWS_H
#define QPS_ROWS_H

#include "qps_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Timesteps that are computed together. */
#define QPS_STEPS 4U

typedef struct {
    const uint8_t *codes; /* 4-byte aligned */
    uint16_t rows;        /* in each block */
    uint16_t words;       /* 32-bit words of one row, all blocks together */
    uint8_t bits;         /* 2, 4 or 8 */
} qps_rows_t;

/* Pairs of sums of a row set. */
static inline uint32_t qps_rows_sums(const qps_rows_t *rows)
{
    return rows->words * (16U / rows->bits);
}

/* Every QPS_STEPS-th word from sums on, qps_rows_sums() of them, = the sums of the count rows that events lists. */
void qps_rows_sum(const qps_rows_t *rows, const uint16_t *events, uint32_t count, uint32_t *sums);

#ifdef __cplusplus
}
#endif
#endif
