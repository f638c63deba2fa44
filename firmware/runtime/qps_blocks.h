/* The inner loops of qps_rows.c, for cores that have registers enough: the rows of all blocks of a row set, each block's added up
 * from the first event to the last. */
#ifndef QPS_BLOCKS_H
#define QPS_BLOCKS_H

#include "qps_lanes.h"
#include "qps_rows.h"

/* Words of 4-bit lanes that lanes of 8 bits have room for, and of 2-bit lanes that those of 4 bits have room for. */
#define QPS_NIBBLE_ROWS 17U
#define QPS_CRUMB_ROWS 5U

#if QPS_BLOCKS || QPS_NARROW_BLOCKS
typedef struct {
    const uint8_t *codes; /* of the first block, moved back by the list's origin */
    const uint16_t *
        events; /* at least one; up to 6 bytes before the first may be read, and count for nothing: memory must be there */
    const uint16_t *end; /* of the events */
    uint32_t *sums;      /* of the first block's first pair, written */
    uint32_t size;       /* bytes from block to block */
    uint32_t count;      /* of blocks, at least one */
} qps_blocks_t;

/* Sums of block k go to sums + k * QPS_GROUP_SUMS; those of 8-bit codes, of which two blocks make a group, to
 * sums + k / 2 * QPS_GROUP_SUMS + k % 2 * QPS_PAIRS / 2. */
void qps_blocks_2(const qps_blocks_t *blocks);
void qps_blocks_4(const qps_blocks_t *blocks);
void qps_blocks_8(const qps_blocks_t *blocks);

#if !QPS_HELIUM
void qps_block_2(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums);
void qps_block_4(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums);
void qps_block_8(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums);
#endif
#endif

#endif
