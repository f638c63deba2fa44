/* The inner loops of qps_rows.c, for cores that have registers enough: rows of all whole blocks, added up from the
 * first event to the last. */
#ifndef QPS_BLOCKS_H
#define QPS_BLOCKS_H

#include "qps_lanes.h"
#include "qps_rows.h"

/* Where single words are added up in assembly too, from any address that can be read. */
#define QPS_WORDS ((QPS_BLOCKS || QPS_NARROW_BLOCKS) && !QPS_HELIUM)

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
    uint32_t size;       /* bytes from block to block; of words and rests: from row to row */
    uint32_t count;      /* of blocks, at least one; of anything else: 1 */
} qps_blocks_t;

/* Where the sums of block k are written, or those of the first word behind k blocks: two blocks of 8-bit codes make
 * a group. */
static inline uint32_t *qps_block_sums(uint32_t bits, uint32_t k, uint32_t *sums)
{
    return sums + (bits == 8U ? k / 2U * QPS_GROUP_SUMS + k % 2U * (QPS_PAIRS / 2U) : k * QPS_GROUP_SUMS);
}

#if QPS_BLOCKS || QPS_NARROW_BLOCKS
void qps_blocks_2(const qps_blocks_t *blocks);
void qps_blocks_4(const qps_blocks_t *blocks);
void qps_blocks_8(const qps_blocks_t *blocks);

/* Half a block: rows of two words. */
void qps_halves_4(const qps_blocks_t *halves);
void qps_halves_8(const qps_blocks_t *halves);
#endif

/* A word of rows. */
void qps_words_2(const qps_blocks_t *words);
void qps_words_4(const qps_blocks_t *words);
void qps_words_8(const qps_blocks_t *words);
#if QPS_WORDS
/* Half a word: 8 channels, their sums in order. */
void qps_half_words_2(const qps_blocks_t *halves);
#endif

/* The bytes that remain, size of them: of 2 bits one or two, else up to three; bits: of the codes of a single one. */
void qps_rest_2(const qps_blocks_t *rest, uint32_t bits);
void qps_rest_4(const qps_blocks_t *rest, uint32_t bits);
void qps_rest_8(const qps_blocks_t *rest, uint32_t bits);

#endif
