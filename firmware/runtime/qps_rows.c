#include "qps_rows.h"

#include "qps_blocks.h"
#include "qps_columns.h"

static inline uint32_t qps_least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The end of the next chunk of events. */
static inline const uint16_t *qps_chunk_end(const uint16_t *events, const uint16_t *end, uint32_t most)
{
    return end - events > (ptrdiff_t)most ? events + most : end;
}

static void qps_clear_sums(const qps_rows_t *rows, uint32_t *sums)
{
    for (uint32_t group = qps_rows_groups(rows); group > 0U; group--, sums += QPS_GROUP_SUMS) {
        qps_clear_words(sums, QPS_PAIRS);
    }
}

#if !QPS_HELIUM
/* 16 2-bit codes of a word, in lanes of 4 bits: all, and the upper one of each pair. */
static inline void qps_add_crumbs(uint32_t word, uint32_t *all, uint32_t *upper)
{
    uint32_t odd = word & UINT32_C(0xCCCCCCCC);
    QPS_KEEP(odd);
    *all += word;
    *upper += odd >> 2;
}

static inline uint32_t qps_load_column(const qps_column_t *column, uint32_t event)
{
    const uint8_t *const codes = column->codes + event * column->stride;
#if QPS_UNALIGNED
    uint32_t word;
    memcpy(&word, codes, sizeof word);
    return word;
#else
    if (column->bytes == 4U) {
        return qps_load_word(codes);
    }
    return qps_load_bytes(codes, column->bytes);
#endif
}

static inline void qps_keep_sum(uint32_t pair, int first, uint32_t *sum)
{
    *sum = first != 0 ? pair : *sum + pair;
}

/* A word of 4-bit lanes to four pairs of sums. */
QPS_ALONE static void qps_spread_word(const qps_column_t *column, uint32_t all, uint32_t upper, int first,
                                      uint32_t *sums)
{
    const uint32_t lower = all - (upper << 4);
    qps_keep_sum(qps_even_bytes(lower), first, sums);
    qps_keep_sum(qps_odd_bytes(lower), first, sums + column->spacing);
    qps_keep_sum(qps_even_bytes(upper), first, sums + 2U * column->spacing);
    qps_keep_sum(qps_odd_bytes(upper), first, sums + 3U * column->spacing);
}

/* Bytes of two words that remain of a row to pairs of sums, one of each. */
QPS_ALONE static void qps_spread_rest(const qps_column_t *column, uint32_t word0, uint32_t word1, int first,
                                      uint32_t *sums)
{
    for (uint32_t bytes = column->bytes; bytes > 0U; bytes--, sums += column->spacing, word0 >>= 8, word1 >>= 8) {
        qps_keep_sum((word0 & 0xFFU) | (word1 & 0xFFU) << 16, first, sums);
    }
}

QPS_ALONE static void qps_sum_column_2(const qps_column_t *column, const uint16_t *events, const uint16_t *end,
                                       uint32_t *sums)
{
    int first = 1;
    do {
        const uint16_t *const last = qps_chunk_end(events, end, QPS_NIBBLE_ROWS * QPS_CRUMB_ROWS);
        uint32_t all0 = 0U, all1 = 0U, upper0 = 0U, upper1 = 0U;
        while (events != last) {
            const uint16_t *const part = qps_chunk_end(events, last, QPS_CRUMB_ROWS);
            uint32_t all = 0U, upper = 0U;
            while (events != part) {
                qps_add_crumbs(qps_load_column(column, *events++), &all, &upper);
            }
            qps_add_nibbles(all - (upper << 2), &all0, &upper0);
            qps_add_nibbles(upper, &all1, &upper1);
        }
        if (column->bytes == 4U) {
            qps_spread_word(column, all0, upper0, first, sums);
            qps_spread_word(column, all1, upper1, first, sums + 1);
        } else {
            qps_spread_rest(column, all0 - (upper0 << 4), all1 - (upper1 << 4), first, sums);
            qps_spread_rest(column, upper0, upper1, first, sums + 1);
        }
        first = 0;
    } while (events != end);
}

/* A last byte of 4-bit codes, two channels: their sums fit a register as they are. */
static inline void qps_sum_byte_4(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums)
{
    uint32_t all = 0U, upper = 0U;
    if (((uint32_t)(end - events) & 1U) != 0U) {
        all = codes[*events];
        upper = all >> 4;
        events++;
    }
    for (; events != end; events += 2) {
        const uint32_t byte0 = codes[events[0]], byte1 = codes[events[1]];
        all += byte0;
        upper += byte0 >> 4;
        all += byte1;
        upper += byte1 >> 4;
    }
    sums[0] = (all - (upper << 4)) | upper << 16;
}

