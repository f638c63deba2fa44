#include "qps_rows.h"

#include "qps_lanes.h"

/* Events until a lane of 8 bits may be full: of 4-bit codes, and of 2-bit codes in two levels. */
#define QPS_CHUNK_4 17U
#define QPS_CHUNK_2 85U
#define QPS_CHUNK_2_INNER 5U

static void qps_clear_sums(uint32_t *sums, uint32_t count)
{
    for (uint32_t k = 0U; k < count; k++) {
        sums[k * QPS_STEPS] = 0U;
    }
}

/* Add the upper code of each pair of 4-bit codes. */
static inline uint32_t qps_add_upper_4(uint32_t sums, uint32_t word)
{
    uint32_t upper = word & UINT32_C(0xF0F0F0F0);
    QPS_KEEP(upper);
    return sums + (upper >> 4);
}

/* Four 8-bit lanes each, of the lower and of the upper codes, to pairs of 16-bit sums. */
static inline void qps_spread_4(uint32_t all, uint32_t upper, int first, uint32_t *sums)
{
    const uint32_t lower = all - (upper << 4);
    if (first != 0) {
        sums[0] = qps_even_bytes(lower);
        sums[1U * QPS_STEPS] = qps_odd_bytes(lower);
        sums[2U * QPS_STEPS] = qps_even_bytes(upper);
        sums[3U * QPS_STEPS] = qps_odd_bytes(upper);
    } else {
        sums[0] = qps_add_even_bytes(sums[0], lower);
        sums[1U * QPS_STEPS] = qps_add_odd_bytes(sums[1U * QPS_STEPS], lower);
        sums[2U * QPS_STEPS] = qps_add_even_bytes(sums[2U * QPS_STEPS], upper);
        sums[3U * QPS_STEPS] = qps_add_odd_bytes(sums[3U * QPS_STEPS], upper);
    }
}

/* One word of 4-bit codes per event: 8 channels. Rows are 1 << shift bytes apart. */
QPS_ALONE static void qps_sum_word_4(const uint8_t *codes, uint32_t shift, const uint16_t *events, uint32_t count,
                                     uint32_t *sums)
{
    int first = 1;
    do {
        const uint32_t chunk = count < QPS_CHUNK_4 ? count : QPS_CHUNK_4;
        const uint16_t *const end = events + chunk;
        uint32_t all = 0U;
        uint32_t upper = 0U;
        while (events != end) {
            const uint32_t word = qps_load_word(codes + ((uint32_t)*events++ << shift));
            all += word;
            upper = qps_add_upper_4(upper, word);
        }
        qps_spread_4(all, upper, first, sums);
        first = 0;
        count -= chunk;
    } while (count > 0U);
}

#if !QPS_NARROW_CORE
typedef struct {
    uint32_t all0, all1, all2, all3;
    uint32_t upper0, upper1, upper2, upper3;
} qps_block_4_t;

/* Add one row of four words. */
static inline void qps_add_block_4(const uint8_t *row, qps_block_4_t *block)
{
    uint32_t word0, word1;
    qps_load_words(row + 8, &word0, &word1);
    block->all2 += word0;
    block->upper2 = qps_add_upper_4(block->upper2, word0);
    block->all3 += word1;
    block->upper3 = qps_add_upper_4(block->upper3, word1);
    qps_load_words(row, &word0, &word1);
    block->all0 += word0;
    block->upper0 = qps_add_upper_4(block->upper0, word0);
    block->all1 += word1;
    block->upper1 = qps_add_upper_4(block->upper1, word1);
    /* Row by row: sums of two rows first would need more registers than there are. */
    QPS_KEEP(block->all0);
    QPS_KEEP(block->all1);
    QPS_KEEP(block->all2);
    QPS_KEEP(block->all3);
    QPS_KEEP(block->upper0);
    QPS_KEEP(block->upper1);
    QPS_KEEP(block->upper2);
    QPS_KEEP(block->upper3);
}

/* Four words per event: 32 channels. */
QPS_ALONE static void qps_sum_block_4(const uint8_t *codes, const uint16_t *events, uint32_t count, uint32_t *sums)
{
    int first = 1;
    do {
        const uint32_t chunk = count < QPS_CHUNK_4 ? count : QPS_CHUNK_4;
        const uint16_t *const end = events + chunk;
        qps_block_4_t block = {0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U};
        if ((chunk & 1U) != 0U) {
            qps_add_block_4(codes + ((uint32_t)*events++ << 4), &block);
        }
        for (; events != end; events += 2) {
            qps_add_block_4(codes + ((uint32_t)events[0] << 4), &block);
            qps_add_block_4(codes + ((uint32_t)events[1] << 4), &block);
        }
        qps_spread_4(block.all0, block.upper0, first, &sums[0]);
        qps_spread_4(block.all1, block.upper1, first, &sums[4U * QPS_STEPS]);
        qps_spread_4(block.all2, block.upper2, first, &sums[8U * QPS_STEPS]);
        qps_spread_4(block.all3, block.upper3, first, &sums[12U * QPS_STEPS]);
        first = 0;
        count -= chunk;
    } while (count > 0U);
}
#endif

