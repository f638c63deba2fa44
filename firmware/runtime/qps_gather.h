/* Gathering: the spikes under a window, as a list of the rows of weights they meet.
 *
 * Row (kx * kernel_height + ky) * channels + channel of the weights belongs to channel of tap (ky, kx). So the spikes of one
 * column of the map meet neighbouring rows, and from one position of a window to the next every column but one stays. Lists
 * are therefore kept, where there is room: a new column is appended, the oldest falls away, and origin says by how much all rows
 * have shifted meanwhile. */
#ifndef QPS_GATHER_H
#define QPS_GATHER_H

#include "qps_map.h"
#include "qps_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Columns of a kernel whose lists can be kept. */
#define QPS_GATHER_COLUMNS 8U

/* One row of windows. */
typedef struct {
    const qps_map_t *map; /* QPS_MAP_SPIKES or QPS_MAP_SPIKES8 */
    const qps_window_t *window;
    const uint8_t *line;         /* first pixel of the first row of the map under the windows, at timestep 0 */
    const uint8_t *end;          /* of the map's first frame, where its first row follows the last */
    uint32_t rows;               /* of the map under the windows */
    uint32_t row;                /* of weights, of the first of them */
    uint32_t pixel, down, frame; /* bytes from pixel to pixel, tap to tap, timestep to timestep */
    uint16_t *area;              /* of the lists */
    uint32_t slot;               /* events of each timestep's part of it */
    uint32_t origin;             /* of the lists that are kept */
    uint32_t next;               /* the next column to be listed; none if lists are not kept */
    struct {
        const uint16_t *begin;
        uint16_t *end;
        uint16_t counts[QPS_GATHER_COLUMNS]; /* of events; column c is at c % QPS_GATHER_COLUMNS */
    } steps[QPS_STEPS];
} qps_gather_t;

/* Begin row y of the windows over a map. area: room for a list of all rows of weights, and for QPS_STEPS lists of slot events; slot:
 * 0 if lists are not kept. They can be where windows are at most QPS_GATHER_COLUMNS wide, move by single columns that follow
 * each other, and (map width + 2 * padding) columns of weights' rows are less than 2^16. */
void qps_gather_begin(qps_gather_t *gather, const qps_map_t *map, const qps_window_t *window, const void *input,
                      uint32_t y, uint16_t *area, uint32_t slot);

/* Move on to column x: each from 0 on, in order. Returns 0 where there is no room to keep lists of the next steps
 * timesteps: then qps_gather_window() makes them one by one. */
int qps_gather_next(qps_gather_t *gather, uint32_t x, uint32_t steps);

/* The list of timestep t that was kept. */
static inline qps_list_t qps_gather_kept(const qps_gather_t *gather, uint32_t t)
{
    qps_list_t list;
    list.events = gather->steps[t].begin;
    list.count = (uint32_t)(gather->steps[t].end - gather->steps[t].begin);
    list.origin = gather->origin;
    return list;
}

/* Whether the lists that were kept are empty. */
static inline int qps_gather_silent(const qps_gather_t *gather, uint32_t steps)
{
    uint32_t t = 0U;
    while (t < steps && gather->steps[t].begin == gather->steps[t].end) {
        t++;
    }
    return t == steps;
}

/* The list of column x and timestep t, made anew; valid until the next one. */
qps_list_t qps_gather_window(const qps_gather_t *gather, uint32_t x, uint32_t t);

#ifdef __cplusplus
}
#endif
#endif
