/* The first layer, on an image of bytes that is the same at every timestep: currents are computed once per pixel, by
 * multiplication, for the pixels that are not zero; then the neurons take all their timesteps.
 *
 * Codes are in rows [input channel][kernel_y][kernel_x], one of all output channels for each input, filled up to whole
 * blocks of QPS_IMAGE_BLOCK channels. Kernels add them up:
 * qps_image: words with two codes, bits 0 to 7 and 24 to 31. One multiplication by a pixel yields both products, one
 * 64-bit sum holds both sums. The generator has proven that the sum of the lower code of a pair stays below 2^24.
 * qps_image_bytes: a byte for each code, sums modulo 2^32. Pixels are listed and added up QPS_IMAGE_CHUNK at a time, so
 * that the list is short however large the window, and the sums of a chunk stay below 2^24.
 * qps_image_packed: codes of 2 or 4 bits, a block in 2 or 4 bytes: code k of 4 bits is in byte k % 4, in its upper half
 * from k = 4 on; code k of 2 bits is in byte k % 2, from bit k / 2 * 2 on.
 * Range: the generator has proven that currents fit int32_t. */
#ifndef QPS_IMAGE_H
#define QPS_IMAGE_H

#include "qps_map.h"
#include "qps_pixel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Output channels whose sums are in registers at once. */
#define QPS_IMAGE_BLOCK 8U
/* At most 257. */
#define QPS_IMAGE_CHUNK 64U
/* For the codes of a block that a chunk meets, a byte each, and a list of them. */
#define QPS_UNPACKED_WORDS (2U * QPS_IMAGE_CHUNK + 2U * (QPS_IMAGE_CHUNK + 1U))

/* A pixel that is not zero, and where the row of codes it meets begins, in bytes. A value of zero ends a list. */
typedef struct {
    uint32_t offset;
    uint32_t value;
} qps_image_event_t;

typedef struct {
    qps_map_t input; /* QPS_MAP_IMAGE_U8 */
    qps_window_t window;
    const uint8_t *codes; /* 4-byte aligned */
    /* On a constant current A, w = floor(w / 2^decay_shift) + A * 2^fraction_bits from rest on, w > threshold is a
     * spike, w is rest after it. With A up to quiet none ever comes. */
    const int32_t *quiet;   /* per channel, INT32_MAX for those that fill up the last block */
    const int32_t *neurons; /* per channel: threshold, rest */
    qps_map_t output;       /* QPS_MAP_SPIKES or QPS_MAP_SPIKES8, after the pool */
    qps_tiles_t tiles;
    uint16_t row_bytes;
    uint8_t multiplier; /* A = multiplier * sum(u * v) - zero_point * sum(v) */
    uint8_t zero_point;
    uint8_t decay_shift;
    uint8_t fraction_bits;
} qps_image_t;

/* Row y of the layer, before the pool, at all timesteps. Rows are computed in order; of output, memory may hold
 * fewer rows than it has: all that are still to be read. scratch: the spike words of one pixel at all timesteps,
 * those of one that sees nothing, then a qps_image_event_t per row and one more. It need not be the same from row to
 * row. output aliases neither input nor scratch. */
void qps_image_row(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch, uint32_t y);

/* All rows of a layer. */
void qps_image_run(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch);

/* The same with a byte per code. scratch: the spike words as above, a word for each channel of all blocks, then a
 * qps_image_event_t per row, but no more than QPS_IMAGE_CHUNK, and one more. */
void qps_image_bytes_row(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch, uint32_t y);
void qps_image_bytes_run(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch);

/* The same with packed codes. scratch: as for qps_image_bytes, with QPS_UNPACKED_WORDS before the list. */
void qps_image_packed_2_row(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch,
                            uint32_t y);
void qps_image_packed_2_run(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch);
void qps_image_packed_4_row(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch,
                            uint32_t y);
void qps_image_packed_4_run(const qps_image_t *layer, const void *input, uint32_t *output, int32_t *scratch);

#ifdef __cplusplus
}
#endif
#endif
