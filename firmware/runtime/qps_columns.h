/* What remains of rows of codes behind their last whole block. */
#ifndef QPS_COLUMNS_H
#define QPS_COLUMNS_H

#include "qps_lanes.h"

/* A column: one word of every row, or the bytes that remain of it. */
typedef struct {
    const uint8_t *codes;
    uint32_t stride;  /* bytes from row to row */
    uint32_t bytes;   /* of the word that count: what follows them ends up in sums that nobody reads */
    uint32_t spacing; /* of its pairs of sums */
} qps_column_t;

/* Where rows are as long as the column is wide; there is one event at least. */
typedef void qps_sum_column_t(const qps_column_t *column, const uint16_t *events, const uint16_t *end, uint32_t *sums);

#if QPS_HELIUM
qps_sum_column_t qps_sum_column_2;
qps_sum_column_t qps_sum_column_4;
qps_sum_column_t qps_sum_column_8;
#endif

/* Sums of 8-bit codes, of a word's even and of its odd bytes, to pairs of sums. */
static inline void qps_place_bytes(const qps_column_t *column, uint32_t even, uint32_t odd, uint32_t *sums)
{
    if (column->bytes == 4U) {
        sums[0] = even;
        sums[column->spacing] = odd;
    } else {
        sums[0] = (even & 0xFFFFU) | odd << 16;
        sums[1] = even >> 16 | (odd & 0xFFFF0000U);
    }
}

#endif
