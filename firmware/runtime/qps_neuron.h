/* Spiking neurons, and the stage that runs a layer of them over its window of timesteps.
 *
 * Per neuron and timestep, in 32-bit integers with F fraction bits:
 *     w = decay(w) + A * 2^F + bias + gain * shortcut;   spike = w > threshold;   reset if it spiked
 * The generator has proven that no intermediate value leaves int32_t, whatever the input. */
#ifndef QPS_NEURON_H
#define QPS_NEURON_H

#include "qps_current.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    QPS_RESET_HARD, /* w = rest[c] after a spike */
    QPS_RESET_SOFT, /* w -= drop[c] after a spike */
    QPS_RESET_NONE
} qps_reset_t;

typedef struct {
    const int32_t *threshold; /* a spike needs w > threshold[c] */
    const int32_t *rest;      /* w before the first timestep, and after a hard reset */
    const int32_t *drop;      /* soft reset only, else NULL */
    const int32_t *bias;      /* added at every timestep; NULL when it is folded into rest and threshold */
    const int32_t *gain;      /* of one unit of the shortcut; NULL without one */
    /* decay(w) = floor(w / 2^shift) where the multiplier is 0, else floor((w * multiplier + rounding) / 2^shift) */
    int32_t decay_multiplier;
    int32_t decay_rounding;
    uint8_t decay_shift;
    uint8_t fraction_bits; /* F */
    qps_reset_t reset;
} qps_neuron_t;

typedef struct {
    qps_source_t source;
    qps_neuron_t neuron;
    qps_map_t output;       /* QPS_MAP_SPIKES; one pixel of it is one pixel of the source */
    qps_map_t shortcut;     /* as large as the output; used when neuron.gain is not NULL */
    uint8_t static_current; /* the source does not change over time: filled once per pixel */
    uint16_t trace;         /* the layer's index for qps_trace_spikes() */
} qps_spiking_t;

/* All timesteps of a layer. Membranes live in scratch, one pixel at a time, and are not kept.
 * scratch: channels words of membranes, then what the source needs. output aliases neither input nor shortcut. */
void qps_spiking_run(const qps_spiking_t *layer, const void *input, const void *shortcut, uint32_t *output,
                     int32_t *scratch);

static inline int32_t qps_neuron_decay(const qps_neuron_t *neuron, int32_t membrane)
{
    if (neuron->decay_multiplier == 0) {
        return qps_shift_right(membrane, neuron->decay_shift);
    }
    const int64_t product = (int64_t)membrane * neuron->decay_multiplier + neuron->decay_rounding;
    return (int32_t)qps_shift_right_64(product, neuron->decay_shift);
}

/* w before its comparison: decay, current, bias. */
static inline int32_t qps_neuron_charge(const qps_neuron_t *neuron, uint32_t c, int32_t membrane, int32_t current)
{
    int32_t charged = qps_neuron_decay(neuron, membrane);
    charged += qps_scale_up(current, neuron->fraction_bits);
    if (neuron->bias != NULL) {
        charged += neuron->bias[c];
    }
    return charged;
}

/* w after its comparison, for a neuron that spiked. */
static inline int32_t qps_neuron_discharge(const qps_neuron_t *neuron, uint32_t c, int32_t membrane)
{
    if (neuron->reset == QPS_RESET_HARD) {
        return neuron->rest[c];
    }
    return neuron->reset == QPS_RESET_SOFT ? membrane - neuron->drop[c] : membrane;
}

#ifdef __cplusplus
}
#endif
#endif
