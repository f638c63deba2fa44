/* The sum of two maps of non-negative integers, as spike counts. */
#ifndef QPS_ADD_H
#define QPS_ADD_H

#include "qps_map.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qps_map_t left;
    qps_map_t right;
    qps_map_t output; /* a format wide enough for the largest sum */
} qps_add_t;

/* output aliases neither input. */
void qps_add_run(const qps_add_t *layer, const void *left, const void *right, void *output);

#ifdef __cplusplus
}
#endif
#endif
