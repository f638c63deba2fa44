#include "qps_gather.h"

#include "qps_lanes.h"

#define QPS_NO_COLUMN UINT32_MAX
#define QPS_WORD_EVENTS 32U

/* Append base + the channel of every spike in a word. */
static inline uint16_t *qps_list_word(uint32_t word, uint32_t base, uint16_t *list)
{
#if defined(__ARM_FEATURE_CLZ) && defined(__thumb2__)
    /* As a whole, so that no register is missing; from the last channel to the first, which the sum does not mind. */
    uint32_t channel, bit;
    __asm volatile("cbz %[word], 2f\n"
                   "1:\n\t"
                   "clz %[channel], %[word]\n\t"
                   "lsr %[bit], %[top], %[channel]\n\t"
                   "sub %[channel], %[last], %[channel]\n\t"
                   "strh %[channel], [%[list]], #2\n\t"
                   "bics %[word], %[word], %[bit]\n\t"
                   "bne 1b\n"
                   "2:"
                   : [word] "+l"(word), [list] "+r"(list), [channel] "=&r"(channel), [bit] "=&r"(bit)
                   : [top] "r"(UINT32_C(0x80000000)), [last] "r"(base + 31U)
                   : "cc", "memory");
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

/* A column of taps. */
typedef struct {
    const uint8_t *tap; /* the first one */
    const uint8_t *end; /* of its frame */
    uint32_t row;       /* of weights, of the first tap */
} qps_taps_column_t;

/* Append the events of a column. A word is begun with the list at limit at most; returns NULL if it was beyond. */
static inline uint16_t *qps_list_column(const qps_gather_t *gather, const qps_taps_column_t *column, uint16_t *list,
                                        const uint16_t *limit)
{
    const uint32_t pixel = gather->pixel;
    const uint32_t channels = gather->map->channels;
    const uint8_t *tap = column->tap;
    uint32_t row = column->row;
    for (uint32_t rows = gather->rows; rows > 0U; rows--, row += channels) {
        const uint8_t *const end = tap + (pixel & ~UINT32_C(3));
        uint32_t base = row;
        while (tap != end) {
            if (list > limit) {
                return NULL;
            }
            list = qps_list_word(qps_load_four(tap, pixel % 4U == 0U), base, list);
            tap += 4;
            base += QPS_WORD_EVENTS;
        }
        if (pixel % 4U != 0U) {
            if (list > limit) {
                return NULL;
            }
            list = qps_list_word(qps_load_rest(tap, pixel % 4U), base, list);
            tap += pixel % 4U;
        }
        tap += gather->down;
        if (tap >= column->end) {
            tap -= gather->frame;
        }
    }
    return list;
}

void qps_gather_begin(qps_gather_t *gather, const qps_map_t *map, const qps_window_t *window, const void *input,
                      uint32_t y, uint16_t *area, uint32_t slot)
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

/* Append a column, padding included, to the lists of some timesteps; returns 0 where there is no room. */
static int qps_keep_column(qps_gather_t *gather, uint32_t column, uint32_t steps)
{
    const uint32_t x = column - gather->window->padding_width;
    const uint32_t place = column % QPS_GATHER_COLUMNS;
    uint16_t *area = gather->area;
    qps_taps_column_t taps;
    if (x >= gather->map->width) {
        for (uint32_t t = 0U; t < steps; t++) {
            gather->steps[t].counts[place] = 0U;
        }
        return 1;
    }
    taps.tap = gather->line + x * gather->pixel;
    taps.end = gather->end;
    taps.row = column * gather->window->kernel_height * gather->map->channels + gather->row;
    for (uint32_t t = 0U; t < steps; t++) {
        const uint16_t *const limit = area + gather->slot - QPS_WORD_EVENTS;
        uint16_t *begin = gather->steps[t].end;
        uint16_t *end;
        while ((end = qps_list_column(gather, &taps, begin, limit)) == NULL) {
            /* Once more, behind a list that is moved to its beginning. */
            const uint16_t *event = gather->steps[t].begin;
            const uint16_t *const last = begin;
            if (event == area) {
                return 0;
            }
            for (begin = area; event != last; event++) {
                *begin++ = *event;
            }
            gather->steps[t].begin = area;
        }
        gather->steps[t].counts[place] = (uint16_t)(end - begin);
        gather->steps[t].end = end;
        area += gather->slot;
        taps.tap += gather->frame;
        taps.end += gather->frame;
    }
    return 1;
}

int qps_gather_next(qps_gather_t *gather, uint32_t x, uint32_t steps)
{
    if (gather->next == QPS_NO_COLUMN) {
        return 0;
    }
    gather->origin = x * gather->window->kernel_height * gather->map->channels;
    if (x > 0U) {
        for (uint32_t t = 0U; t < steps; t++) {
            gather->steps[t].begin += gather->steps[t].counts[(x - 1U) % QPS_GATHER_COLUMNS];
        }
    }
    for (; gather->next < x + gather->window->kernel_width; gather->next++) {
        if (!qps_keep_column(gather, gather->next, steps)) {
            gather->next = QPS_NO_COLUMN;
            return 0;
        }
    }
    return 1;
}

qps_list_t qps_gather_window(const qps_gather_t *gather, uint32_t x, uint32_t t)
{
    const qps_window_t *const window = gather->window;
    const qps_taps_t columns = qps_columns(window, x, gather->map->width);
    const uint32_t rows = window->kernel_height * (uint32_t)gather->map->channels;
    const uint32_t first = (uint32_t)(columns.origin + (int32_t)(columns.first * window->dilation_width));
    qps_list_t result = {gather->area, 0U, 0U};
    uint16_t *list = gather->area;
    qps_taps_column_t taps;
    taps.tap = gather->line + t * gather->frame + first * gather->pixel;
    taps.end = gather->end + t * gather->frame;
    taps.row = columns.first * rows + gather->row;
    for (uint32_t kx = columns.first; kx < columns.last; kx++) {
        /* There is room for all rows. */
        list = qps_list_column(gather, &taps, list, list + rows);
        taps.tap += window->dilation_width * gather->pixel;
        taps.row += rows;
    }
    result.count = (uint32_t)(list - gather->area);
    return result;
}
