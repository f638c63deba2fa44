/* Currents of a layer with signed 16-bit weights: the first layer of a network whose first layer was trained in float.
 *
 * A = floor((sum(weight * s) + half) / 2^shift) over the window, s the input value, half = 2^(shift - 1), or 0 for
 * shift 0. Sums are taken in 64 bits; inputs that are not zero are listed first.
 *
 * Layout of weights: rows [kernel_y][kernel_x][input channel], each of the weights of all outputs, 16 bits each in the
 * machine's byte order (that of the generator: little-endian); 2-byte aligned.
 * Range: the generator has proven the sum to stay below 2^53 and A to fit int32_t for every possible input. */
#ifndef QPS_WIDE_H
#define QPS_WIDE_H

#include "qps_current.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QPS_WIDE_BLOCK 4U /* outputs whose sums are taken together */
#define QPS_WIDE_LIST 64U /* inputs that a list has room for */

typedef struct {
    qps_map_t input;
    qps_window_t window;
    const uint8_t *weights;
    uint16_t outputs;
    uint8_t shift; /* below 32 */
} qps_wide_t;

/* A qps_fill_fn; layer is a qps_wide_t. Scratch: two words for each row of weights, up to QPS_WIDE_LIST of them. */
void qps_wide_fill(const void *layer, const void *input, uint32_t t, uint32_t y, uint32_t x, int32_t *current);

#ifdef __cplusplus
}
#endif
#endif
