/* What listens to a run of the network, in the form in which the protocol answers it. Only in images with the trace
 * hooks. */
#ifndef QPS_LISTENERS_H
#define QPS_LISTENERS_H

#include "model.h"
#include "../runtime/qps_trace.h"

#if QPS_TRACE
/* Where each layer's spikes are; the last entry is of no layer, and empty. */
extern const qps_model_trace_t qps_trace_table[QPS_MODEL_TRACE_LAYERS + 1U];

/* The part of all values that an answer carries, little-endian. */
typedef struct {
    uint8_t *values; /* first .. first + count; all but spikes are added to what is there */
    uint32_t first, count;
    uint32_t layer, t; /* of spikes: which are wanted */
    uint32_t stage;    /* of operations: the one that runs */
} qps_listener_t;

/* For a sink's stage(). context: QPS_MODEL_STAGES + 1 words. What each stage took is added to its own; the last one
 * holds the stage that runs, or, as it must before a run, QPS_MODEL_STAGES. */
void qps_add_time(void *context, uint32_t stage);

/* The others' context is a qps_listener_t. Both are needed to count operations; its values are pairs, of which only the
 * second changes. */
void qps_keep_stage(void *context, uint32_t stage);
void qps_count_operations(void *context, uint32_t count);

/* For spikes(): digests of layer * timesteps + t. */
void qps_digest_spikes(void *context, uint32_t layer, uint32_t t, uint32_t y, uint32_t x, const uint32_t *words,
                       uint32_t count);

/* For spikes(): the words of one layer and timestep. */
void qps_keep_spikes(void *context, uint32_t layer, uint32_t t, uint32_t y, uint32_t x, const uint32_t *words,
                     uint32_t count);
#endif

#endif
