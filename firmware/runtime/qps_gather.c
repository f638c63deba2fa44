#include "qps_gather.h"

#include "qps_lanes.h"

#define QPS_NO_COLUMN UINT32_MAX
#define QPS_WORD_EVENTS 32U

/* Append base + the channel of every spike in a word. */
static inline uint16_t *qps_list_word(uint32_t word, uint32_t base, uint16_t *list)
{
#if defined(__ARM_FEATURE_CLZ) && defined(__thumb2__)
    if (word != 0U) {
        __asm("rbit %0, %0" : "+r"(word));
        do {
            const uint32_t channel = (uint32_t)__builtin_clz(word);
            word &= ~(UINT32_C(0x80000000) >> channel);
            *list++ = (uint16_t)(base + channel);
        } while (word != 0U);
    }
#elif defined(__GNUC__) && !QPS_NARROW_CORE
    while (word != 0U) {
        *list++ = (uint16_t)(base + (uint32_t)__builtin_ctz(word));
        word &= word - 1U;
    }
#else
    while (word != 0U) {
        if ((word & 0xFFU) == 0U) {
            word >>= 8;
            base += 8U;
        } else {
            if ((word & 1U) != 0U) {
                *list++ = (uint16_t)base;
            }
            word >>= 1;
            base++;
        }
    }
#endif
    return list;
}

/* One to three bytes of spikes. */
static inline uint32_t qps_load_rest(const uint8_t *bytes, uint32_t count)
{
    uint32_t word = bytes[0];
    if (count > 1U) {
        word |= (uint32_t)bytes[1] << 8;
    }
    if (count > 2U) {
        word |= (uint32_t)bytes[2] << 16;
    }
    return word;
}

/* Append the events of one column of taps: tap is the first one, row its row of weights. A word is begun with the list at
 * limit at most; returns NULL if it was beyond. */
QPS_ALONE static uint16_t *qps_list_column(const qps_gather_t *gather, const uint8_t *tap, uint32_t t, uint32_t row,
                                           uint16_t *list, const uint16_t *limit)
{
    const uint8_t *const end = gather->end + t * gather->frame;
    const uint32_t pixel = gather->pixel;
    const uint32_t channels = gather->map->channels;
    for (uint32_t rows = gather->rows; rows > 0U; rows--, row += channels) {
        uint32_t base = row;
        uint32_t left = pixel;
        for (; left >= 4U; left -= 4U, tap += 4, base += QPS_WORD_EVENTS) {
            if (list > limit) {
                return NULL;
            }
            list = qps_list_word(qps_load_four(tap, pixel % 4U == 0U), base, list);
        }
        if (left > 0U) {
            if (list > limit) {
                return NULL;
            }
            list = qps_list_word(qps_load_rest(tap, left), base, list);
            tap += left;
        }
        tap += gather->down;
        if (tap >= end) {
            tap -= gather->frame;
        }
    }
    return list;
}

void qps_gather_begin(qps_gather_t *gather, const qps_map_t *map, const qps_window_t *window, const void *input, uint32_t y,
                      uint16_t *area, uint32_t slot)
{
    const qps_taps_t taps = qps_rows(window, y, map->height);
    const uint32_t first = (uint32_t)(taps.origin + (int32_t)(taps.first * window->dilation_height));
    const uint32_t pixel = qps_spike_bytes(map);
    const uint32_t line = map->width * pixel;
    gather->map = map;
    gather->window = window;
    gather->frame = map->rows * line;
    gather->line = (const uint8_t *)input + first % map->rows * line;
    gather->end = (const uint8_t *)input + gather->frame;
    gather->rows = taps.last - taps.first;
    gather->row = taps.first * map->channels;
    gather->pixel = pixel;
    gather->down = window->dilation_height * line - pixel; /* from behind a tap */
    gather->area = area;
    gather->slot = slot;
    gather->next = slot > 0U ? 0U : QPS_NO_COLUMN;
    for (uint32_t t = 0U; t < QPS_STEPS; t++) {
        uint16_t *const list = area + t * slot;
        gather->steps[t].begin = list;
        gather->steps[t].end = list;
        memset(gather->steps[t].counts, 0, sizeof gather->steps[t].counts);
    }
}

/* Append a column, padding included, to the list of a timestep; returns 0 where there is no room. */
static int qps_keep_column(qps_gather_t *gather, uint32_t column, uint32_t t)
{
    const uint32_t x = column - gather->window->padding_width;
    uint16_t *end = gather->steps[t].end;
    if (x < gather->map->width) {
        uint16_t *const list = gather->area + t * gather->slot;
        const uint16_t *const limit = list + gather->slot - QPS_WORD_EVENTS;
        const uint8_t *const tap = gather->line + t * gather->frame + x * gather->pixel;
        const uint32_t row = column * gather->window->kernel_height * gather->map->channels + gather->row;
        end = qps_list_column(gather, tap, t, row, end, limit);
        if (end == NULL) {
            /* Once more, behind a list that is moved to its beginning. */
            const size_t kept = (size_t)(gather->steps[t].end - gather->steps[t].begin);
            memmove(list, gather->steps[t].begin, kept * sizeof *list);
            gather->steps[t].begin = list;
            gather->steps[t].end = list + kept;
            end = qps_list_column(gather, tap, t, row, list + kept, limit);
            if (end == NULL) {
                return 0;
            }
        }
    }
    gather->steps[t].counts[column % QPS_GATHER_COLUMNS] = (uint16_t)(end - gather->steps[t].end);
    gather->steps[t].end = end;
    return 1;
}

int qps_gather_next(qps_gather_t *gather, uint32_t x, uint32_t steps)
{
    if (gather->next == QPS_NO_COLUMN) {
        return 0;
    }
    for (uint32_t t = 0U; t < steps; t++) {
        if (x > 0U) {
            gather->steps[t].begin += gather->steps[t].counts[(x - 1U) % QPS_GATHER_COLUMNS];
        }
        for (uint32_t column = gather->next; column < x + gather->window->kernel_width; column++) {
            if (!qps_keep_column(gather, column, t)) {
                gather->next = QPS_NO_COLUMN;
                return 0;
            }
        }
    }
    gather->next = x + gather->window->kernel_width;
    return 1;
}

qps_list_t qps_gather_window(const qps_gather_t *gather, uint32_t x, uint32_t t)
{
    const qps_window_t *const window = gather->window;
    const qps_taps_t taps = qps_columns(window, x, gather->map->width);
    const uint32_t rows = window->kernel_height * (uint32_t)gather->map->channels;
    const uint32_t first = (uint32_t)(taps.origin + (int32_t)(taps.first * window->dilation_width));
    const uint8_t *tap = gather->line + t * gather->frame + first * gather->pixel;
    uint32_t row = taps.first * rows + gather->row;
    uint16_t *list = gather->area;
    for (uint32_t kx = taps.first; kx < taps.last; kx++, row += rows) {
        /* There is room for all rows. */
        list = qps_list_column(gather, tap, t, row, list, list + rows);
        tap += window->dilation_width * gather->pixel;
    }
    {
        const qps_list_t result = {gather->area, (uint32_t)(list - gather->area), 0U};
        return result;
    }
}
