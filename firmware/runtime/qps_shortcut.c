#include "qps_shortcut.h"

void qps_shortcut_run(const qps_shortcut_t *layer, const void *input, void *output)
{
    qps_map_clear(&layer->output, output);
    for (uint32_t t = 0U; t < layer->output.timesteps; t++) {
        for (uint32_t y = 0U; y < layer->output.height; y++) {
            for (uint32_t x = 0U; x < layer->output.width; x++) {
                for (uint32_t c = 0U; c < layer->input.channels; c++) {
                    const int32_t value =
                        qps_map_value(&layer->input, input, t, y * layer->stride, x * layer->stride, c);
                    qps_map_store(&layer->output, output, t, y, x, c + layer->pad_before, (uint32_t)value);
                }
            }
        }
    }
}
