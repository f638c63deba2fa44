#include "qps_image_dense.h"

#if QPS_HELIUM
#include <arm_mve.h>

/* Lane by lane, the tap of register g. */
static void qps_place_taps(const qps_image_t *layer, uint32_t g, uint32_t start, qps_dense_t *dense)
{
    const qps_window_t *const window = &layer->window;
    const uint32_t width = layer->input.width;
    const uint32_t size = (uint32_t)window->kernel_height * window->kernel_width;
    for (uint32_t k = 0U; k < QPS_DENSE_LANES; k++) {
        const uint32_t lane = QPS_DENSE_LANES * g + k, tap = start + k;
        const uint32_t ky = tap % size / window->kernel_width, kx = tap % window->kernel_width;
        dense->places[lane] = (uint16_t)((tap / size * layer->input.height + ky * window->dilation_height) * width +
                                         kx * window->dilation_width);
        dense->ky[lane] = tap >= QPS_DENSE_LANES * g ? (uint16_t)ky : UINT16_MAX;
        dense->kx[lane] = (uint16_t)kx;
    }
}

/* The lanes of register g whose taps lie inside the image. */
static inline mve_pred16_t qps_lanes_inside(const qps_dense_t *dense, uint32_t g, const qps_taps_t *rows,
                                            const qps_taps_t *columns)
{
    const uint16x8_t ky = vsubq_n_u16(vldrhq_u16(dense->ky + QPS_DENSE_LANES * g), (uint16_t)rows->first);
    const uint16x8_t kx = vsubq_n_u16(vldrhq_u16(dense->kx + QPS_DENSE_LANES * g), (uint16_t)columns->first);
    const uint16x8_t height = vdupq_n_u16((uint16_t)(rows->last - rows->first));
    const uint16x8_t width = vdupq_n_u16((uint16_t)(columns->last - columns->first));
    return vcmphiq_m_u16(width, kx, vcmphiq_u16(height, ky));
}

int qps_dense_begin(const qps_image_t *layer, qps_dense_t *dense)
{
    const qps_window_t *const window = &layer->window;
    const uint32_t taps = (uint32_t)layer->input.channels * window->kernel_height * window->kernel_width;
    const uint32_t pixels = (uint32_t)layer->input.channels * layer->input.height * layer->input.width;
    if (taps < QPS_DENSE_LANES || taps > QPS_DENSE_TAPS || pixels > UINT16_MAX) {
        return 0;
    }
    const qps_taps_t all_rows = {0, 0U, window->kernel_height}, all_columns = {0, 0U, window->kernel_width};
    dense->height = window->kernel_height;
    dense->width = window->kernel_width;
    dense->row_bytes = layer->row_bytes;
    dense->registers = taps > 2U * QPS_DENSE_LANES ? 4U : 2U;
    for (uint32_t g = 0U; g < dense->registers; g++) {
        const uint32_t last = taps - QPS_DENSE_LANES;
        const uint32_t start = QPS_DENSE_LANES * g < last ? QPS_DENSE_LANES * g : last;
        dense->rows[g] = start * layer->row_bytes;
        qps_place_taps(layer, g, start, dense);
        dense->whole[g] = qps_lanes_inside(dense, g, &all_rows, &all_columns);
    }
    return 1;
}

qps_image_list_t qps_dense_see(const qps_image_view_t *view, qps_dense_t *dense)
{
    const qps_taps_t *const rows = &view->rows;
    const qps_taps_t *const columns = &view->columns;
    /* Where the first tap would be, which need not lie inside. */
    const uint32_t from = (uint32_t)rows->origin * view->layer->input.width + (uint32_t)columns->origin;
    const uint8_t *const first = (const uint8_t *)((uintptr_t)view->image + from);
    qps_image_list_t list = {NULL, 0U, 0U, dense};
    const int whole = rows->last - rows->first == dense->height && columns->last - columns->first == dense->width;
    for (uint32_t g = 0U; g < dense->registers; g++) {
        const mve_pred16_t inside = whole ? dense->whole[g] : qps_lanes_inside(dense, g, rows, columns);
        const uint16x8_t pixels =
            vldrbq_gather_offset_z_u16(first, vldrhq_u16(dense->places + QPS_DENSE_LANES * g), inside);
        vstrhq_u16(dense->pixels + QPS_DENSE_LANES * g, pixels);
        list.total = vaddvaq_u16(list.total, pixels);
        list.count = vaddvaq_u16(list.count, vminq_u16(pixels, vdupq_n_u16(1U)));
    }
    return list;
}

/* What one output needs of the pixels; rows: of codes. */
typedef struct {
    const uint8_t *rows[QPS_DENSE_REGISTERS];
    uint16x8_t pixels[QPS_DENSE_REGISTERS];
} qps_operands_t;

static inline void qps_load_operand(const qps_dense_t *dense, uint32_t g, const uint8_t *codes,
                                    qps_operands_t *operands)
{
    operands->rows[g] = codes + dense->rows[g];
    operands->pixels[g] = vldrhq_u16(dense->pixels + QPS_DENSE_LANES * g);
}

static inline uint32_t qps_dot(const qps_operands_t *operands, uint32_t registers, uint16x8_t places)
{
    uint32_t sum = vmladavq_u16(vldrbq_gather_offset_u16(operands->rows[0], places), operands->pixels[0]);
    sum = vmladavaq_u16(sum, vldrbq_gather_offset_u16(operands->rows[1], places), operands->pixels[1]);
    if (registers == 4U) {
        sum = vmladavaq_u16(sum, vldrbq_gather_offset_u16(operands->rows[2], places), operands->pixels[2]);
        sum = vmladavaq_u16(sum, vldrbq_gather_offset_u16(operands->rows[3], places), operands->pixels[3]);
    }
    return sum;
}

/* Word by word: the upper code is three bytes after the lower one. registers: a constant. */
static inline void qps_multiply(const qps_dense_t *dense, uint32_t registers, const uint8_t *codes, uint32_t *sums)
{
    uint16x8_t places = vmulq_n_u16(vidupq_n_u16(0U, 1), (uint16_t)dense->row_bytes);
    qps_operands_t operands;
    qps_load_operand(dense, 0U, codes, &operands);
    qps_load_operand(dense, 1U, codes, &operands);
    if (registers == 4U) {
        qps_load_operand(dense, 2U, codes, &operands);
        qps_load_operand(dense, 3U, codes, &operands);
    }
    for (uint32_t word = 0U; word < QPS_IMAGE_BLOCK / 2U; word++, sums += 2) {
        sums[0] = qps_dot(&operands, registers, places);
        places = vaddq_n_u16(places, 3U);
        sums[1] = qps_dot(&operands, registers, places);
        places = vaddq_n_u16(places, 1U);
    }
}

void qps_dense_sum(const qps_dense_t *dense, const uint8_t *codes, uint32_t *sums)
{
    if (dense->registers == 4U) {
        qps_multiply(dense, 4U, codes, sums);
    } else {
        qps_multiply(dense, 2U, codes, sums);
    }
}
#endif
