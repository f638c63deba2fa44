#include "qps_lif.h"

#include "qps_lif_group.h"

/* One half of the pairs' lanes, bit being that of the first; any number of steps, membranes kept if asked for: the
 * way that always works. */
QPS_ALONE static void qps_lif_any(const qps_lif_group_t *group, uint32_t half, uint32_t channels, uint32_t bit)
{
    const qps_lif_t *const lif = group->lif;
    const uint32_t scale = UINT32_C(1) << lif->sum_shift;
    for (uint32_t k = half; channels > 0U; channels--, k += 2U, bit <<= 1) {
        const uint32_t lane = group->lane + k;
        const qps_half_t *const sums = qps_lane_sums(group, k);
        const int32_t threshold = qps_lane_threshold(lif, lane);
        const int32_t rest = qps_lane_rest(lif, lane);
        int32_t membrane = group->steps->first == 0U ? rest : group->membranes[lane];
        for (uint32_t t = 0U; t < group->steps->steps; t++) {
            membrane = qps_lif_charge(membrane, lif->decay_shift, sums[QPS_GROUP * t], scale, group->cost[t]);
            if (membrane > threshold) {
                membrane = rest;
                group->spikes[t * group->stride] |= bit;
            }
        }
        if (group->membranes != NULL) {
            group->membranes[lane] = membrane;
        }
    }
}

#if !QPS_HELIUM
/* Clang keeps registers to itself. */
#if QPS_BLOCKS && !defined(__clang__)
/* clang-format off */

/* One step of a neuron. Few spike: what these do is out of the way. */
#define QPS_LIF_ONE(before, t, offset)                                                                                 \
    "asr %[w], %[" before "], %[decay]\n\t"                                                                            \
    "ldr %[x], %[cost" t "]\n\t"                                                                                       \
    "subs %[w], %[x]\n\t"                                                                                              \
    "ldrh %[x], [%[sums], #" offset "]\n\t"                                                                            \
    "mla %[w], %[x], %[scale], %[w]\n\t"                                                                               \
    "cmp %[w], %[threshold]\n\t"                                                                                       \
    "bgt 2" t "f\n"                                                                                                    \
    "1" t ":\n\t"
#define QPS_LIF_SPIKE(t)                                                                                               \
    "2" t ":\n\t"                                                                                                      \
    "mov %[w], %[rest]\n\t"                                                                                            \
    "orrs %[word" t "], %[bit]\n\t"                                                                                    \
    "b 1" t "b\n"
/* Every other neuron of a group; bit: such that the last one's is 2^31. */
#define QPS_LIF_LANES(LOAD)                                                                                            \
    __asm volatile("1:\n\t" LOAD                                                                                       \
                   QPS_LIF_ONE("rest", "0", "0")                                                                       \
                   QPS_LIF_ONE("w", "1", "64")                                                                         \
                   QPS_LIF_ONE("w", "2", "128")                                                                        \
                   QPS_LIF_ONE("w", "3", "192")                                                                        \
                   "adds %[sums], #4\n\t"                                                                              \
                   "lsls %[bit], #1\n\t"                                                                               \
                   "bcc 1b\n\t" /* until the last one's falls out */                                                   \
                   "b 2f\n"                                                                                            \
                   QPS_LIF_SPIKE("0")                                                                                  \
                   QPS_LIF_SPIKE("1")                                                                                  \
                   QPS_LIF_SPIKE("2")                                                                                  \
                   QPS_LIF_SPIKE("3")                                                                                  \
                   "2:"                                                                                                \
                   : [constants] "+&r"(constants), [sums] "+&r"(sums), [bit] "+&r"(bit), [word0] "+&r"(word0),         \
                     [word1] "+&r"(word1), [word2] "+&r"(word2), [word3] "+&r"(word3), [w] "=&r"(w), [x] "=&r"(x),     \
                     [threshold] "=&r"(threshold), [rest] "=&r"(rest)                                                  \
                   : [scale] "r"(scale), [decay] "r"(decay), [cost0] "m"(cost0), [cost1] "m"(cost1),                   \
                     [cost2] "m"(cost2), [cost3] "m"(cost3)                                                            \
                   : "cc", "memory")
#define QPS_LOAD_NARROW                                                                                                \
    "ldrh %[rest], [%[constants], #4]\n\t"                                                                             \
    "ldrh %[threshold], [%[constants]], #8\n\t"
#define QPS_LOAD_WIDE "ldrd %[threshold], %[rest], [%[constants]], #16\n\t"

/* clang-format on */

