/* Helium: a first layer with few inputs, all of them multiplied at once, zeros among them: a dot product for each
 * output.
 *
 * Inputs under a window are in the lanes of up to four registers: those of register g are eight that follow each
 * other, from 8 g on; those of the last begin earlier if fewer than eight are left, and lanes that would count twice
 * hold 0. */
#ifndef QPS_IMAGE_DENSE_H
#define QPS_IMAGE_DENSE_H

#include "qps_image_walk.h"

#if QPS_HELIUM
#define QPS_DENSE_REGISTERS 4U
#define QPS_DENSE_LANES 8U
#define QPS_DENSE_TAPS (QPS_DENSE_REGISTERS * QPS_DENSE_LANES)

struct qps_dense {
    uint32_t registers;
    uint32_t row_bytes;
    uint32_t rows[QPS_DENSE_REGISTERS]; /* of codes: where each begins, in bytes */
    uint16_t places[QPS_DENSE_TAPS];    /* in the image, from the first tap on */
    uint16_t ky[QPS_DENSE_TAPS];        /* UINT16_MAX in lanes that hold 0 */
    uint16_t kx[QPS_DENSE_TAPS];
    uint16_t pixels[QPS_DENSE_TAPS];
    uint16_t whole[QPS_DENSE_REGISTERS]; /* lanes of a window that lies inside the image, as predicates */
    uint16_t height, width;              /* of such a window */
};

/* 0 if the layer has too many inputs or too few, and nothing else happens. */
int qps_dense_begin(const qps_image_t *layer, qps_dense_t *dense);

/* What one pixel of the layer sees. */
qps_image_list_t qps_dense_see(const qps_image_view_t *view, qps_dense_t *dense);

/* The sums of QPS_IMAGE_BLOCK outputs; codes: theirs. */
void qps_dense_sum(const qps_dense_t *dense, const uint8_t *codes, uint32_t *sums);

/* The sums of QPS_IMAGE_BLOCK outputs; codes: theirs. */
void qps_image_block(const uint8_t *codes, const qps_image_list_t *list, uint32_t *sums);
#endif

#endif
