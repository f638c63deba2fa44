#include "../app/model.h"
#include "../runtime/qps_trace.h"

static uint32_t hash(uint32_t seed, uint32_t index)
{
    uint32_t value = seed * (0x9E3779B9U + 2U * index);
    value ^= value >> 16;
    value *= 0x85EBCA6BU;
    return value ^ (value >> 13);
}

/* Last pixel first, and a pixel's timesteps together: the answers must not depend on the order. */
static void spikes_of(uint32_t seed, uint32_t layer)
{
    static const qps_model_trace_t table[] = QPS_MODEL_TRACE_TABLE;
    const qps_model_trace_t *const map = &table[layer];
    for (uint32_t pixel = map->height * map->width; pixel-- > 0U;) {
        for (uint32_t t = 0U; t < QPS_MODEL_TIMESTEPS; t++) {
            uint32_t words[3];
            for (uint32_t w = 0U; w < map->words; w++) {
                const uint32_t place = (t * map->height * map->width + pixel) * map->words + w;
                words[w] = hash(seed, 1000U + map->offset + place);
            }
            qps_trace_spikes(layer, t, pixel / map->width, pixel % map->width, words, map->words);
        }
    }
}

void qps_model_init(qps_model_t *net)
{
    net->ready = 1U;
}

qps_status_t qps_model_run(qps_model_t *net, const qps_model_input_t *input, int32_t *logits)
{
    uint32_t seed = 0U;
    for (uint32_t i = 0U; i < QPS_MODEL_INPUT_SIZE; i++) {
        seed += (i + 1U) * input[i];
    }
    for (uint32_t stage = 0U; stage < QPS_MODEL_STAGES; stage++) {
        qps_trace_stage(stage);
        if (input[0] == 0xEEU || net->ready != 1U) {
            return QPS_ERROR_NULL;
        }
        qps_trace_operations(hash(seed, stage) & 0xFFFU);
        qps_trace_operations(1U);
        if (stage < QPS_MODEL_TRACE_LAYERS) {
            spikes_of(seed, stage);
        }
    }
    /* Stages may take turns. */
    qps_trace_stage(0U);
    qps_trace_operations(7U);
    qps_trace_stage(QPS_MODEL_STAGES);
    for (uint32_t k = 0U; k < QPS_MODEL_CLASSES; k++) {
        logits[k] = (int32_t)hash(seed, 500U + k);
    }
    return QPS_OK;
}
