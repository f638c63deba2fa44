/* Gathering: the spikes under a window, as a list of the rows of weights they meet.
 *
 * Row (kx * kernel_height + ky) * channels + channel of the weights belongs to channel of tap (ky, kx). So the
 * spikes of one column of the map meet neighbouring rows, and from one position of a window to the next every column
 * but one stays. Lists are therefore kept, where there is room: a new column is appended, the oldest falls away, and
 * origin says by how much all rows have shifted meanwhile. */
#ifndef QPS_GATHER_H
#define QPS_GATHER_H

#include "qps_map.h"
#include "qps_rows.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Columns of a kernel whose lists can be kept. */
#define QPS_GATHER_COLUMNS 8U

/* A column of taps, under one position of a kernel's columns. The order of what is up to frame is known to assembly. */
typedef struct {
    const uint8_t *end; /* of the first timestep's frame, where the map's first row follows its last */
    uint32_t back;      /* from there to the first tap, in bytes */
    uint32_t row;       /* of weights, of the first tap */
    uint32_t taps;
    uint32_t down;   /* bytes from behind a tap to the next one */
    uint32_t change; /* of (row - 8 * place in memory) from tap to tap */
    uint32_t pixel;  /* bytes of a tap */
    uint32_t frame;  /* bytes from timestep to timestep */
    uint32_t channels;
} qps_column_taps_t;

/* The list of a timestep; its first two members are known to assembly, and its size. */
typedef struct {
    uint16_t *end;
    const uint16_t *limit;               /* the last place from which a tap may be listed */
    uint16_t starts[QPS_GATHER_COLUMNS]; /* column c begins where the address ends like c % QPS_GATHER_COLUMNS says */
} qps_gather_step_t;

/* One row of windows. */
typedef struct {
    const qps_map_t *map; /* QPS_MAP_SPIKES or QPS_MAP_SPIKES8 */
    const qps_window_t *window;
    qps_column_taps_t taps; /* back and row: of the last column that was listed */
    uint32_t back;          /* of column 0 of the map */
    uint32_t row;           /* of weights, of the first tap under the kernel's first column */
    uint32_t column;        /* rows of weights from column to column */
    uint16_t *area;         /* of the lists */
    uint32_t slot;          /* events of each timestep's part of it */
    uint32_t origin;        /* of the lists that are kept */
    uint32_t place;         /* of the window's first column among the starts */
    uint32_t next;          /* the next column to be listed; none if lists are not kept */
    qps_gather_step_t steps[QPS_STEPS];
} qps_gather_t;

/* Begin row y of the windows over a map. area: room for a list of all rows of weights, and for QPS_STEPS lists of
 * slot events; slot: 0 if lists are not kept. They can be where windows are at most QPS_GATHER_COLUMNS wide, move by
 * single columns that follow each other, and (map width + 2 * padding) columns of weights' rows are less than 2^16. */
void qps_gather_begin(qps_gather_t *gather, const qps_map_t *map, const qps_window_t *window, const void *input,
                      uint32_t y, uint16_t *area, uint32_t slot);

/* Move on to column x: each from 0 on, in order. Returns 0 where there is no room to keep lists of the next steps
 * timesteps: then qps_gather_window() makes them one by one. */
int qps_gather_next(qps_gather_t *gather, uint32_t x, uint32_t steps);

/* Bytes of the list of timestep t that was kept: less than 2^16. */
static inline uint32_t qps_gather_bytes(const qps_gather_t *gather, uint32_t t)
{
    const qps_gather_step_t *const step = &gather->steps[t];
    return (uint16_t)((uintptr_t)step->end - step->starts[gather->place]);
}

/* That list. */
static inline qps_list_t qps_gather_kept(const qps_gather_t *gather, uint32_t t)
{
    const uint32_t count = qps_gather_bytes(gather, t) / 2U;
    const qps_list_t list = {gather->steps[t].end - count, count, gather->origin};
    return list;
}

/* Whether the lists that were kept are empty. */
static inline int qps_gather_silent(const qps_gather_t *gather, uint32_t steps)
{
    uint32_t t = 0U;
    while (t < steps && qps_gather_bytes(gather, t) == 0U) {
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
