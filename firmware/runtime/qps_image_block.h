/* What qps_image.c needs of a block of channels, which differs from core to core. */
#ifndef QPS_IMAGE_BLOCK_H
#define QPS_IMAGE_BLOCK_H

#include "qps_image.h"
#include "qps_lanes.h"

typedef struct qps_dense qps_dense_t; /* qps_image_dense.h */

/* What one output pixel sees. */
typedef struct {
    const qps_image_event_t *events;
    uint32_t count;           /* of pixels that are not zero */
    uint32_t total;           /* of all values */
    const qps_dense_t *dense; /* or NULL; in place of events */
} qps_image_list_t;

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

#if QPS_HELIUM
/* The sums of QPS_IMAGE_BLOCK channels, and which of their neurons spike at all. */
uint32_t qps_image_block(const uint8_t *codes, const qps_image_list_t *list, const qps_image_scale_t *scale,
                         const int32_t *quiet, uint32_t *sums);
#endif

#endif
