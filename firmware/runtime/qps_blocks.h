/* The inner loops of qps_rows.c, for cores that have registers enough: rows of all whole blocks, added up from the first event to the last. */
#ifndef QPS_BLOCKS_H
#define QPS_BLOCKS_H

#include "qps_lanes.h"
#include "qps_rows.h"

/* Words of 4-bit lanes that lanes of 8 bits have room for, and of 2-bit lanes that those of 4 bits have room for. */
#define QPS_NIBBLE_ROWS 17U
#define QPS_CRUMB_ROWS 5U

/* Assembly knows the order. */
typedef struct {
    const uint8_t *codes; /* of the first block, moved back by the list's origin */
    const uint16_t
        *events; /* at least one; there is memory for three more before it, which may be read and count for nothing */
    const uint16_t *end; /* of the events */
    uint32_t *sums;      /* of the first block, written */
    uint32_t size;       /* bytes from block to block */
    uint32_t count;      /* of blocks, at least one */
} qps_blocks_t;

/* Where the sums of block k are written, or those of the first word behind k blocks: two blocks of 8-bit codes make a group. */
static inline uint32_t *qps_block_sums(uint32_t bits, uint32_t k, uint32_t *sums)
{
    return sums + (bits == 8U ? k / 2U * QPS_GROUP_SUMS + k % 2U * (QPS_PAIRS / 2U) : k * QPS_GROUP_SUMS);
}

#if QPS_BLOCKS || QPS_NARROW_BLOCKS
void qps_blocks_2(const qps_blocks_t *blocks);
void qps_blocks_4(const qps_blocks_t *blocks);
void qps_blocks_8(const qps_blocks_t *blocks);
#endif

#endif
