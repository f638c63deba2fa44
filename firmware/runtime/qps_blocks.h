/* The inner loops of qps_rows.c, for cores that have registers enough: rows of one block, added up from the first event to the last.
 *
 * codes: the block's rows; events: at least one, up to end; sums: of the block's first pair, written. */
#ifndef QPS_BLOCKS_H
#define QPS_BLOCKS_H

#include "qps_lanes.h"

/* Words of 4-bit lanes that lanes of 8 bits have room for, and of 2-bit lanes that those of 4 bits have room for. */
#define QPS_NIBBLE_ROWS 17U
#define QPS_CRUMB_ROWS 5U

#if QPS_BLOCKS || QPS_NARROW_BLOCKS
void qps_block_2(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums);
void qps_block_4(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums);
void qps_block_8(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums);
#endif

#endif
