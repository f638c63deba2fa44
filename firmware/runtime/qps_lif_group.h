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
} qps_lif_group_t;

#if QPS_HELIUM
/* A whole group over all four steps, nothing carried; packed: where lambda is 1/2 and 16 bits suffice. words: written. */
void qps_lif_whole(const qps_lif_group_t *group, int packed, uint32_t *words);
#endif

#endif