/* One word of 8-bit codes per event: 4 channels, straight to 16-bit lanes. */
QPS_ALONE static void qps_sum_word_8(const uint8_t *codes, uint32_t shift, const uint16_t *events, uint32_t count,
                                     uint32_t *sums)
{
    const uint16_t *const end = events + count;
    uint32_t even = 0U;
    uint32_t odd = 0U;
    while (events != end) {
        const uint32_t word = qps_load_word(codes + ((uint32_t)*events++ << shift));
        qps_add_bytes(word, &even, &odd);
    }
    sums[0] = qps_even_lanes(even, odd);
    sums[1U * QPS_STEPS] = odd;
}

#if !QPS_NARROW_CORE
typedef struct {
    uint32_t even0, even1, even2, even3;
    uint32_t odd0, odd1, odd2, odd3;
} qps_block_8_t;

/* Add one row of four words. */
static inline void qps_add_block_8(const uint8_t *row, qps_block_8_t *block)
{
    uint32_t word0, word1;
    qps_load_words(row + 8, &word0, &word1);
    qps_add_bytes(word0, &block->even2, &block->odd2);
    qps_add_bytes(word1, &block->even3, &block->odd3);
    qps_load_words(row, &word0, &word1);
    qps_add_bytes(word0, &block->even0, &block->odd0);
    qps_add_bytes(word1, &block->even1, &block->odd1);
    QPS_KEEP(block->even0);
    QPS_KEEP(block->even1);
    QPS_KEEP(block->even2);
    QPS_KEEP(block->even3);
    QPS_KEEP(block->odd0);
    QPS_KEEP(block->odd1);
    QPS_KEEP(block->odd2);
    QPS_KEEP(block->odd3);
}

/* Four words per event: 16 channels. */
QPS_ALONE static void qps_sum_block_8(const uint8_t *codes, const uint16_t *events, uint32_t count, uint32_t *sums)
{
    const uint16_t *const end = events + count;
    qps_block_8_t block = {0U, 0U, 0U, 0U, 0U, 0U, 0U, 0U};
    if ((count & 1U) != 0U) {
        qps_add_block_8(codes + ((uint32_t)*events++ << 4), &block);
    }
    for (; events != end; events += 2) {
        qps_add_block_8(codes + ((uint32_t)events[0] << 4), &block);
        qps_add_block_8(codes + ((uint32_t)events[1] << 4), &block);
    }
    sums[0] = qps_even_lanes(block.even0, block.odd0);
    sums[1U * QPS_STEPS] = block.odd0;
    sums[2U * QPS_STEPS] = qps_even_lanes(block.even1, block.odd1);
    sums[3U * QPS_STEPS] = block.odd1;
    sums[4U * QPS_STEPS] = qps_even_lanes(block.even2, block.odd2);
    sums[5U * QPS_STEPS] = block.odd2;
    sums[6U * QPS_STEPS] = qps_even_lanes(block.even3, block.odd3);
    sums[7U * QPS_STEPS] = block.odd3;
}
#endif

/* One word of 2-bit codes per event, 16 channels, in lanes of 4 bits: all codes, and the upper one of each pair. */
typedef struct {
    uint32_t all, upper;
} qps_word_2_t;

static inline void qps_add_word_2(uint32_t word, qps_word_2_t *sum)
{
    uint32_t upper = word & UINT32_C(0xCCCCCCCC);
    QPS_KEEP(upper);
    sum->all += word;
    sum->upper += upper >> 2;
}

/* The same in lanes of 8 bits. */
typedef struct {
    uint32_t lane0, lane1, lane2, lane3;
} qps_lanes_2_t;

/* Move what a word has gathered to wider lanes. */
static inline void qps_spread_word_2(qps_word_2_t *sum, qps_lanes_2_t *lanes)
{
    const uint32_t lower = sum->all - (sum->upper << 2);
    lanes->lane0 += lower & UINT32_C(0x0F0F0F0F);
    lanes->lane1 += (lower >> 4) & UINT32_C(0x0F0F0F0F);
    lanes->lane2 += sum->upper & UINT32_C(0x0F0F0F0F);
    lanes->lane3 += (sum->upper >> 4) & UINT32_C(0x0F0F0F0F);
    sum->all = 0U;
    sum->upper = 0U;
}

/* From there to the 16-bit sums. */
static inline void qps_spread_lane_2(uint32_t lane, int first, uint32_t *sums)
{
    sums[0] = first != 0 ? qps_even_bytes(lane) : qps_add_even_bytes(sums[0], lane);
    sums[QPS_STEPS] = first != 0 ? qps_odd_bytes(lane) : qps_add_odd_bytes(sums[QPS_STEPS], lane);
}

