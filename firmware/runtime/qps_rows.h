/* Adding up rows of packed weight codes, all output channels of a layer at once: the inner loop of event-driven layers.
 *
 * An event is the index of a row: of the input whose spike adds that row's codes to the sums of all outputs.
 *
 * Layout of codes: a row is cut into blocks of 16 bytes (2-bit codes: 8) as long as that many are left, then half a
 * block of 8 bytes, then a word of 4, then one to three bytes that remain; all rows of the first block follow each
 * other, then those of the second, and so on. Three bytes after the last row may be read. Within a word, code k is bits
 * k * bits up; which channel it belongs to follows from where its sum goes. Sums are 16-bit lanes in pairs, a pair per
 * 32-bit word, in the order in which blocks and words come apart (qps_blocks.h). The generator permutes channels so
 * that pair p of a group of n channels, 32 of them or what is left, is (p, p + (n + 1) / 2).
 * Range: the rows of a list sum to less than 2^16 in every channel. */
#ifndef QPS_ROWS_H
#define QPS_ROWS_H

#include "qps_types.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Timesteps that are computed together. */
#define QPS_STEPS 4U

/* Pairs of sums of a group of 32 channels. Sums lie in memory as [group][timestep][pair]. */
#define QPS_PAIRS 16U
#define QPS_GROUP_SUMS (QPS_STEPS * QPS_PAIRS)

/* Events: each is a row, with origin added. */
typedef struct {
    const uint16_t *events;
    uint32_t count;
    uint32_t origin;
} qps_list_t;

typedef struct qps_rows qps_rows_t;

/* The sums of the rows in a list, of one timestep: sums is its place in the first group. */
typedef void qps_rows_sum_t(const qps_rows_t *rows, const qps_list_t *list, uint32_t *sums);

struct qps_rows {
    const uint8_t *codes; /* 4-byte aligned */
    qps_rows_sum_t
        *sum; /* that of the width of codes, and of rows with half a block if they have one: an image has no other */
    uint16_t rows;  /* in each block */
    uint16_t bytes; /* of one row, all blocks together */
    uint8_t bits;   /* 2, 4 or 8 */
    uint8_t
        rest_bits; /* of the codes in a byte that remains: 4 where two 2-bit codes have one for themselves, else bits */
};

qps_rows_sum_t qps_rows_sum_2;
qps_rows_sum_t qps_rows_sum_4;
qps_rows_sum_t qps_rows_sum_8;
qps_rows_sum_t qps_rows_sum_halves_4;
qps_rows_sum_t qps_rows_sum_halves_8;

/* Codes of a byte, 8 / bits: some cores cannot divide. */
static inline uint32_t qps_rows_density(const qps_rows_t *rows)
{
    return rows->bits == 8U ? 1U : rows->bits == 4U ? 2U : 4U;
}

/* Groups of sums of a row set. */
static inline uint32_t qps_rows_groups(const qps_rows_t *rows)
{
    return (rows->bytes * qps_rows_density(rows) + 31U) / 32U;
}

#ifdef __cplusplus
}
#endif
#endif
