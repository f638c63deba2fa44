/* The trace hooks: what verification and profiling listen to, in the very kernels that ship.
 *
 * Built with QPS_TRACE defined to 1, a network tells whoever qps_trace_sink points to which stage begins, each
 * spiking layer's spikes before any pooling, and how many synaptic operations were done. Otherwise the calls compile
 * to nothing. */
#ifndef QPS_TRACE_H
#define QPS_TRACE_H

#include <stddef.h>
#include <stdint.h>

#ifndef QPS_TRACE
#define QPS_TRACE 0
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Any of the functions may be NULL. */
typedef struct {
    /* That stage is about to run: all of it, or one more row of it; at the end, once more with the number of stages. */
    void (*stage)(void *context, uint32_t stage);
    /* The count words of pixel (y, x) at timestep t, valid during the call. layer: the index in the generated
     * report. */
    void (*spikes)(void *context, uint32_t layer, uint32_t t, uint32_t y, uint32_t x, const uint32_t *words,
                   uint32_t count);
    /* That many inputs that were not zero met a weight in the stage that is running. */
    void (*operations)(void *context, uint32_t count);
    void *context;
} qps_trace_sink_t;

#if QPS_TRACE
/* Set it before a run; NULL, as at the start, when nobody listens. */
extern const qps_trace_sink_t *qps_trace_sink;
#endif

static inline void qps_trace_stage(uint32_t stage)
{
#if QPS_TRACE
    if (qps_trace_sink != NULL && qps_trace_sink->stage != NULL) {
        qps_trace_sink->stage(qps_trace_sink->context, stage);
    }
#else
    (void)stage;
#endif
}

static inline void qps_trace_spikes(uint32_t layer, uint32_t t, uint32_t y, uint32_t x, const uint32_t *words,
                                    uint32_t count)
{
#if QPS_TRACE
    if (qps_trace_sink != NULL && qps_trace_sink->spikes != NULL) {
        qps_trace_sink->spikes(qps_trace_sink->context, layer, t, y, x, words, count);
    }
#else
    (void)layer;
    (void)t;
    (void)y;
    (void)x;
    (void)words;
    (void)count;
#endif
}

static inline void qps_trace_operations(uint32_t count)
{
#if QPS_TRACE
    if (qps_trace_sink != NULL && qps_trace_sink->operations != NULL) {
        qps_trace_sink->operations(qps_trace_sink->context, count);
    }
#else
    (void)count;
#endif
}

#ifdef __cplusplus
}
#endif
#endif
