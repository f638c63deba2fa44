/* What qps_lif.c knows of 32 neurons, for ways to run them that are in a file of their own. */
#ifndef QPS_LIF_GROUP_H
#define QPS_LIF_GROUP_H

#include "qps_lanes.h"
#include "qps_lif.h"

#define QPS_GROUP (2U * QPS_PAIRS) /* channels of a spike word */

/* A group of channels. */
typedef struct {
    const qps_lif_t *lif;
    const qps_steps_t *steps;
    const uint32_t *sums;
    uint32_t lane;            /* the first one */
    uint32_t pairs;           /* of sums: QPS_PAIRS but for the last group */
    uint32_t cost[QPS_STEPS]; /* taken from every w, from narrow ones with what halving their zero leaves too little */
    int32_t *membranes;
    uint32_t *spikes; /* of the group at the first step; those of the next are stride words on */
    uint32_t stride;
} qps_lif_group_t;

/* The sums of one lane of a group: that of timestep t is element 2 * QPS_PAIRS * t. */
static inline const qps_half_t *qps_lane_sums(const qps_lif_group_t *group, uint32_t lane)
{
    return (const qps_half_t *)(const void *)group->sums + lane;
}

static inline int32_t qps_lane_threshold(const qps_lif_t *lif, uint32_t lane)
{
    return lif->narrow != NULL ? lif->narrow[lane / 2U * 4U + lane % 2U] : lif->wide[2U * lane];
}

static inline int32_t qps_lane_rest(const qps_lif_t *lif, uint32_t lane)
{
    return lif->narrow != NULL ? lif->narrow[lane / 2U * 4U + 2U + lane % 2U] : lif->wide[2U * lane + 1U];
}

/* What an event takes from every w. */
static inline uint32_t qps_lif_event_cost(const qps_lif_t *lif)
{
    return (uint32_t)lif->zero_point << lif->fraction_bits;
}

/* What w loses when the zero of narrow constants decays with it. */
static inline uint32_t qps_lif_bias(const qps_lif_t *lif)
{
    const uint32_t zero = lif->narrow != NULL ? QPS_NARROW_ZERO : 0U;
    return zero - (zero >> lif->decay_shift);
}

/* w before its comparison. Modulo 2^32: that w fits is proven, not that its parts do. */
static inline int32_t qps_lif_charge(int32_t membrane, uint32_t decay, uint32_t sum, uint32_t scale, uint32_t cost)
{
    return (int32_t)((uint32_t)qps_shift_right(membrane, decay) - cost + sum * scale);
}

/* Spikes of the lower channels of pairs from bit 0 on, those of the upper ones from bit 16 on, in the order of
 * channels. */
static inline uint32_t qps_lif_join(const qps_lif_group_t *group, uint32_t word)
{
    const uint32_t channels = group->lif->channels - group->lane;
    const uint32_t lower = word & ((UINT32_C(1) << group->pairs) - 1U);
    /* What a core computes behind the last pair is left out, and so is the upper half of that if channels are odd. */
    return (lower | (word >> QPS_PAIRS) << group->pairs) & ((UINT32_C(1) << channels) - 1U);
}

/* Such spikes of four timesteps. */
static inline void qps_lif_store(const qps_lif_group_t *group, uint32_t word0, uint32_t word1, uint32_t word2,
                                 uint32_t word3)
{
    uint32_t *spikes = group->spikes;
    if (group->lif->channels - group->lane < QPS_GROUP) {
        word0 = qps_lif_join(group, word0);
        word1 = qps_lif_join(group, word1);
        word2 = qps_lif_join(group, word2);
        word3 = qps_lif_join(group, word3);
    }
    *spikes = word0;
    spikes += group->stride;
    *spikes = word1;
    spikes += group->stride;
    *spikes = word2;
    spikes += group->stride;
    *spikes = word3;
}

/* Pairs of sums of a group of so many channels, if they are the last ones. */
static inline uint32_t qps_group_pairs(uint32_t channels)
{
    return channels < QPS_GROUP ? (channels + 1U) / 2U : QPS_PAIRS;
}

/* Move on to the next group. */
static inline void qps_lif_next(qps_lif_group_t *group)
{
    group->lane += QPS_GROUP;
    group->sums += QPS_GROUP_SUMS;
    group->spikes++;
    group->pairs = qps_group_pairs(group->lif->channels - group->lane);
}

#if QPS_HELIUM
/* All groups from this one on over four steps, nothing carried; packed: where lambda is 1/2 and 16 bits suffice. */
void qps_lif_four_steps(qps_lif_group_t *group, int packed);
#endif

#if QPS_NARROW_BLOCKS
/* One group, likewise. */
void qps_lif_four(const qps_lif_group_t *group);
#endif

#endif