/* All four steps of a group, nothing carried: what most layers do. */
QPS_ALONE static void qps_lif_four(const qps_lif_group_t *group)
{
    const qps_lif_t *const lif = group->lif;
    const uint32_t decay = lif->decay_shift;
    const uint32_t scale = UINT32_C(1) << lif->sum_shift;
    const uint32_t cost0 = group->cost[0], cost1 = group->cost[1], cost2 = group->cost[2], cost3 = group->cost[3];
    uint32_t word0 = 0U, word1 = 0U, word2 = 0U, word3 = 0U;
    /* As below. */
    for (uint32_t part = 0U; part < 2U; part++) {
        const qps_half_t *sums = qps_lane_sums(group, part);
        uint32_t bit = UINT32_C(1) << (2U * QPS_PAIRS - group->pairs);
        uint32_t w, x, threshold, rest;
        word0 >>= QPS_PAIRS;
        word1 >>= QPS_PAIRS;
        word2 >>= QPS_PAIRS;
        word3 >>= QPS_PAIRS;
        if (lif->narrow != NULL) {
            const uint16_t *constants = &lif->narrow[2U * group->lane + part];
            QPS_LIF_LANES(QPS_LOAD_NARROW);
        } else {
            const int32_t *constants = &lif->wide[2U * (group->lane + part)];
            QPS_LIF_LANES(QPS_LOAD_WIDE);
        }
    }
    const uint32_t low = QPS_PAIRS - group->pairs;
    qps_lif_store(group, word0 >> low, word1 >> low, word2 >> low, word3 >> low);
}
#elif !QPS_NARROW_BLOCKS
/* All four steps of a group, nothing carried: what most layers do. */
static inline void qps_lif_four_lanes(const qps_lif_group_t *group, int narrow)
{
    const qps_lif_t *const lif = group->lif;
    const uint32_t decay = lif->decay_shift;
    const uint32_t scale = UINT32_C(1) << lif->sum_shift;
    const uint32_t cost0 = group->cost[0], cost1 = group->cost[1], cost2 = group->cost[2], cost3 = group->cost[3];
    uint32_t word0 = 0U, word1 = 0U, word2 = 0U, word3 = 0U;
    /* The lower halves of the pairs, then the upper ones: so bits come in the order of channels. */
    for (uint32_t half = 0U; half < 2U; half++) {
        uint32_t bit = UINT32_C(1) << QPS_PAIRS * half;
        const qps_half_t *sums = qps_lane_sums(group, half);
        const uint16_t *const narrows = narrow ? &lif->narrow[2U * group->lane + half] : NULL;
        const int32_t *const wides = narrow ? NULL : &lif->wide[2U * (group->lane + half)];
        for (uint32_t k = 0U; k < 4U * group->pairs; k += 4U, bit <<= 1, sums += 2) {
            const int32_t threshold = narrow ? narrows[k] : wides[k];
            const int32_t rest = narrow ? narrows[k + 2U] : wides[k + 1U];
            int32_t membrane = qps_lif_charge(rest, decay, sums[0], scale, cost0);
            if (membrane > threshold) {
                membrane = rest;
                word0 |= bit;
            }
            membrane = qps_lif_charge(membrane, decay, sums[QPS_GROUP], scale, cost1);
            if (membrane > threshold) {
                membrane = rest;
                word1 |= bit;
            }
            membrane = qps_lif_charge(membrane, decay, sums[2U * QPS_GROUP], scale, cost2);
            if (membrane > threshold) {
                membrane = rest;
                word2 |= bit;
            }
            membrane = qps_lif_charge(membrane, decay, sums[3U * QPS_GROUP], scale, cost3);
            if (membrane > threshold) {
                word3 |= bit;
            }
        }
    }
    qps_lif_store(group, word0, word1, word2, word3);
}

static inline void qps_lif_four(const qps_lif_group_t *group)
{
    if (group->lif->narrow != NULL) {
        qps_lif_four_lanes(group, 1);
    } else {
        qps_lif_four_lanes(group, 0);
    }
}
#endif

#if QPS_DSP
/* One step of a pair of neurons; all values are pairs of 16 bits, QPS_NARROW_ZERO added. */
#define QPS_LIF_STEP(before, t, offset)                                                                                \
    "ldr %[x], [%[sums], #" offset "]\n\t"                                                                             \
    "ldr %[cost], %[cost" t "]\n\t"                                                                                    \
    "mla %[x], %[x], %[scale], %[cost]\n\t"                                                                            \
    "uhadd16 %[w], %[" before "], %[x]\n\t" /* floor((w + 2 x) / 2) */                                                 \
    "usub16 %[x], %[threshold], %[w]\n\t"   /* sets GE where w <= threshold */                                         \
    "sel %[w], %[w], %[rest]\n\t"                                                                                      \
    "orr %[x], %[word" t "], %[bits]\n\t"                                                                              \
    "sel %[word" t "], %[word" t "], %[x]\n\t"

