/* A first layer of many codes of 2 or 4 bits: those that a chunk of pixels meets are unpacked block by block, a byte
 * each, and added up as qps_image_bytes does. */
#include "qps_image_chunks.h"

/* Codes 0 to 3 of a block in the bytes of one word, 4 to 7 in those of the other. */
QPS_MERGED void qps_unpack_block(uint32_t bits, const uint8_t *codes, uint32_t *words)
{
    if (bits == 4U) {
        const uint32_t word = qps_load_word(codes);
        words[0] = word & UINT32_C(0x0F0F0F0F);
        words[1] = (word >> 4) & UINT32_C(0x0F0F0F0F);
    } else {
        const uint32_t half = *(const qps_half_t *)(const void *)codes;
        words[0] = (half | half << 14) & UINT32_C(0x03030303);
        words[1] = (half >> 4 | half << 10) & UINT32_C(0x03030303);
    }
}

/* Behind the sums is room for the words of a block, then for a list of its rows. */
QPS_MERGED void qps_packed_add(uint32_t bits, const qps_image_view_t *view, const qps_image_list_t *chunk,
                               uint32_t channels)
{
    uint32_t *const words = view->sums + channels;
    qps_image_event_t *const rows = (qps_image_event_t *)(void *)(words + 2U * QPS_IMAGE_CHUNK);
    const qps_image_list_t unpacked = {rows, chunk->count, chunk->total, NULL};
    for (uint32_t k = 0U; k <= chunk->count; k++) {
        rows[k].offset = 8U * k;
        rows[k].value = chunk->events[k].value;
    }
    for (uint32_t first = 0U; first < channels; first += QPS_IMAGE_BLOCK) {
        const uint8_t *const codes = view->layer->codes + first * bits / 8U;
        for (uint32_t k = 0U; k < chunk->count; k++) {
            qps_unpack_block(bits, codes + chunk->events[k].offset, words + 2U * k);
        }
        qps_add_pixels((const uint8_t *)words, &unpacked, QPS_IMAGE_BLOCK, view->sums + first);
    }
}

QPS_MERGED uint32_t qps_packed_channels(uint32_t bits, const qps_image_t *layer)
{
    return layer->row_bytes * 8U / bits;
}

#define QPS_PACKED_KERNEL(bits)                                                                                        \
    static void qps_packed_add_##bits(const qps_image_view_t *view, const qps_image_list_t *chunk, uint32_t channels)  \
    {                                                                                                                  \
        qps_packed_add(bits, view, chunk, channels);                                                                   \
    }                                                                                                                  \
    static void qps_packed_pixel_##bits(const qps_image_view_t *view, const qps_image_list_t *list,                    \
                                        qps_image_place_t *place, uint32_t words, uint32_t *spikes)                    \
    {                                                                                                                  \
        qps_chunks_pixel(view, list, place, words, spikes, qps_packed_channels(bits, view->layer),                     \
                         qps_packed_add_##bits);                                                                       \
    }                                                                                                                  \
    void qps_image_packed_##bits##_row(const qps_image_t *layer, const void *input, uint32_t *output,                  \
                                       int32_t *scratch, uint32_t y)                                                   \
    {                                                                                                                  \
        qps_image_walk(layer, input, output, (uint32_t *)scratch,                                                      \
                       qps_packed_channels(bits, layer) + QPS_UNPACKED_WORDS, y, qps_chunks_see, NULL,                 \
                       qps_packed_pixel_##bits);                                                                       \
    }                                                                                                                  \
    void qps_image_packed_##bits##_run(const qps_image_t *layer, const void *input, uint32_t *output,                  \
                                       int32_t *scratch)                                                               \
    {                                                                                                                  \
        for (uint32_t y = 0U; y < layer->tiles.height; y++) {                                                          \
            qps_image_packed_##bits##_row(layer, input, output, scratch, y);                                           \
        }                                                                                                              \
    }

QPS_PACKED_KERNEL(2)
QPS_PACKED_KERNEL(4)
