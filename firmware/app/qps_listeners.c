#include "qps_listeners.h"

#include "qps_frame.h"
#include "qps_port.h"

#if QPS_TRACE
const qps_model_trace_t qps_trace_table[QPS_MODEL_TRACE_LAYERS + 1U] = QPS_MODEL_TRACE_TABLE;

/* As short as it can be: it is part of what it measures. */
void qps_add_time(void *context, uint32_t stage)
{
    uint32_t *const ticks = (uint32_t *)context;
    const uint32_t now = qps_port_counter();
    ticks[ticks[QPS_MODEL_STAGES]] += now;
    ticks[stage] -= now;
    ticks[QPS_MODEL_STAGES] = stage;
}

void qps_keep_stage(void *context, uint32_t stage)
{
    ((qps_listener_t *)context)->stage = stage;
}

void qps_count_operations(void *context, uint32_t count)
{
    const qps_listener_t *const listener = (const qps_listener_t *)context;
    const uint32_t place = listener->stage - listener->first;
    if (place < listener->count) {
        uint8_t *const value = listener->values + 8U * place + 4U;
        qps_store_u32(value, qps_load_u32(value) + count);
    }
}

static uint32_t crc32_u32(uint32_t crc, uint32_t value)
{
    uint8_t bytes[4];
    qps_store_u32(bytes, value);
    return qps_crc32(crc, bytes, sizeof bytes);
}

void qps_digest_spikes(void *context, uint32_t layer, uint32_t t, uint32_t y, uint32_t x, const uint32_t *words,
                       uint32_t count)
{
    const qps_listener_t *const listener = (const qps_listener_t *)context;
    const uint32_t place = layer * QPS_MODEL_TIMESTEPS + t - listener->first;
    if (place < listener->count) {
        uint8_t *const value = listener->values + 4U * place;
        uint32_t crc = crc32_u32(0U, y * qps_trace_table[layer].width + x);
        for (uint32_t w = 0U; w < count; w++) {
            crc = crc32_u32(crc, words[w]);
        }
        qps_store_u32(value, qps_load_u32(value) + crc);
    }
}

void qps_keep_spikes(void *context, uint32_t layer, uint32_t t, uint32_t y, uint32_t x, const uint32_t *words,
                     uint32_t count)
{
    const qps_listener_t *const listener = (const qps_listener_t *)context;
    if (layer == listener->layer && t == listener->t) {
        const uint32_t start = (y * qps_trace_table[layer].width + x) * count - listener->first;
        for (uint32_t w = 0U; w < count; w++) {
            if (start + w < listener->count) {
                qps_store_u32(listener->values + 4U * (start + w), words[w]);
            }
        }
    }
}
#endif
