#include "qps_trace.h"

#if QPS_TRACE
const qps_trace_sink_t *qps_trace_sink;
#endif