QPS_ALONE static void qps_sum_column_4(const qps_column_t *column, const uint16_t *events, const uint16_t *end,
                                       uint32_t *sums)
{
    int first = 1;
    if (column->bytes == 1U) {
        qps_sum_byte_4(column->codes, events, end, sums);
        return;
    }
    do {
        const uint16_t *const last = qps_chunk_end(events, end, QPS_NIBBLE_ROWS);
        uint32_t all = 0U, upper = 0U;
        while (events != last) {
            qps_add_nibbles(qps_load_column(column, *events++), &all, &upper);
        }
        if (column->bytes == 4U) {
            qps_spread_word(column, all, upper, first, sums);
        } else {
            qps_spread_rest(column, all - (upper << 4), upper, first, sums);
        }
        first = 0;
    } while (events != end);
}

QPS_ALONE static void qps_sum_column_8(const qps_column_t *column, const uint16_t *events, const uint16_t *end,
                                       uint32_t *sums)
{
    uint32_t even = 0U, odd = 0U;
    for (; events != end; events++) {
        qps_add_bytes(qps_load_column(column, *events), &even, &odd);
    }
    even = qps_even_lanes(even, odd);
    qps_place_bytes(column, even, odd, sums);
}
#endif

/* What follows is written once for all widths of codes: bits and column are constants wherever it is called. */
QPS_MERGED void qps_sum_blocks(uint32_t bits, qps_sum_column_t *column, const qps_blocks_t *blocks)
{
#if QPS_BLOCKS || QPS_NARROW_BLOCKS
    (void)column;
    if (bits == 4U) {
        qps_blocks_4(blocks);
    } else if (bits == 2U) {
        qps_blocks_2(blocks);
    } else {
        qps_blocks_8(blocks);
    }
#else
    /* Word by word. */
    const uint32_t stride = bits == 2U ? 8U : 16U;
    for (uint32_t k = 0U; k < blocks->count; k++) {
        uint32_t *sums = qps_block_sums(bits, k, blocks->sums);
        qps_column_t words = {blocks->codes + k * blocks->size, stride, 4U, 4U};
        for (uint32_t byte = 0U; byte < stride; byte += 4U, words.codes += 4, sums += bits == 2U ? 2 : 1) {
            column(&words, blocks->events, blocks->end, sums);
        }
    }
#endif
}

/* The words and bytes that remain of rows behind their blocks. */
QPS_MERGED void qps_sum_rest(uint32_t bits, qps_sum_column_t *column, const qps_rows_t *rows, const qps_list_t *list,
                             uint32_t left, const uint8_t *codes, uint32_t *sums)
{
    do {
        const uint32_t bytes = qps_least(left, 4U);
        const uint8_t *const base = (const uint8_t *)((uintptr_t)codes - list->origin * bytes);
        const qps_column_t words = {base, bytes, bytes, bits == 2U ? 2U : 1U};
        column(&words, list->events, list->events + list->count, sums);
        codes += rows->rows * bytes;
        sums += 16U / bits;
        left -= bytes;
    } while (left > 0U);
}

QPS_MERGED void qps_sum_rows(uint32_t bits, qps_sum_column_t *column, const qps_rows_t *rows, const qps_list_t *list,
                             uint32_t *sums)
{
    const uint32_t shift = bits == 2U ? 3U : 4U; /* of the bytes of a block */
    const uint32_t left = rows->bytes & ((UINT32_C(1) << shift) - 1U);
    qps_blocks_t blocks;
    if (list->count == 0U) {
        qps_clear_sums(rows, sums);
        return;
    }
    /* Where row 0 would be if the list's origin were row 0 of codes. */
    blocks.codes = (const uint8_t *)((uintptr_t)rows->codes - (list->origin << shift));
    blocks.events = list->events;
    blocks.end = list->events + list->count;
    blocks.sums = sums;
    blocks.size = (uint32_t)rows->rows << shift;
    blocks.count = (uint32_t)rows->bytes >> shift;
    if (blocks.count > 0U) {
        qps_sum_blocks(bits, column, &blocks);
    }
    if (left > 0U) {
        qps_sum_rest(bits, column, rows, list, left, rows->codes + blocks.count * blocks.size,
                     qps_block_sums(bits, blocks.count, sums));
    }
}

void qps_rows_sum_2(const qps_rows_t *rows, const qps_list_t *list, uint32_t *sums)
{
    qps_sum_rows(2U, qps_sum_column_2, rows, list, sums);
}

void qps_rows_sum_4(const qps_rows_t *rows, const qps_list_t *list, uint32_t *sums)
{
    qps_sum_rows(4U, qps_sum_column_4, rows, list, sums);
}

void qps_rows_sum_8(const qps_rows_t *rows, const qps_list_t *list, uint32_t *sums)
{
    qps_sum_rows(8U, qps_sum_column_8, rows, list, sums);
}
