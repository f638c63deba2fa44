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

#if QPS_HELIUM
/* Where rows are as long as the column is wide; there is one event at least. */
void qps_sum_column(uint32_t bits, const qps_column_t *column, const uint16_t *events, const uint16_t *end,
                    uint32_t *sums);
#endif

#endif
