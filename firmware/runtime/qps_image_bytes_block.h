/* Adding up the rows of a list, one byte per code: differs from core to core. */
#ifndef QPS_IMAGE_BYTES_BLOCK_H
#define QPS_IMAGE_BYTES_BLOCK_H

#include "qps_image_walk.h"

/* sums[0 .. channels) += value * row, for all pixels of a list; channels: whole blocks. */
void qps_add_pixels(const uint8_t *codes, const qps_image_list_t *list, uint32_t channels, uint32_t *sums);

#endif
