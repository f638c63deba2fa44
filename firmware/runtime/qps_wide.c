#include "qps_wide.h"

#include "qps_lanes.h"
#include "qps_trace.h"

/* A value that is not zero, and where the weights it meets begin, in bytes. */
typedef struct {
    uint32_t row;
    int32_t value;
} qps_wide_event_t;

/* What one output pixel sees, and where the list of it goes on. */
typedef struct {
    const qps_wide_t *wide;
    const void *input;
    uint32_t t;
    qps_taps_t rows, columns;
    uint32_t ky, kx, c;
    qps_wide_event_t *events;
    uint32_t count; /* of events listed */
} qps_wide_view_t;

/* Bytes of images lie plane by plane; the others are read as any map is. */
static inline int32_t qps_wide_value(const qps_wide_view_t *view, uint32_t y, uint32_t x, uint32_t c)
{
    const qps_map_t *const map = &view->wide->input;
    if (map->format == QPS_MAP_IMAGE_U8) {
        return ((const uint8_t *)view->input)[((size_t)c * map->height + y) * map->width + x];
    }
    return qps_map_value(map, view->input, view->t, y, x, c);
}

static inline void qps_wide_begin(qps_wide_view_t *view)
{
    view->ky = view->rows.first;
    view->kx = view->columns.first;
    view->c = 0U;
}

/* The next values that are not zero: as many as there is room for, or all that are left. */
static void qps_list_values(qps_wide_view_t *view)
{
    const qps_wide_t *const wide = view->wide;
    const qps_window_t *const window = &wide->window;
    const uint32_t row_bytes = 2U * (uint32_t)wide->outputs;
    view->count = 0U;
    for (; view->ky < view->rows.last; view->ky++, view->kx = view->columns.first) {
        const uint32_t y = (uint32_t)(view->rows.origin + (int32_t)(view->ky * window->dilation_height));
        for (; view->kx < view->columns.last; view->kx++, view->c = 0U) {
            const uint32_t x = (uint32_t)(view->columns.origin + (int32_t)(view->kx * window->dilation_width));
            const uint32_t tap = (view->ky * window->kernel_width + view->kx) * wide->input.channels;
            for (; view->c < wide->input.channels; view->c++) {
                const int32_t value = qps_wide_value(view, y, x, view->c);
                if (value != 0) {
                    const qps_wide_event_t event = {(tap + view->c) * row_bytes, value};
                    if (view->count == QPS_WIDE_LIST) {
                        return;
                    }
                    view->events[view->count] = event;
                    view->count++;
                }
            }
        }
    }
}

static inline int64_t qps_multiply_wide(int64_t sum, int32_t value, qps_half_t weight)
{
#if QPS_NARROW_CORE
    /* The product of 16 bits each fits 32; a long one is a call. */
    return sum + value * (int16_t)weight;
#else
    return sum + (int64_t)value * (int16_t)weight;
#endif
}

/* Four sums += values times weights; codes: of the first row. */
QPS_ALONE static void qps_add_four(const uint8_t *codes, const qps_wide_event_t *event, const qps_wide_event_t *end,
                                   int64_t *sums)
{
    int64_t sum0 = sums[0], sum1 = sums[1], sum2 = sums[2], sum3 = sums[3];
    for (; event != end; event++) {
        const qps_half_t *const weights = (const qps_half_t *)(const void *)(codes + event->row);
        const int32_t value = event->value;
        sum0 = qps_multiply_wide(sum0, value, weights[0]);
        sum1 = qps_multiply_wide(sum1, value, weights[1]);
        sum2 = qps_multiply_wide(sum2, value, weights[2]);
        sum3 = qps_multiply_wide(sum3, value, weights[3]);
    }
    sums[0] = sum0;
    sums[1] = sum1;
    sums[2] = sum2;
    sums[3] = sum3;
}

/* The same for outputs that are left over. */
QPS_ALONE static void qps_add_one(const uint8_t *codes, const qps_wide_event_t *event, const qps_wide_event_t *end,
                                  int64_t *sums)
{
    for (; event != end; event++) {
        const qps_half_t *const weights = (const qps_half_t *)(const void *)(codes + event->row);
        sums[0] = qps_multiply_wide(sums[0], event->value, weights[0]);
    }
}

/* The sums of outputs from first on, over a list. */
static inline void qps_add_values(const qps_wide_view_t *view, uint32_t first, uint32_t count, int64_t *sums)
{
    const uint8_t *const codes = view->wide->weights + 2U * (size_t)first;
    const qps_wide_event_t *const end = view->events + view->count;
    if (count == QPS_WIDE_BLOCK) {
        qps_add_four(codes, view->events, end, sums);
    } else {
        qps_add_one(codes, view->events, end, sums);
    }
    qps_trace_operations(view->count * count);
}

/* The currents of one output or QPS_WIDE_BLOCK of them. A list that is not whole is made anew each time. */
static inline void qps_wide_block(qps_wide_view_t *view, int whole, uint32_t first, uint32_t count, int32_t *current)
{
    const qps_wide_t *const wide = view->wide;
    const int64_t half = wide->shift > 0U ? (int64_t)1 << (wide->shift - 1U) : 0;
    int64_t sums[QPS_WIDE_BLOCK] = {half, half, half, half};
    if (whole) {
        qps_add_values(view, first, count, sums);
    } else {
        qps_wide_begin(view);
        do {
            qps_list_values(view);
            qps_add_values(view, first, count, sums);
        } while (view->count == QPS_WIDE_LIST);
    }
    for (uint32_t k = 0U; k < count; k++) {
        current[first + k] = (int32_t)qps_shift_right_64(sums[k], wide->shift);
    }
}

void qps_wide_fill(const void *layer, const void *input, uint32_t t, uint32_t y, uint32_t x, int32_t *current)
{
    const qps_wide_t *const wide = (const qps_wide_t *)layer;
    qps_wide_view_t view;
    uint32_t first = 0U;
    int whole;
    view.wide = wide;
    view.input = input;
    view.t = t;
    view.rows = qps_rows(&wide->window, y, wide->input.height);
    view.columns = qps_columns(&wide->window, x, wide->input.width);
    view.events = (qps_wide_event_t *)(void *)(current + wide->outputs);
    qps_wide_begin(&view);
    qps_list_values(&view);
    whole = view.count < QPS_WIDE_LIST;
    for (; first + QPS_WIDE_BLOCK <= wide->outputs; first += QPS_WIDE_BLOCK) {
        qps_wide_block(&view, whole, first, QPS_WIDE_BLOCK, current);
    }
    for (; first < wide->outputs; first++) {
        qps_wide_block(&view, whole, first, 1U, current);
    }
}
