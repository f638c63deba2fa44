#include "qps_current.h"

void qps_map_fill(const void *layer, const void *input, uint32_t t, uint32_t y, uint32_t x, int32_t *current)
{
    const qps_map_t *const map = (const qps_map_t *)layer;
    for (uint32_t c = 0U; c < map->channels; c++) {
        current[c] = qps_map_value(map, input, t, y, x, c);
    }
}
