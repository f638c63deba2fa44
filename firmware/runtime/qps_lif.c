#include "qps_lif.h"

#include "qps_lanes.h"

#define QPS_GROUP 32U /* channels of a spike word */

typedef struct {
    const qps_lif_t *lif;
    const uint32_t *sums;
    uint32_t steps;
    uint32_t cost[QPS_STEPS]; /* n * event_cost of each step */
    int32_t *membranes;
    int begin;
} qps_lif_pixel_t;

/* The sums of one lane: that of timestep t is element 2 * t. */
static inline const uint16_t *qps_lane_sums(const uint32_t *sums, uint32_t lane)
{
    return (const uint16_t *)(const void *)(sums + lane / 2U * QPS_STEPS) + lane % 2U;
}

static inline int32_t qps_lane_threshold(const qps_lif_t *lif, uint32_t lane)
{
    return lif->narrow != NULL ? lif->narrow[lane / 2U * 4U + lane % 2U] : lif->wide[2U * lane];
}

static inline int32_t qps_lane_rest(const qps_lif_t *lif, uint32_t lane)
{
    return lif->narrow != NULL ? lif->narrow[lane / 2U * 4U + 2U + lane % 2U] : lif->wide[2U * lane + 1U];
}

/* w before its comparison. Modulo 2^32: that w fits is proven, not that its parts do. */
static inline int32_t qps_lif_charge(int32_t membrane, uint32_t decay, uint32_t sum, uint32_t scale, uint32_t cost)
{
    return (int32_t)((uint32_t)qps_shift_right(membrane, decay) + (sum << scale) - cost);
}

/* Some lanes, any number of steps, membranes kept if asked for: the way that always works. */
QPS_ALONE static void qps_lif_any(const qps_lif_pixel_t *pixel, uint32_t lane, uint32_t lanes, uint32_t spacing,
                                  uint32_t bit, uint32_t *words)
{
    const qps_lif_t *const lif = pixel->lif;
    for (uint32_t k = 0U; k < lanes; k++, lane += spacing, bit <<= 1) {
        const uint16_t *const sums = qps_lane_sums(pixel->sums, lane);
        const int32_t threshold = qps_lane_threshold(lif, lane);
        const int32_t rest = qps_lane_rest(lif, lane);
        int32_t membrane = pixel->begin != 0 ? rest : pixel->membranes[lane];
        for (uint32_t t = 0U; t < pixel->steps; t++) {
            membrane = qps_lif_charge(membrane, lif->decay_shift, sums[2U * t], lif->sum_shift, pixel->cost[t]);
            if (membrane > threshold) {
                membrane = rest;
                words[t] |= bit;
            }
        }
        if (pixel->membranes != NULL) {
            pixel->membranes[lane] = membrane;
        }
    }
}

/* All four steps of every other lane of a group, nothing carried: what most layers do. */
static inline void qps_lif_four(const qps_lif_pixel_t *pixel, uint32_t lane, int narrow, uint32_t bit, uint32_t *words)
{
    const qps_lif_t *const lif = pixel->lif;
    const uint32_t decay = lif->decay_shift;
    const uint32_t scale = lif->sum_shift;
    const uint32_t cost0 = pixel->cost[0], cost1 = pixel->cost[1], cost2 = pixel->cost[2], cost3 = pixel->cost[3];
    const uint16_t *sums = qps_lane_sums(pixel->sums, lane);
    const int16_t *const narrows = narrow ? &lif->narrow[lane / 2U * 4U + lane % 2U] : NULL;
    const int32_t *const wides = narrow ? NULL : &lif->wide[2U * lane];
    uint32_t word0 = words[0], word1 = words[1], word2 = words[2], word3 = words[3];
    for (uint32_t k = 0U; k < 4U * (QPS_GROUP / 2U); k += 4U, bit <<= 1, sums += 2U * QPS_STEPS) {
        const int32_t threshold = narrow ? narrows[k] : wides[k];
        const int32_t rest = narrow ? narrows[k + 2U] : wides[k + 1U];
        int32_t membrane = qps_lif_charge(rest, decay, sums[0], scale, cost0);
        if (membrane > threshold) {
            membrane = rest;
            word0 |= bit;
        }
        membrane = qps_lif_charge(membrane, decay, sums[2], scale, cost1);
        if (membrane > threshold) {
            membrane = rest;
            word1 |= bit;
        }
        membrane = qps_lif_charge(membrane, decay, sums[4], scale, cost2);
        if (membrane > threshold) {
            membrane = rest;
            word2 |= bit;
        }
        membrane = qps_lif_charge(membrane, decay, sums[6], scale, cost3);
        if (membrane > threshold) {
            word3 |= bit;
        }
    }
    words[0] = word0;
    words[1] = word1;
    words[2] = word2;
    words[3] = word3;
}

