/* Readouts: one int32_t per class. */
#ifndef QPS_READOUT_H
#define QPS_READOUT_H

#include "qps_neuron.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    const int32_t *multiplier; /* per class, or NULL for 1: only where classes have unlike scales */
    const int32_t *offset;     /* per class, added last */
    uint8_t shift;             /* of the multiplied value, rounded half up */
} qps_rescale_t;

/* logits = logits * multiplier / 2^shift, rounded, + offset. */
void qps_rescale(const qps_rescale_t *rescale, uint32_t classes, int32_t *logits);

typedef struct {
    qps_source_t source; /* of one pixel */
    uint16_t classes;
    uint16_t timesteps;
    uint8_t static_current;
    qps_rescale_t rescale;
} qps_sum_readout_t;

/* logits = rescale(sum of the currents over time). scratch: what the source needs. */
void qps_sum_readout_run(const qps_sum_readout_t *layer, const void *input, int32_t *logits, int32_t *scratch);

typedef struct {
    qps_source_t source; /* of one pixel */
    qps_neuron_t neuron;
    uint16_t classes;
    uint16_t timesteps;
    uint8_t static_current;
    uint16_t trace;
    qps_rescale_t rescale;
} qps_last_readout_t;

/* logits = rescale(membrane after the last timestep and its reset).
 * scratch: as many words as spike words of the classes, then what the source needs. */
void qps_last_readout_run(const qps_last_readout_t *layer, const void *input, int32_t *logits, int32_t *scratch);

#ifdef __cplusplus
}
#endif
#endif
