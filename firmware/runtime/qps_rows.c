#include "qps_rows.h"

#include "qps_blocks.h"

typedef void qps_part_fn(const qps_blocks_t *part);
typedef void qps_rest_fn(const qps_blocks_t *rest, uint32_t bits);

#if !(QPS_BLOCKS || QPS_NARROW_BLOCKS)
/* Words side by side, count of them: all first sums of theirs follow each other, then all second ones. */
QPS_MERGED void qps_sum_side_by_side(uint32_t bits, qps_part_fn *words, const qps_blocks_t *part, uint32_t count)
{
    const uint32_t shares = bits == 2U ? 2U : 1U;
    uint32_t sums[8];
    qps_blocks_t word = *part;
    word.sums = sums;
    word.size = 4U * count;
    for (uint32_t k = 0U; k < count; k++, word.codes += 4) {
        words(&word);
        for (uint32_t pair = 0U; pair < 16U / bits; pair++) {
            part->sums[(pair / shares * count + k) * shares + pair % shares] = sums[pair];
        }
    }
}

QPS_MERGED void qps_sum_blocks(uint32_t bits, qps_part_fn *words, const qps_blocks_t *blocks)
{
    qps_blocks_t block = *blocks;
    for (uint32_t k = 0U; k < blocks->count; k++, block.codes += blocks->size) {
        block.sums = qps_block_sums(bits, k, blocks->sums);
        qps_sum_side_by_side(bits, words, &block, bits == 2U ? 2U : 4U);
    }
}

static void qps_blocks_2(const qps_blocks_t *blocks)
{
    qps_sum_blocks(2U, qps_words_2, blocks);
}

static void qps_blocks_4(const qps_blocks_t *blocks)
{
    qps_sum_blocks(4U, qps_words_4, blocks);
}

static void qps_blocks_8(const qps_blocks_t *blocks)
{
    qps_sum_blocks(8U, qps_words_8, blocks);
}

static void qps_halves_4(const qps_blocks_t *halves)
{
    qps_sum_side_by_side(4U, qps_words_4, halves, 2U);
}

static void qps_halves_8(const qps_blocks_t *halves)
{
    qps_sum_side_by_side(8U, qps_words_8, halves, 2U);
}
#endif

static void qps_clear_sums(const qps_rows_t *rows, uint32_t *sums)
{
    for (uint32_t group = qps_rows_groups(rows); group > 0U; group--, sums += QPS_GROUP_SUMS) {
        qps_clear_words(sums, QPS_PAIRS);
    }
}

/* The loops for one width of codes; whole blocks of 2 bits are as long as halves of others. */
typedef struct {
    qps_part_fn *blocks, *halves, *words;
    qps_rest_fn *rest;
} qps_loops_t;

/* The part of rows at codes, bytes of them in each row, and what stands behind it. */
static inline const uint8_t *qps_enter_part(qps_blocks_t *part, const uint8_t *codes, const qps_list_t *list,
                                            const qps_rows_t *rows, uint32_t bytes)
{
    /* Where row 0 would be if the list's origin were row 0 of codes. */
    part->codes = (const uint8_t *)((uintptr_t)codes - list->origin * bytes);
    part->size = bytes;
    part->count = 1U;
    return codes + rows->rows * bytes;
}

/* Written once for all widths of codes: bits, halves and loops are constants wherever it is called. */
QPS_MERGED void qps_sum_rows(uint32_t bits, int halves, const qps_loops_t *loops, const qps_rows_t *rows,
                             const qps_list_t *list, uint32_t *sums)
{
    const uint32_t shift = bits == 2U ? 3U : 4U; /* of the bytes of a block */
    const uint32_t blocks = (uint32_t)rows->bytes >> shift;
    const uint8_t *codes = rows->codes;
    qps_blocks_t part;
    if (list->count == 0U) {
        qps_clear_sums(rows, sums);
        return;
    }
    part.events = list->events;
    part.end = list->events + list->count;
    part.sums = sums;
    if (blocks > 0U) {
        (void)qps_enter_part(&part, codes, list, rows, UINT32_C(1) << shift);
        part.size = (uint32_t)rows->rows << shift;
        part.count = blocks;
        loops->blocks(&part);
        codes += blocks * part.size;
        part.sums = qps_block_sums(bits, blocks, sums);
    }
    if (halves && (rows->bytes & 8U) != 0U) {
        codes = qps_enter_part(&part, codes, list, rows, 8U);
        loops->halves(&part);
        part.sums += 32U / bits;
    }
    if ((rows->bytes & 4U) != 0U) {
        codes = qps_enter_part(&part, codes, list, rows, 4U);
        loops->words(&part);
        part.sums += 16U / bits;
    }
    if ((rows->bytes & 3U) != 0U) {
        (void)qps_enter_part(&part, codes, list, rows, rows->bytes & 3U);
        loops->rest(&part, rows->rest_bits);
    }
}

void qps_rows_sum_2(const qps_rows_t *rows, const qps_list_t *list, uint32_t *sums)
{
    static const qps_loops_t loops = {qps_blocks_2, NULL, qps_words_2, qps_rest_2};
    qps_sum_rows(2U, 0, &loops, rows, list, sums);
}

void qps_rows_sum_4(const qps_rows_t *rows, const qps_list_t *list, uint32_t *sums)
{
    static const qps_loops_t loops = {qps_blocks_4, NULL, qps_words_4, qps_rest_4};
    qps_sum_rows(4U, 0, &loops, rows, list, sums);
}

void qps_rows_sum_halves_4(const qps_rows_t *rows, const qps_list_t *list, uint32_t *sums)
{
    static const qps_loops_t loops = {qps_blocks_4, qps_halves_4, qps_words_4, qps_rest_4};
    qps_sum_rows(4U, 1, &loops, rows, list, sums);
}

void qps_rows_sum_8(const qps_rows_t *rows, const qps_list_t *list, uint32_t *sums)
{
    static const qps_loops_t loops = {qps_blocks_8, NULL, qps_words_8, qps_rest_8};
    qps_sum_rows(8U, 0, &loops, rows, list, sums);
}

void qps_rows_sum_halves_8(const qps_rows_t *rows, const qps_list_t *list, uint32_t *sums)
{
    static const qps_loops_t loops = {qps_blocks_8, qps_halves_8, qps_words_8, qps_rest_8};
    qps_sum_rows(8U, 1, &loops, rows, list, sums);
}
