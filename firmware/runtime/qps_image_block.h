/* What kernels of images do with the sums of a block of channels: which of its neurons spike at all, and when. */
#ifndef QPS_IMAGE_BLOCK_H
#define QPS_IMAGE_BLOCK_H

#include "qps_image.h"
#include "qps_lanes.h"

#if QPS_HELIUM
#include <arm_mve.h>
#endif

/* A current is sum * factor + offset, modulo 2^32. */
typedef struct {
    uint32_t factor;
    uint32_t offset;
} qps_image_scale_t;

/* Bits of a channel in the number that says which neurons of a block spike; the lowest is set or not, the others are alike. */
#if QPS_HELIUM
#define QPS_ACTIVE_BITS 4U
#else
#define QPS_ACTIVE_BITS 1U
#endif

/* Without the first neuron that spikes. */
static inline uint32_t qps_image_without(uint32_t active)
{
    const uint32_t first = active & (0U - active);
    return active - first * ((UINT32_C(1) << QPS_ACTIVE_BITS) - 1U);
}

/* Which neurons of a block spike at all. */
static inline uint32_t qps_image_awake(const qps_image_scale_t *scale, const int32_t *quiet, const uint32_t *sums)
{
#if QPS_HELIUM
    const int32x4_t factor = vdupq_n_s32((int32_t)scale->factor);
    const int32x4_t first = vmlasq_n_s32(vldrwq_s32((const int32_t *)sums), factor, (int32_t)scale->offset);
    const int32x4_t second = vmlasq_n_s32(vldrwq_s32((const int32_t *)sums + 4), factor, (int32_t)scale->offset);
    const uint32_t lower = vcmpgtq_s32(first, vldrwq_s32(quiet));
    const uint32_t upper = vcmpgtq_s32(second, vldrwq_s32(quiet + 4));
    return lower | upper << 16;
#else
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
#endif
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
        const uint32_t k = qps_lowest_bit(active) / QPS_ACTIVE_BITS;
        const uint32_t c = first + k;
        const int32_t current = (int32_t)(sums[k] * scale->factor + scale->offset);
        qps_image_spike(layer, layer->neurons + 2U * c, current, UINT32_C(1) << (c % 32U), words, spikes + c / 32U);
        active = qps_image_without(active);
    }
}

#endif
