/* Input normalization by table, for networks whose normalization is more than a scale. */
#ifndef QPS_LOOKUP_H
#define QPS_LOOKUP_H

#include "qps_map.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qps_map_t input;      /* QPS_MAP_IMAGE_U8 */
    qps_map_t output;     /* QPS_MAP_IMAGE_S16, or _S8 or _U8 where all values fit */
    const int16_t *table; /* [channel][256] */
} qps_lookup_t;

/* output does not alias input. */
void qps_lookup_run(const qps_lookup_t *layer, const void *input, void *output);

#ifdef __cplusplus
}
#endif
#endif
