/* Helium: neurons of a block four at a time. A part of qps_image_block.h. */
#ifndef QPS_IMAGE_BLOCK_HELIUM_H
#define QPS_IMAGE_BLOCK_HELIUM_H

#include "qps_lanes.h"

#if QPS_HELIUM
#include <arm_mve.h>

/* All timesteps of four neurons, of which those of a predicate do spike; c: the first one. */
static inline void qps_image_spike(const qps_image_t *layer, uint32_t c, int32x4_t current, mve_pred16_t awake,
                                   uint32_t stride, uint32_t *word)
{
    const uint32x4_t bits = vshlq_u32(vdupq_n_u32(1U), vreinterpretq_s32_u32(vidupq_n_u32(c % 32U, 1)));
    const uint32x4_t places = vidupq_n_u32(0U, 2); /* of thresholds; rests follow them */
    const int32_t *const neurons = layer->neurons + 2U * c;
    const int32x4_t rest = vldrwq_gather_shifted_offset_z_s32(neurons + 1, places, awake);
    /* The others never pass theirs. */
    const int32x4_t threshold =
        vpselq_s32(vldrwq_gather_shifted_offset_z_s32(neurons, places, awake), vdupq_n_s32(INT32_MAX), awake);
    const int32x4_t charge = vshlq_r_s32(current, layer->fraction_bits);
    int32x4_t membrane = rest;
    uint32_t fired;
    __asm volatile("dls lr, %[steps]\n"
                   "1:\n\t"
                   "vshl.s32 %q[membrane], %[decay]\n\t"
                   "ldr %[fired], [%[word]]\n\t"
                   "vadd.i32 %q[membrane], %q[membrane], %q[charge]\n\t"
                   "vptt.s32 gt, %q[membrane], %q[threshold]\n\t"
                   "vmovt %q[membrane], %q[rest]\n\t"
                   "vaddvat.u32 %[fired], %q[bits]\n\t"
                   "str %[fired], [%[word]]\n\t"
                   "add %[word], %[stride]\n\t"
                   "le lr, 1b"
                   : [membrane] "+&w"(membrane), [word] "+&r"(word), [fired] "=&Te"(fired)
                   : [steps] "r"((uint32_t)layer->output.timesteps), [decay] "r"(-(int32_t)layer->decay_shift),
                     [charge] "w"(charge), [threshold] "w"(threshold), [rest] "w"(rest), [bits] "w"(bits),
                     [stride] "r"(4U * stride)
                   : "lr", "p0", "memory");
}

/* The spikes of four channels, from c on, at all timesteps; stride: words from one to the next. */
static inline void qps_image_four(const qps_image_t *layer, const qps_image_scale_t *scale, uint32_t c,
                                  const uint32_t *sums, uint32_t stride, uint32_t *word)
{
    const int32x4_t current =
        vmlasq_n_s32(vldrwq_s32((const int32_t *)sums), vdupq_n_s32((int32_t)scale->factor), (int32_t)scale->offset);
    const mve_pred16_t awake = vcmpgtq_s32(current, vldrwq_s32(layer->quiet + c));
    if (awake != 0U) {
        qps_image_spike(layer, c, current, awake, stride, word + c / 32U);
    }
}

/* The spikes of the block of channels that begins with first, from their sums; words: of a timestep's spikes. */
static inline void qps_image_fire(const qps_image_t *layer, const qps_image_scale_t *scale, uint32_t first,
                                  const uint32_t *sums, uint32_t words, uint32_t *spikes)
{
    qps_image_four(layer, scale, first, sums, words, spikes);
    qps_image_four(layer, scale, first + 4U, sums + 4, words, spikes);
}
#endif
#endif
