/* The parameter-free shortcut of residual networks: every stride-th pixel, with silent channels before and after. */
#ifndef QPS_SHORTCUT_H
#define QPS_SHORTCUT_H

#include "qps_map.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qps_map_t input;
    qps_map_t output; /* same format and frames */
    uint16_t stride;
    uint16_t pad_before; /* output channels before the input's first */
} qps_shortcut_t;

/* output does not alias input. */
void qps_shortcut_run(const qps_shortcut_t *layer, const void *input, void *output);

#ifdef __cplusplus
}
#endif
#endif
