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
    uint32_t cost[QPS_STEPS]; /* taken from every w, from narrow ones with what halving their zero leaves too little */
    int32_t *membranes;
    uint32_t *spikes; /* of the group at the first step; those of the next are stride words on */
    uint32_t stride;
} qps_lif_group_t;

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

static inline void qps_lif_store(const qps_lif_group_t *group, uint32_t word0, uint32_t word1, uint32_t word2,
                                 uint32_t word3)
{
    uint32_t *spikes = group->spikes;
    *spikes = word0;
    spikes += group->stride;
    *spikes = word1;
    spikes += group->stride;
    *spikes = word2;
    spikes += group->stride;
    *spikes = word3;
}

/* Move on to the next group. */
static inline void qps_lif_next(qps_lif_group_t *group)
{
    group->lane += QPS_GROUP;
    group->sums += QPS_GROUP_SUMS;
    group->spikes++;
}

#if QPS_HELIUM
/* Whole groups over all four steps, nothing carried, from this one on; packed: where lambda is 1/2 and 16 bits suffice, then with
 * the channels that are left. */
void qps_lif_whole(qps_lif_group_t *group, uint32_t groups, int packed);
#endif

#endif
