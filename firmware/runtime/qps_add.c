#include "qps_add.h"

void qps_add_run(const qps_add_t *layer, const void *left, const void *right, void *output)
{
    const qps_map_t *const map = &layer->output;
    for (uint32_t t = 0U; t < map->timesteps; t++) {
        for (uint32_t y = 0U; y < map->height; y++) {
            for (uint32_t x = 0U; x < map->width; x++) {
                for (uint32_t c = 0U; c < map->channels; c++) {
                    const int32_t sum =
                        qps_map_value(&layer->left, left, t, y, x, c) + qps_map_value(&layer->right, right, t, y, x, c);
                    qps_map_store(map, output, t, y, x, c, (uint32_t)sum);
                }
            }
        }
    }
}
