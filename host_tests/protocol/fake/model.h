/* A network that is none, for the protocol's tests: every value is a hash of the input and of the value's index, and there
 * is more of everything than one answer can carry. fake_network.py computes the same. */
#ifndef QPS_APP_MODEL_H
#define QPS_APP_MODEL_H

#include "../runtime/qps_types.h"

typedef struct {
    uint32_t ready;
} qps_model_t;
typedef uint8_t qps_model_input_t;
#define QPS_MODEL_NAME "fake"
#define QPS_MODEL_INPUT_SIZE 300U
#define QPS_MODEL_CLASSES 70
#define QPS_MODEL_TIMESTEPS 25
#define QPS_MODEL_STAGES 35U
#define QPS_MODEL_ARENA_BYTES 4U
#define QPS_MODEL_WEIGHT_BYTES 100000U
#define QPS_MODEL_CONSTANT_BYTES 1234U
#define QPS_MODEL_SHA256 "00112233445566778899aabbccddeeff0123456789abcdef0f1e2d3c4b5a6978"
#define QPS_MODEL_TOOL_VERSION "0.0.fake"

typedef struct {
    uint32_t offset, height, width, words;
} qps_model_trace_t;
#define QPS_MODEL_TRACE_LAYERS 3U
#define QPS_MODEL_TRACE_TABLE {{0U, 5U, 7U, 2U}, {1750U, 1U, 1U, 1U}, {1775U, 9U, 4U, 3U}, {0U, 0U, 0U, 0U}}

void qps_model_init(qps_model_t *net);

/* QPS_ERROR_NULL if the first byte of the input is 0xEE, or the network was not made ready. */
qps_status_t qps_model_run(qps_model_t *net, const qps_model_input_t *input, int32_t *logits);

#endif
