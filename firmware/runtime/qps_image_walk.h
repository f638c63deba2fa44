/* What kernels of images share: the list of pixels under a window that are not zero, and the walk over a row of the
 * layer. */
#ifndef QPS_IMAGE_WALK_H
#define QPS_IMAGE_WALK_H

#include "qps_image_block.h"

typedef struct qps_dense qps_dense_t; /* qps_image_dense.h */

/* One output pixel's view of the image. */
typedef struct {
    const qps_image_t *layer;
    const uint8_t *image;
    qps_taps_t rows, columns;
    uint32_t *sums;            /* room for them */
    qps_image_event_t *events; /* room for lists */
} qps_image_view_t;

/* Some or all of what one output pixel sees. */
typedef struct {
    const qps_image_event_t *events;
    uint32_t count;           /* of pixels that are not zero */
    uint32_t total;           /* of all values */
    const qps_dense_t *dense; /* or NULL; in place of events */
} qps_image_list_t;

/* Where a list goes on: channel, line and tap, counted from the first that lie inside the image. */
typedef struct {
    uint32_t channel, line, tap;
} qps_image_place_t;

static inline qps_image_list_t qps_end_list(const qps_image_view_t *view, qps_image_event_t *end, uint32_t total)
{
    const qps_image_list_t list = {view->events, (uint32_t)(end - view->events), total, NULL};
    end->value = 0U;
    return list;
}

/* The next pixels under the window that are not zero, from a place on. limit: as many at most, and the place moves
 * on; 0: all that are left. */
QPS_MERGED qps_image_list_t qps_list_pixels(const qps_image_view_t *view, uint32_t limit, qps_image_place_t *place)
{
    const qps_image_t *const layer = view->layer;
    const qps_window_t *const window = &layer->window;
    const qps_taps_t *const rows = &view->rows;
    const qps_taps_t *const columns = &view->columns;
    const uint32_t row_bytes = layer->row_bytes;
    const uint32_t line_codes = window->kernel_width * row_bytes;
    const uint32_t plane_codes = window->kernel_height * line_codes;
    const uint32_t right = window->dilation_width;
    const uint32_t down = (uint32_t)layer->input.width * window->dilation_height;
    const uint32_t plane_pixels = (uint32_t)layer->input.height * layer->input.width;
    const uint32_t y = (uint32_t)(rows->origin + (int32_t)(rows->first * window->dilation_height));
    const uint32_t x = (uint32_t)(columns->origin + (int32_t)(columns->first * window->dilation_width));
    const uint32_t height = rows->last - rows->first;
    const uint32_t width = columns->last - columns->first;
    const uint8_t *plane = view->image + place->channel * plane_pixels + y * layer->input.width + x;
    uint32_t plane_offset =
        place->channel * plane_codes + (rows->first * window->kernel_width + columns->first) * row_bytes;
    uint32_t line = place->line, tap = place->tap, total = 0U;
    qps_image_event_t *event = view->events;
    for (uint32_t channels = layer->input.channels - place->channel; channels > 0U; channels--) {
        const uint8_t *first = plane + line * down;
        uint32_t first_offset = plane_offset + line * line_codes;
        for (uint32_t lines = height - line; lines > 0U; lines--) {
            const uint8_t *pixel = first + tap * right;
            uint32_t offset = first_offset + tap * row_bytes;
            for (uint32_t taps = width - tap; taps > 0U; taps--, pixel += right, offset += row_bytes) {
                const uint32_t value = *pixel;
                if (value != 0U) {
                    event->offset = offset;
                    event->value = value;
                    event++;
                    total += value;
                    if (limit != 0U && event == view->events + limit) {
                        const qps_image_place_t next = {layer->input.channels - channels, height - lines,
                                                        width - taps + 1U};
                        *place = next;
                        return qps_end_list(view, event, total);
                    }
                }
            }
            tap = 0U;
            first += down;
            first_offset += line_codes;
        }
        line = 0U;
        plane += plane_pixels;
        plane_offset += plane_codes;
    }
    return qps_end_list(view, event, total);
}

/* sums[0 .. channels) += value * codes for all pixels of a list; codes: a byte each, channels: whole blocks. */
void qps_add_pixels(const uint8_t *codes, const qps_image_list_t *list, uint32_t channels, uint32_t *sums);

/* What an output pixel sees, or the beginning of it; context: the kernel's own. */
typedef qps_image_list_t (*qps_image_see_fn)(const qps_image_view_t *view, void *context, qps_image_place_t *place);

/* The spikes of an output pixel at all timesteps; words: of one. */
typedef void (*qps_image_pixel_fn)(const qps_image_view_t *view, const qps_image_list_t *list, qps_image_place_t *place,
                                   uint32_t words, uint32_t *spikes);

/* Row y of the layer, by a kernel's two functions. scratch: the spikes of a pixel, those of a pixel that sees
 * nothing, room for that many sums and for lists. */
QPS_MERGED void qps_image_walk(const qps_image_t *layer, const void *input, uint32_t *output, uint32_t *scratch,
                               uint32_t sums, uint32_t y, qps_image_see_fn see, void *context,
                               qps_image_pixel_fn compute)
{
    const uint32_t words = qps_spike_words(layer->output.channels);
    const uint32_t timesteps = layer->output.timesteps;
    uint32_t *const spikes = scratch;
    uint32_t *const silent = spikes + timesteps * words;
    const qps_line_t line = qps_begin_line(&layer->output, &layer->tiles, y, output);
    qps_image_view_t view;
    int known = 0; /* silent is */
    view.layer = layer;
    view.image = (const uint8_t *)input;
    view.rows = qps_rows(&layer->window, y, layer->input.height);
    view.sums = silent + timesteps * words;
    view.events = (qps_image_event_t *)(void *)(view.sums + sums);
    for (uint32_t x = 0U; x < line.columns; x++) {
        qps_image_place_t place = {0U, 0U, 0U};
        view.columns = qps_columns(&layer->window, x, layer->input.width);
        {
            const qps_image_list_t list = see(&view, context, &place);
            uint32_t *const pixel = list.count == 0U ? silent : spikes;
            if (pixel == spikes || !known) {
                compute(&view, &list, &place, words, pixel);
                known = known || pixel == silent;
            }
            qps_store_pixel(&line, pixel, 0U, timesteps, x);
        }
    }
}

#endif
