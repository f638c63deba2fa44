/* What kernels share that list the pixels under a window QPS_IMAGE_CHUNK at a time. */
#ifndef QPS_IMAGE_CHUNKS_H
#define QPS_IMAGE_CHUNKS_H

#include "qps_image_walk.h"
#include "qps_trace.h"

/* What an output pixel sees, up to a chunk of it. */
QPS_MERGED qps_image_list_t qps_chunks_see(const qps_image_view_t *view, void *context, qps_image_place_t *place)
{
    (void)context;
    return qps_list_pixels(view, QPS_IMAGE_CHUNK, place);
}

/* view->sums[0 .. channels) += value * codes for all pixels of a chunk; channels: whole blocks. */
typedef void qps_add_chunk_fn(const qps_image_view_t *view, const qps_image_list_t *chunk, uint32_t channels);

/* The spikes of an output pixel, as qps_image_pixel_fn; list: the first chunk, place: where the next one begins;
 * filled: the channels of all blocks. */
QPS_MERGED void qps_chunks_pixel(const qps_image_view_t *view, const qps_image_list_t *list, qps_image_place_t *place,
                                 uint32_t words, uint32_t *spikes, uint32_t filled, qps_add_chunk_fn *add)
{
    const qps_image_t *const layer = view->layer;
    const uint32_t channels = layer->output.channels;
    qps_image_list_t chunk = *list;
    uint32_t count = chunk.count, total = chunk.total;
    qps_clear_words(view->sums, filled);
    add(view, &chunk, filled);
    while (chunk.count == QPS_IMAGE_CHUNK) {
        chunk = qps_chunks_see(view, NULL, place);
        add(view, &chunk, filled);
        count += chunk.count;
        total += chunk.total;
    }
    {
        const qps_image_scale_t scale = {layer->multiplier, 0U - total * layer->zero_point};
        qps_clear_words(spikes, layer->output.timesteps * words);
        for (uint32_t first = 0U; first < channels; first += QPS_IMAGE_BLOCK) {
            qps_image_fire(layer, &scale, first, view->sums + first, words, spikes);
        }
    }
    qps_trace_operations(count * channels);
}

#endif
