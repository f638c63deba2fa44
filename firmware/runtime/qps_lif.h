/* Leaky integrate-and-fire neurons with a hard reset, on the 16-bit sums of event-driven layers.
 *
 * Per neuron and timestep, in integers with F fraction bits:
 *     w = floor(w / 2^decay_shift) + S * 2^sum_shift - n * z * 2^F;   spike = w > threshold;   w = rest after a spike
 * S is the sum of the weight codes of the n events of this timestep, z their zero point: with m * S - z * n for the
 * current, sum_shift is F, plus 1 for m = 2. What is added at every timestep has been folded into rest and threshold.
 * The generator has proven that w fits int32_t, whatever the input. */
#ifndef QPS_LIF_H
#define QPS_LIF_H

#include "qps_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What 0 is stored as in narrow constants: so the sums of a pair of neurons never borrow from each other. */
#define QPS_NARROW_ZERO 0x8000

typedef struct {
    /* threshold and rest per channel, in the order of the sums (qps_rows.h): for each pair of sums two pairs of 16
     * bits, QPS_NARROW_ZERO added, where w + QPS_NARROW_ZERO fits int32_t and decay_shift <= 15; else, for each sum,
     * two values of 32 bits. The other one is NULL. Up to a multiple of 32 bytes constants follow that let no neuron
     * spike. */
    const uint16_t *narrow;
    const int32_t *wide;
    uint16_t channels;
    uint16_t packed_limit; /* with fewer events than that per timestep, 2 A 2^F fits 16 bits, and lambda is 1/2 */
    uint8_t zero_point;
    uint8_t fraction_bits;
    uint8_t decay_shift; /* < 32 */
    uint8_t sum_shift;
} qps_lif_t;

/* Timesteps that are computed together, of one pixel. */
typedef struct {
    uint32_t first; /* membranes begin at rest at timestep 0 */
    uint32_t steps; /* 1 to QPS_STEPS */
    uint32_t events[QPS_STEPS];
} qps_steps_t;

/* One pixel over some timesteps.
 *
 * sums: as those of qps_rows.h left them; membranes: one per channel, in the order of the sums, carried from call to
 * call, or NULL when these are all timesteps there are. spikes: [steps][words of the channels], written. */
void qps_lif_run(const qps_lif_t *lif, const qps_steps_t *steps, const uint32_t *sums, int32_t *membranes,
                 uint32_t *spikes);

#ifdef __cplusplus
}
#endif
#endif
