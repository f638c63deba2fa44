#include "qps_lookup.h"

void qps_lookup_run(const qps_lookup_t *layer, const void *input, void *output)
{
    const size_t pixels = (size_t)layer->input.height * layer->input.width;
    const uint8_t *const image = (const uint8_t *)input;
    uint8_t *const bytes = (uint8_t *)output;
    for (uint32_t c = 0U; c < layer->input.channels; c++) {
        for (size_t p = 0U; p < pixels; p++) {
            const size_t index = c * pixels + p;
            const int16_t value = layer->table[256U * c + image[index]];
            if (layer->output.format == QPS_MAP_IMAGE_S16) {
                memcpy(&bytes[2U * index], &value, sizeof value);
            } else {
                bytes[index] = (uint8_t)((uint32_t)value & 0xFFU); /* two's complement, as int8_t lies in memory */
            }
        }
    }
}