#if QPS_DSP
/* One step of two neurons at once; every value is a pair of 16 bits. Returns the bits of those that spiked. */
static inline uint32_t qps_lif_pair(uint32_t *membranes, uint32_t sums, uint32_t costs, uint32_t thresholds,
                                    uint32_t rests, uint32_t bits)
{
    uint32_t spikes = sums;
    __asm("ssub16 %1, %1, %2\n\t"
          "shadd16 %0, %0, %1\n\t" /* floor((w + 2 x) / 2) */
          "ssub16 %1, %3, %0\n\t"  /* sets GE where w <= threshold */
          "sel %0, %0, %4\n\t"
          "sel %1, %6, %5"
          : "+&r"(*membranes), "+&r"(spikes)
          : "r"(costs), "r"(thresholds), "r"(rests), "r"(bits), "r"(0U)
          : "cc");
    return spikes;
}

/* A whole group over four steps where lambda is 1/2 and 16 bits suffice. */
QPS_ALONE static void qps_lif_packed(const qps_lif_pixel_t *pixel, uint32_t lane, uint32_t *words)
{
    const qps_lif_t *const lif = pixel->lif;
    const uint32_t scale = lif->sum_shift + 1U;
    const uint32_t *sums = pixel->sums + lane / 2U * QPS_STEPS;
    const uint8_t *constants = (const uint8_t *)(lif->narrow + lane / 2U * 4U);
    const uint32_t cost0 = pixel->cost[0] * 0x20002U, cost1 = pixel->cost[1] * 0x20002U;
    const uint32_t cost2 = pixel->cost[2] * 0x20002U, cost3 = pixel->cost[3] * 0x20002U;
    uint32_t word0 = 0U, word1 = 0U, word2 = 0U, word3 = 0U;
    uint32_t bits = 0x10001U;
    for (uint32_t pair = 0U; pair < QPS_GROUP / 2U; pair++, bits <<= 1, sums += QPS_STEPS, constants += 8) {
        uint32_t thresholds, rests;
        qps_load_words(constants, &thresholds, &rests);
        uint32_t membranes = rests;
        word0 |= qps_lif_pair(&membranes, sums[0] << scale, cost0, thresholds, rests, bits);
        word1 |= qps_lif_pair(&membranes, sums[1] << scale, cost1, thresholds, rests, bits);
        word2 |= qps_lif_pair(&membranes, sums[2] << scale, cost2, thresholds, rests, bits);
        word3 |= qps_lif_pair(&membranes, sums[3] << scale, cost3, thresholds, rests, bits);
    }
    words[0] = word0;
    words[1] = word1;
    words[2] = word2;
    words[3] = word3;
}
#endif

static void qps_lif_group(const qps_lif_pixel_t *pixel, uint32_t lane, int packed, uint32_t *words)
{
    if (pixel->membranes != NULL || pixel->steps != QPS_STEPS) {
        qps_lif_any(pixel, lane, QPS_GROUP / 2U, 2U, 1U, words);
        qps_lif_any(pixel, lane + 1U, QPS_GROUP / 2U, 2U, UINT32_C(1) << 16, words);
        return;
    }
#if QPS_DSP
    if (packed != 0) {
        qps_lif_packed(pixel, lane, words);
        return;
    }
#else
    (void)packed;
#endif
    for (uint32_t half = 0U; half < 2U; half++) {
        const uint32_t bit = UINT32_C(1) << (16U * half);
        if (pixel->lif->narrow != NULL) {
            qps_lif_four(pixel, lane + half, 1, bit, words);
        } else {
            qps_lif_four(pixel, lane + half, 0, bit, words);
        }
    }
}

void qps_lif_run(const qps_lif_t *lif, const uint32_t *sums, const uint32_t *events, uint32_t steps, int32_t *membranes,
                 int begin, uint32_t *spikes)
{
    const uint32_t spike_words = (lif->channels + QPS_GROUP - 1U) / QPS_GROUP;
    qps_lif_pixel_t pixel;
    uint32_t most = 0U;
    pixel.lif = lif;
    pixel.sums = sums;
    pixel.steps = steps;
    pixel.membranes = membranes;
    pixel.begin = begin;
    for (uint32_t t = 0U; t < steps; t++) {
        pixel.cost[t] = events[t] * lif->event_cost;
        most = events[t] > most ? events[t] : most;
    }
    for (uint32_t word = 0U; word < spike_words; word++) {
        const uint32_t lane = word * QPS_GROUP;
        uint32_t words[QPS_STEPS] = {0U};
        if (lif->channels - lane >= QPS_GROUP) {
            qps_lif_group(&pixel, lane, most < lif->packed_limit, words);
        } else {
            qps_lif_any(&pixel, lane, lif->channels - lane, 1U, 1U, words);
        }
        for (uint32_t t = 0U; t < steps; t++) {
            spikes[t * spike_words + word] = words[t];
        }
    }
}
