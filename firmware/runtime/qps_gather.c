#include "qps_gather.h"

#include <stddef.h>

#include "qps_lanes.h"

#define QPS_NO_COLUMN UINT32_MAX
#define QPS_WORD_EVENTS 32U
#define QPS_BYTE_EVENTS 8U

/* Append base + the channel of every spike in a word. */
static inline uint16_t *qps_list_word(uint32_t word, uint32_t base, uint16_t *list)
{
#if defined(__GNUC__) && !QPS_NARROW_CORE
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

/* Append the events of a column at one timestep, whose frame ends at end; returns NULL where the list was beyond
 * limit before a tap. */
static uint16_t *qps_list_column(const qps_column_taps_t *taps, const uint8_t *end, uint16_t *list,
                                 const uint16_t *limit)
{
    const uint8_t *tap = end - taps->back;
    const uint32_t words = taps->pixel & ~UINT32_C(3);
    const uint32_t rest = taps->pixel % 4U;
    uint32_t row = taps->row;
    for (uint32_t left = taps->taps; left > 0U; left--, row += taps->channels) {
        const uint8_t *const word_end = tap + words;
        uint32_t base = row;
        if (list > limit) {
            return NULL;
        }
        for (; tap != word_end; tap += 4, base += QPS_WORD_EVENTS) {
            list = qps_list_word(qps_load_four(tap, rest == 0U), base, list);
        }
        if (rest != 0U) {
            list = qps_list_word(qps_load_bytes(tap, rest), base, list);
            tap += rest;
        }
        tap += taps->down;
        if (tap >= end) {
            tap -= taps->frame;
        }
    }
    return list;
}

#if QPS_BLOCKS
/* The last spike of a word to the list, and again for the next one. */
#define QPS_LIST_EVENT(again)                                                                                          \
    "clz r10, r3\n\t"                                                                                                  \
    "lsr r11, r12, r10\n\t"                                                                                            \
    "sub r10, r9, r10\n\t"                                                                                             \
    "strh r10, [r1], #2\n\t"                                                                                           \
    "bics r3, r11\n\t"                                                                                                 \
    "bne " again "\n"

/* The same as below for pixels of whole words, one tap at least: from the last channel of a word to the first, which
 * sums do not mind. On the stack: the step, the last one, where its starts have the column's.
 * r1: list, r2: its limit, r3: word, r4: tap, r5: end, r6: the row of a word's last channel, less 8 for each byte up
 * to behind that word, r7: taps left, r8: end of the tap, r9: the row of a word's last channel, r12: the bit of its
 * last channel, lr: bytes of a tap. */
__attribute__((naked, noinline)) static qps_gather_step_t *
qps_list_words(const qps_column_taps_t *taps __attribute__((unused)), qps_gather_step_t *step __attribute__((unused)),
               const qps_gather_step_t *last __attribute__((unused)), uint32_t offset __attribute__((unused)))
{
    __asm("push {r1-r11, lr}\n\t"
          "ldr r5, [r0]\n\t"
          "ldr lr, [r0, #24]\n\t"
          "mov r12, #0x80000000\n"
          "1:\n\t"
          "ldr r9, [sp]\n\t"
          "ldr r10, [sp, #8]\n\t"
          "ldrd r1, r2, [r9]\n\t"
          "strh r1, [r9, r10]\n\t"
          "ldr r4, [r0, #4]\n\t"
          "sub r4, r5, r4\n\t"
          "ldrd r6, r7, [r0, #8]\n\t"
          "sub r6, r6, r4, lsl #3\n\t"
          "subs r6, #1\n\t"
          "cmp lr, #4\n\t"
          "beq 9f\n"
          "2:\n\t"
          "cmp r1, r2\n\t"
          "bhi 7f\n\t"
          "add r8, r4, lr\n"
          "3:\n\t"
          "ldr r3, [r4], #4\n\t"
          "cbz r3, 5f\n\t"
          "add r9, r6, r4, lsl #3\n"
          "4:\n\t" QPS_LIST_EVENT("4b") "5:\n\t"
                                        "cmp r4, r8\n\t"
                                        "bne 3b\n\t"
                                        "ldrd r10, r11, [r0, #16]\n\t"
                                        "add r4, r10\n\t"
                                        "add r6, r11\n\t"
                                        "cmp r4, r5\n\t"
                                        "bhs 8f\n"
                                        "6:\n\t"
                                        "subs r7, #1\n\t"
                                        "bne 2b\n"
                                        "14:\n\t"
                                        "ldrd r9, r11, [sp]\n\t"
                                        "str r1, [r9], #24\n\t"
                                        "str r9, [sp]\n\t"
                                        "ldr r10, [r0, #28]\n\t"
                                        "add r5, r10\n\t"
                                        "cmp r9, r11\n\t"
                                        "bne 1b\n"
                                        "7:\n\t" /* no room, or done */
                                        "ldr r0, [sp]\n\t"
                                        "pop {r1-r11, pc}\n"
                                        "8:\n\t" /* behind the last row comes the first */
                                        "ldr r10, [r0, #28]\n\t"
                                        "sub r4, r10\n\t"
                                        "add r6, r6, r10, lsl #3\n\t"
                                        "b 6b\n"
                                        "15:\n\t"
                                        "ldr r10, [r0, #28]\n\t"
                                        "sub r4, r10\n\t"
                                        "add r6, r6, r10, lsl #3\n\t"
                                        "b 13f\n"
                                        "9:\n\t" /* single words */
                                        "ldr r8, [r0, #16]\n"
                                        "10:\n\t"
                                        "cmp r1, r2\n\t"
                                        "bhi 7b\n\t"
                                        "ldr r3, [r4], #4\n\t"
                                        "cbz r3, 12f\n\t"
                                        "add r9, r6, r4, lsl #3\n"
                                        "11:\n\t" QPS_LIST_EVENT("11b") "12:\n\t"
                                                                        "ldr r11, [r0, #20]\n\t"
                                                                        "add r4, r8\n\t"
                                                                        "add r6, r11\n\t"
                                                                        "cmp r4, r5\n\t"
                                                                        "bhs 15b\n"
                                                                        "13:\n\t"
                                                                        "subs r7, #1\n\t"
                                                                        "bne 10b\n\t"
                                                                        "b 14b");
}
_Static_assert(sizeof(qps_gather_step_t) == 24U && offsetof(qps_gather_step_t, limit) == 4U, "as assembly knows it");
#endif

/* Append the events of a column to the list of a step and to those of the next ones, up to last, each from its own
 * frame on. Returns the step whose list has no room for it, or last. */
QPS_ALONE static qps_gather_step_t *qps_list_steps(const qps_column_taps_t *taps, qps_gather_step_t *step,
                                                   const qps_gather_step_t *last, uint32_t place)
{
    const uint8_t *end = taps->end;
    uint16_t *list = NULL;
#if QPS_BLOCKS
    if (taps->pixel % 4U == 0U && taps->taps > 0U) {
        return qps_list_words(taps, step, last, offsetof(qps_gather_step_t, starts) + 2U * place);
    }
#endif
    for (; step != last; step++, end += taps->frame) {
        step->starts[place] = (uint16_t)(uintptr_t)step->end;
        list = qps_list_column(taps, end, step->end, step->limit);
        if (list == NULL) {
            break;
        }
        step->end = list;
    }
    return step;
}

/* Events a pixel can have, with those of channels that fill up its last word or byte. */
static inline uint32_t qps_most_events(uint32_t pixel)
{
    return pixel * QPS_BYTE_EVENTS;
}

void qps_gather_begin(qps_gather_t *gather, const qps_map_t *map, const qps_window_t *window, const void *input,
                      uint32_t y, uint16_t *area, uint32_t slot)
{
    const qps_taps_t taps = qps_rows(window, y, map->height);
    const uint32_t first = (uint32_t)(taps.origin + (int32_t)(taps.first * window->dilation_height));
    const uint32_t pixel = qps_spike_bytes(map);
    const uint32_t line = map->width * pixel;
    const uint32_t frame = map->rows * line;
    gather->map = map;
    gather->window = window;
    gather->taps.end = (const uint8_t *)input + frame;
    gather->back = frame - first % map->rows * line;
    gather->row = taps.first * map->channels;
    gather->taps.taps = taps.last - taps.first;
    gather->taps.down = window->dilation_height * line - pixel;
    gather->taps.change = map->channels - window->dilation_height * line * QPS_BYTE_EVENTS;
    gather->taps.pixel = pixel;
    gather->taps.frame = frame;
    gather->taps.channels = map->channels;
    gather->column = (uint32_t)window->kernel_height * map->channels;
    gather->area = area;
    gather->slot = slot;
    gather->next = slot > 0U ? 0U : QPS_NO_COLUMN;
    for (uint32_t t = 0U; slot > 0U && t < QPS_STEPS; t++, area += slot) {
        gather->steps[t].end = area;
        gather->steps[t].limit = area + slot - qps_most_events(pixel);
        memset(gather->steps[t].starts, 0, sizeof gather->steps[t].starts);
    }
}

/* Move the list of a step to the beginning of its part of the area; returns 0 if it is there. */
static int qps_move_list(qps_gather_t *gather, uint32_t t)
{
    qps_gather_step_t *const step = &gather->steps[t];
    const qps_list_t list = qps_gather_kept(gather, t);
    uint16_t *const area = gather->area + t * gather->slot;
    const uint32_t distance = (uint32_t)((uintptr_t)list.events - (uintptr_t)area);
    if (distance == 0U) {
        return 0;
    }
    for (uint32_t k = 0U; k < list.count; k++) {
        area[k] = list.events[k];
    }
    step->end = area + list.count;
    for (uint32_t place = 0U; place < QPS_GATHER_COLUMNS; place++) {
        step->starts[place] = (uint16_t)(step->starts[place] - distance);
    }
    return 1;
}

/* Append a column, padding included, to the lists of some timesteps; returns 0 where there is no room. */
static int qps_keep_column(qps_gather_t *gather, uint32_t column, uint32_t steps)
{
    const uint32_t x = column - gather->window->padding_width;
    const uint32_t place = column % QPS_GATHER_COLUMNS;
    qps_gather_step_t *step = gather->steps;
    const qps_gather_step_t *const last = step + steps;
    if (x >= gather->map->width) {
        for (; step != last; step++) {
            step->starts[place] = (uint16_t)(uintptr_t)step->end;
        }
        return 1;
    }
    gather->taps.back = gather->back - x * gather->taps.pixel;
    gather->taps.row = gather->row + column * gather->column;
    step = qps_list_steps(&gather->taps, step, last, place);
    while (step != last) {
        /* Once more from there on, behind a list that is moved. */
        const uint32_t t = (uint32_t)(step - gather->steps);
        qps_column_taps_t taps = gather->taps;
        if (!qps_move_list(gather, t)) {
            return 0;
        }
        taps.end += t * taps.frame;
        step = qps_list_steps(&taps, step, last, place);
    }
    return 1;
}

int qps_gather_next(qps_gather_t *gather, uint32_t x, uint32_t steps)
{
    const uint32_t end = x + gather->window->kernel_width;
    if (gather->next == QPS_NO_COLUMN) {
        return 0;
    }
    gather->origin = x * gather->column;
    gather->place = x % QPS_GATHER_COLUMNS;
    for (; gather->next < end; gather->next++) {
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
    const uint32_t first = (uint32_t)(columns.origin + (int32_t)(columns.first * window->dilation_width));
    qps_list_t result = {gather->area, 0U, 0U};
    qps_gather_step_t step;
    qps_column_taps_t taps = gather->taps;
    step.end = gather->area;
    /* There is room for all rows. */
    step.limit = gather->area + gather->column * window->kernel_width;
    taps.end += t * taps.frame;
    taps.back = gather->back - first * taps.pixel;
    taps.row = gather->row + columns.first * gather->column;
    for (uint32_t kx = columns.first; kx < columns.last; kx++) {
        (void)qps_list_steps(&taps, &step, &step + 1, 0U);
        taps.back -= window->dilation_width * taps.pixel;
        taps.row += gather->column;
    }
    result.count = (uint32_t)(step.end - gather->area);
    return result;
}
