/* Leaky integrate-and-fire neurons with a hard reset, on the 16-bit sums of event-driven layers.
 *
 * Per neuron and timestep, in integers with F fraction bits:
 *     w = floor(w / 2^decay_shift) + S * 2^sum_shift - n * event_cost;   spike = w > threshold;   w = rest after a spike
 * S is the sum of the weight codes of the n events of this timestep: with m * S - z * n for the current, sum_shift is F, plus
 * 1 for m = 2, and event_cost is z * 2^F. What is added at every timestep has been folded into rest and threshold.
 * The generator has proven that w fits int32_t, whatever the input. */
#ifndef QPS_LIF_H
#define QPS_LIF_H

#include "qps_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    /* threshold and rest per channel, in the order of the sums (qps_rows.h): two pairs of 16 bits for each pair of sums
     * where they fit, else, for each sum, two values of 32 bits. The other one is NULL. */
    const int16_t *narrow;
    const int32_t *wide;
    uint16_t channels;
    uint16_t packed_limit; /* with fewer events than that per timestep, w and its parts fit 16 bits and lambda is 1/2 */
    uint16_t event_cost;
    uint8_t decay_shift; /* < 32 */
    uint8_t sum_shift;
} qps_lif_t;

/* One pixel over steps <= QPS_STEPS timesteps.
 *
 * sums: as qps_rows_sum() left them; events: how many each timestep had; membranes: 2 * qps_rows_sums() words, carried from
 * call to call, or NULL when these are all timesteps there are; begin: membranes start at rest.
 * spikes: [steps][words of the channels], written. */
void qps_lif_run(const qps_lif_t *lif, const uint32_t *sums, const uint32_t *events, uint32_t steps, int32_t *membranes,
                 int begin, uint32_t *spikes);

#ifdef __cplusplus
}
#endif
#endif
