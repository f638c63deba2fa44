/* What kernels of images do with the sums of a block of channels: which of its neurons spike at all, and when. */
#ifndef QPS_IMAGE_BLOCK_H
#define QPS_IMAGE_BLOCK_H

#include "qps_image.h"
#include "qps_lanes.h"

/* A current is sum * factor + offset, modulo 2^32. */
typedef struct {
    uint32_t factor;
    uint32_t offset;
} qps_image_scale_t;

#if QPS_HELIUM
#include "qps_image_block_helium.h"
#else
/* Which neurons of a block spike at all: a bit each. */
static inline uint32_t qps_image_awake(const qps_image_scale_t *scale, const int32_t *quiet, const uint32_t *sums)
{
    uint32_t active = 0U;
#define QPS_TEST(k)                                                                                                    \
    if ((int32_t)(sums[k] * scale->factor + scale->offset) > quiet[k]) {                                               \
        active |= UINT32_C(1) << (k);                                                                                  \
    }
    QPS_TEST(0)
    QPS_TEST(1)
    QPS_TEST(2)
    QPS_TEST(3)
    QPS_TEST(4)
    QPS_TEST(5)
    QPS_TEST(6)
    QPS_TEST(7)
#undef QPS_TEST
    return active;
}

/* All timesteps of one neuron that does spike. */
static inline void qps_image_spike(const qps_image_t *layer, const int32_t *neuron, int32_t current, uint32_t bit,
                                   uint32_t stride, uint32_t *word)
{
    const int32_t charge = qps_scale_up(current, layer->fraction_bits);
    const uint32_t decay = layer->decay_shift;
    const int32_t threshold = neuron[0];
    const int32_t rest = neuron[1];
    int32_t membrane = rest;
    for (uint32_t t = layer->output.timesteps; t > 0U; t--, word += stride) {
        membrane = qps_shift_right(membrane, decay) + charge;
        if (membrane > threshold) {
            membrane = rest;
            *word |= bit;
        }
    }
}

/* The spikes of the block of channels that begins with first, from their sums; words: of a timestep's spikes. */
static inline void qps_image_fire(const qps_image_t *layer, const qps_image_scale_t *scale, uint32_t first,
                                  const uint32_t *sums, uint32_t words, uint32_t *spikes)
{
    uint32_t active = qps_image_awake(scale, layer->quiet + first, sums);
    while (active != 0U) {
        const uint32_t k = qps_lowest_bit(active);
        const uint32_t c = first + k;
        const int32_t current = (int32_t)(sums[k] * scale->factor + scale->offset);
        qps_image_spike(layer, layer->neurons + 2U * c, current, UINT32_C(1) << (c % 32U), words, spikes + c / 32U);
        active &= active - 1U;
    }
}

#endif
#endif
