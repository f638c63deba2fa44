/* The trace hook: what verification listens to, in the very kernels that ship.
 *
 * Built with QPS_TRACE defined to 1, each spiking layer hands every pixel's spikes, before any pooling, to qps_trace(),
 * which the application defines. Otherwise the hook is not compiled at all. */
#ifndef QPS_TRACE_H
#define QPS_TRACE_H

#include <stdint.h>

#ifndef QPS_TRACE
#define QPS_TRACE 0
#endif

#if QPS_TRACE
#ifdef __cplusplus
extern "C" {
#endif
/* layer: the index in the generated report; spikes: the words of pixel (y, x) at timestep t, valid during the call. */
void qps_trace(uint32_t layer, uint32_t t, uint32_t y, uint32_t x, const uint32_t *spikes, uint32_t words);
#ifdef __cplusplus
}
#endif
#endif

#endif