/* All groups over four steps where lambda is 1/2 and 16 bits suffice. */
QPS_ALONE static void qps_lif_packed(qps_lif_group_t *group)
{
    const uint32_t scale = UINT32_C(2) << group->lif->sum_shift;
    /* Never negative: the zero is in them. */
    const uint32_t cost0 = (0U - group->cost[0]) * 0x20002U, cost1 = (0U - group->cost[1]) * 0x20002U;
    const uint32_t cost2 = (0U - group->cost[2]) * 0x20002U, cost3 = (0U - group->cost[3]) * 0x20002U;
    const uint16_t *constants = group->lif->narrow;
    for (; group->lane < group->lif->channels; qps_lif_next(group)) {
        const uint32_t *sums = group->sums;
        const uint32_t low = QPS_PAIRS - group->pairs;
        uint32_t bits = 0x10001U << low;
        uint32_t word0 = 0U, word1 = 0U, word2 = 0U, word3 = 0U;
        uint32_t w, x, cost, threshold, rest;
        __asm volatile(
            "1:\n\t"
            "ldrd %[threshold], %[rest], [%[constants]], #8\n\t" QPS_LIF_STEP("rest", "0", "0")
                QPS_LIF_STEP("w", "1", "64") QPS_LIF_STEP("w", "2", "128")
                    QPS_LIF_STEP("w", "3", "192") "adds %[sums], #4\n\t"
                                                  "lsls %[bits], #1\n\t"
                                                  "bcc 1b" /* until the last channel's bit falls out */
            : [constants] "+&r"(constants), [sums] "+&r"(sums), [bits] "+&r"(bits), [word0] "+&r"(word0),
              [word1] "+&r"(word1), [word2] "+&r"(word2), [word3] "+&r"(word3), [w] "=&r"(w), [x] "=&r"(x),
              [cost] "=&r"(cost), [threshold] "=&r"(threshold), [rest] "=&r"(rest)
            : [scale] "r"(scale), [cost0] "m"(cost0), [cost1] "m"(cost1), [cost2] "m"(cost2), [cost3] "m"(cost3)
            : "cc", "memory");
        qps_lif_store(group, word0 >> low, word1 >> low, word2 >> low, word3 >> low);
    }
}
#endif

static void qps_lif_four_steps(qps_lif_group_t *group, int packed)
{
#if QPS_DSP
    if (packed) {
        qps_lif_packed(group);
        return;
    }
#endif
    (void)packed;
    for (; group->lane < group->lif->channels; qps_lif_next(group)) {
        qps_lif_four(group);
    }
}
#endif

/* All groups over fewer steps, or with membranes that are carried. */
static void qps_lif_other_steps(qps_lif_group_t *group)
{
    for (; group->lane < group->lif->channels; qps_lif_next(group)) {
        const uint32_t left = group->lif->channels - group->lane;
        const uint32_t channels = left < QPS_GROUP ? left : QPS_GROUP;
        for (uint32_t t = 0U; t < group->steps->steps; t++) {
            group->spikes[t * group->stride] = 0U;
        }
        qps_lif_any(group, 0U, group->pairs, 1U);
        qps_lif_any(group, 1U, channels - group->pairs, UINT32_C(1) << group->pairs);
    }
}

void qps_lif_run(const qps_lif_t *lif, const qps_steps_t *steps, const uint32_t *sums, int32_t *membranes,
                 uint32_t *spikes)
{
    const uint32_t bias = qps_lif_bias(lif);
    const uint32_t cost = qps_lif_event_cost(lif);
    uint32_t most = 0U;
    qps_lif_group_t group;
    group.lif = lif;
    group.steps = steps;
    group.sums = sums;
    group.lane = 0U;
    group.pairs = qps_group_pairs(lif->channels);
    group.membranes = membranes;
    group.spikes = spikes;
    group.stride = (lif->channels + QPS_GROUP - 1U) / QPS_GROUP;
    for (uint32_t t = 0U; t < steps->steps; t++) {
        group.cost[t] = steps->events[t] * cost - bias;
        most = steps->events[t] > most ? steps->events[t] : most;
    }
    if (steps->steps == QPS_STEPS && membranes == NULL) {
        qps_lif_four_steps(&group, most < lif->packed_limit);
    } else {
        qps_lif_other_steps(&group);
    }
}