static inline void qps_spread_lanes_2(const qps_lanes_2_t *lanes, int first, uint32_t *sums)
{
    qps_spread_lane_2(lanes->lane0, first, &sums[0]);
    qps_spread_lane_2(lanes->lane1, first, &sums[2U * QPS_STEPS]);
    qps_spread_lane_2(lanes->lane2, first, &sums[4U * QPS_STEPS]);
    qps_spread_lane_2(lanes->lane3, first, &sums[6U * QPS_STEPS]);
}

/* words (1 or 2, a constant) words per event. */
static inline void qps_add_row_2(const uint8_t *codes, uint32_t words, uint32_t event, qps_word_2_t *sum0,
                                 qps_word_2_t *sum1)
{
    if (words == 2U) {
        uint32_t word0, word1;
        qps_load_words(codes + (event << 3), &word0, &word1);
        qps_add_word_2(word0, sum0);
        qps_add_word_2(word1, sum1);
    } else {
        qps_add_word_2(qps_load_word(codes + (event << 2)), sum0);
    }
}

static inline void qps_sum_words_2(const uint8_t *codes, uint32_t words, const uint16_t *events, uint32_t count,
                                   uint32_t *sums)
{
    int first = 1;
    do {
        uint32_t chunk = count < QPS_CHUNK_2 ? count : QPS_CHUNK_2;
        qps_lanes_2_t lanes0 = {0U, 0U, 0U, 0U};
        qps_lanes_2_t lanes1 = {0U, 0U, 0U, 0U};
        qps_word_2_t sum0 = {0U, 0U};
        qps_word_2_t sum1 = {0U, 0U};
        count -= chunk;
        for (; chunk >= QPS_CHUNK_2_INNER; chunk -= QPS_CHUNK_2_INNER) {
            qps_add_row_2(codes, words, events[0], &sum0, &sum1);
            qps_add_row_2(codes, words, events[1], &sum0, &sum1);
            qps_add_row_2(codes, words, events[2], &sum0, &sum1);
            qps_add_row_2(codes, words, events[3], &sum0, &sum1);
            qps_add_row_2(codes, words, events[4], &sum0, &sum1);
            events += QPS_CHUNK_2_INNER;
            qps_spread_word_2(&sum0, &lanes0);
            qps_spread_word_2(&sum1, &lanes1);
        }
        for (; chunk > 0U; chunk--) {
            qps_add_row_2(codes, words, *events++, &sum0, &sum1);
        }
        qps_spread_word_2(&sum0, &lanes0);
        qps_spread_lanes_2(&lanes0, first, sums);
        if (words == 2U) {
            qps_spread_word_2(&sum1, &lanes1);
            qps_spread_lanes_2(&lanes1, first, sums + 8U * QPS_STEPS);
        }
        first = 0;
    } while (count > 0U);
}

QPS_ALONE static void qps_sum_word_2(const uint8_t *codes, const uint16_t *events, uint32_t count, uint32_t *sums)
{
    qps_sum_words_2(codes, 1U, events, count, sums);
}

QPS_ALONE static void qps_sum_block_2(const uint8_t *codes, const uint16_t *events, uint32_t count, uint32_t *sums)
{
    qps_sum_words_2(codes, 2U, events, count, sums);
}

void qps_rows_sum(const qps_rows_t *rows, const uint16_t *events, uint32_t count, uint32_t *sums)
{
    const uint8_t *codes = rows->codes;
    const uint32_t word_sums = 16U / rows->bits * QPS_STEPS;
    const uint32_t block_words = rows->bits == 2U ? 2U : 4U;
    uint32_t word = 0U;
    if (count == 0U) {
        qps_clear_sums(sums, qps_rows_sums(rows));
        return;
    }
    for (; word + block_words <= rows->words; word += block_words) {
        if (rows->bits == 2U) {
            qps_sum_block_2(codes, events, count, sums);
        } else {
#if QPS_NARROW_CORE
            for (uint32_t k = 0U; k < 4U; k++) {
                if (rows->bits == 4U) {
                    qps_sum_word_4(codes + 4U * k, 4U, events, count, sums + k * word_sums);
                } else {
                    qps_sum_word_8(codes + 4U * k, 4U, events, count, sums + k * word_sums);
                }
            }
#else
            if (rows->bits == 4U) {
                qps_sum_block_4(codes, events, count, sums);
            } else {
                qps_sum_block_8(codes, events, count, sums);
            }
#endif
        }
        codes += (size_t)rows->rows * block_words * 4U;
        sums += block_words * word_sums;
    }
    for (; word < rows->words; word++) {
        if (rows->bits == 2U) {
            qps_sum_word_2(codes, events, count, sums);
        } else if (rows->bits == 4U) {
            qps_sum_word_4(codes, 2U, events, count, sums);
        } else {
            qps_sum_word_8(codes, 2U, events, count, sums);
        }
        codes += (size_t)rows->rows * 4U;
        sums += word_sums;
    }
}
