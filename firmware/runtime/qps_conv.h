/* Convolution (and linear layers, whose window is the whole map) with packed weight codes.
 *
 * The current is A = m * sum(u * s) - z * sum(s) over the window, u the unsigned code, s the input value: the real
 * weight is a positive scale times (m * u - z). Only inputs that are not zero are looked at.
 *
 * Layout of codes: rows [kernel_y][kernel_x][input channel], each row_bytes long, each the codes of the output channels
 * of that input channel's group, bits wide, lowest bits first. One event adds one contiguous row.
 * Range: the generator has proven m * sum(u * s), z * sum(s) and A to fit int32_t for every possible input. */
#ifndef QPS_CONV_H
#define QPS_CONV_H

#include "qps_current.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    qps_map_t input;
    qps_window_t window;
    const uint8_t *codes;
    uint16_t row_bytes;
    uint16_t groups;
    uint16_t group_inputs;  /* input channels per group */
    uint16_t group_outputs; /* output channels per group */
    uint8_t bits;           /* 2, 4 or 8 */
    uint8_t multiplier;     /* m */
    uint8_t zero_point;     /* z */
} qps_conv_t;

/* A qps_fill_fn; layer is a qps_conv_t. Uses no scratch. */
void qps_conv_fill(const void *layer, const void *input, uint32_t t, uint32_t y, uint32_t x, int32_t *current);

#ifdef __cplusplus
}
#endif
#endif
