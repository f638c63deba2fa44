#include "qps_counts.h"

#include "qps_lanes.h"
#include "qps_trace.h"

/* An input that spiked: how often in the highest byte, and below where its row begins. */
#define QPS_PLACE_BITS 24U
#define QPS_PLACE_MASK UINT32_C(0x00FFFFFF)

/* The word of a row that begins at these codes as four words of lanes: code k in word k % 4. */
static inline void qps_part_codes(const uint8_t *codes, uint32_t bits, uint32_t parts[4])
{
    const uint32_t mask = bits == 4U ? UINT32_C(0x000F000F) : UINT32_C(0x03030303);
    if (bits == 8U) {
        parts[0] = codes[0];
        parts[1] = codes[1];
        parts[2] = codes[2];
        parts[3] = codes[3];
    } else {
        const uint32_t word = qps_load_word(codes);
        parts[0] = word & mask;
        parts[1] = (word >> bits) & mask;
        parts[2] = (word >> (2U * bits)) & mask;
        parts[3] = (word >> (3U * bits)) & mask;
    }
}

/* A loop of its own for each width. Each sum keeps a register: vectors of four would take longer. */
static inline void qps_sum_lanes(const uint8_t *codes, const uint32_t *list, const uint32_t *end, uint32_t bits,
                                 uint32_t lanes[4])
{
    uint32_t sum0 = 0U;
    uint32_t sum1 = 0U;
    uint32_t sum2 = 0U;
    uint32_t sum3 = 0U;
    for (; list != end; list++) {
        const uint32_t times = *list >> QPS_PLACE_BITS;
        uint32_t parts[4];
        qps_part_codes(codes + (*list & QPS_PLACE_MASK), bits, parts);
        sum0 += times * parts[0];
        QPS_KEEP(sum0);
        sum1 += times * parts[1];
        QPS_KEEP(sum1);
        sum2 += times * parts[2];
        QPS_KEEP(sum2);
        sum3 += times * parts[3];
        QPS_KEEP(sum3);
    }
    lanes[0] = sum0;
    lanes[1] = sum1;
    lanes[2] = sum2;
    lanes[3] = sum3;
}

void qps_counts_lanes_2(const uint8_t *codes, const uint32_t *list, const uint32_t *end, uint32_t lanes[4])
{
    qps_sum_lanes(codes, list, end, 2U, lanes);
}

void qps_counts_lanes_4(const uint8_t *codes, const uint32_t *list, const uint32_t *end, uint32_t lanes[4])
{
    qps_sum_lanes(codes, list, end, 4U, lanes);
}

void qps_counts_lanes_8(const uint8_t *codes, const uint32_t *list, const uint32_t *end, uint32_t lanes[4])
{
    qps_sum_lanes(codes, list, end, 8U, lanes);
}

/* Add the rows of the inputs listed to the sums of all classes, a word of codes at a time. */
static void qps_add_counted(const qps_counts_t *layer, const uint32_t *list, const uint32_t *end, int32_t *sums)
{
    const uint32_t lane_bits = 4U * layer->bits;
    const uint8_t *codes = layer->codes;
    const int32_t *const last = sums + layer->classes;
    while (sums < last) {
        uint32_t lanes[4];
        layer->lanes(codes, list, end, lanes);
        for (uint32_t above = 32U; above > 0U;) {
            above -= lane_bits;
            for (uint32_t k = 0U; k < 4U && sums < last; k++, sums++) {
                *sums = (int32_t)((uint32_t)*sums + ((lanes[k] << above) >> (32U - lane_bits)));
            }
        }
        codes += sizeof(uint32_t);
    }
}

/* A readout while inputs are counted. */
typedef struct {
    const qps_counts_t *layer;
    int32_t *sums;
    uint32_t *list, *end;
    uint32_t total;
} qps_counting_t;

static inline qps_counting_t qps_begin_counting(const qps_counts_t *layer, int32_t *logits, int32_t *scratch)
{
    uint32_t *const list = (uint32_t *)scratch;
    const qps_counting_t counting = {layer, logits, list, list, 0U};
    memset(logits, 0, layer->classes * sizeof *logits);
    return counting;
}

/* The input whose row begins at that place. */
static inline void qps_count(qps_counting_t *counting, uint32_t row, uint32_t times)
{
    *counting->end++ = (times << QPS_PLACE_BITS) | row;
    counting->total += times;
    if (counting->end == counting->list + counting->layer->chunk) {
        qps_add_counted(counting->layer, counting->list, counting->end, counting->sums);
        counting->end = counting->list;
    }
}

static inline void qps_end_counting(const qps_counting_t *counting)
{
    const qps_counts_t *const layer = counting->layer;
    int32_t *const logits = counting->sums;
    qps_add_counted(layer, counting->list, counting->end, logits);
    for (uint32_t k = 0U; k < layer->classes; k++) {
        logits[k] = (int32_t)((uint32_t)logits[k] * layer->multiplier - counting->total * layer->zero_point);
    }
    qps_rescale(&layer->rescale, layer->classes, logits);
}

/* How often an input spiked: bit is its place in each of the frames' words. */
static uint32_t qps_count_spikes(const uint32_t *word, uint32_t frame, uint32_t timesteps, uint32_t bit)
{
    uint32_t times = 0U;
    for (; timesteps > 0U; timesteps--, word += frame) {
        times += (*word >> bit) & 1U;
    }
    return times;
}

void qps_counts_run(const qps_counts_t *layer, const void *input, int32_t *logits, int32_t *scratch)
{
    const qps_map_t *const map = &layer->input;
    const uint32_t *word = (const uint32_t *)input;
    const uint32_t frame = (uint32_t)map->height * map->width * qps_spike_words(map->channels);
    qps_counting_t counting = qps_begin_counting(layer, logits, scratch);
    uint32_t row = 0U;
    uint32_t channels = 0U; /* of the pixel, that are left */
    for (uint32_t k = 0U; k < frame; k++, word++) {
        uint32_t active = 0U;
        for (uint32_t t = 0U; t < map->timesteps; t++) {
            active |= word[t * frame];
        }
        for (; active != 0U; active &= active - 1U) {
            const uint32_t bit = qps_lowest_bit(active);
            qps_count(&counting, row + bit * layer->row_bytes, qps_count_spikes(word, frame, map->timesteps, bit));
        }
        channels = channels == 0U ? map->channels : channels;
        row += (channels < 32U ? channels : 32U) * layer->row_bytes;
        channels -= channels < 32U ? channels : 32U;
    }
    qps_end_counting(&counting);
    qps_trace_operations(counting.total * layer->classes);
}

void qps_counts_pooled_run(const qps_counts_t *layer, const void *input, int32_t *logits, int32_t *scratch)
{
    const qps_map_t *const map = &layer->input;
    const uint8_t *value = (const uint8_t *)input;
    const uint32_t frame = (uint32_t)map->height * map->width * map->channels;
    qps_counting_t counting = qps_begin_counting(layer, logits, scratch);
    uint32_t active = 0U;
    for (uint32_t k = 0U; k < frame; k++, value++) {
        uint32_t times = 0U;
        for (uint32_t t = 0U; t < map->timesteps; t++) {
            times += value[t * frame];
            active += value[t * frame] != 0U ? 1U : 0U;
        }
        if (times > 0U) {
            qps_count(&counting, k * layer->row_bytes, times);
        }
    }
    qps_end_counting(&counting);
    qps_trace_operations(active * layer->classes);
}
