/* The readout on counts: logits of a linear layer that reads spikes, or sums of them that a pool has made, where
 * nothing but the sum of its currents over time is asked for.
 *
 * In such a sum it does not matter when an input spiked: one that spiked n times adds n times its row, at once.
 *     logits = rescale(m * sum(u * n) - z * sum(n)), u the unsigned code, n the sum of an input over the window.
 * Inputs of which n is not 0 are listed; a word of a row is then multiplied by n as a whole, with room between its
 * codes.
 *
 * Layout of codes: a row for each input, in the order of the map: [y][x][channel]; in each the codes of all classes,
 * lowest bits first. Codes of 2 and 4 bits fill words; of those of 8 bits as many bytes are read after the last row
 * as are missing to whole words of it.
 * Range: n is less than 2^8; sums of chunk inputs stay below 2^16 with 4-bit codes and below 2^8 with 2-bit codes;
 * the generator has proven that the sum of the currents fits int32_t. */
#ifndef QPS_COUNTS_H
#define QPS_COUNTS_H

#include "qps_readout.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sums of the words at codes and as far from there as each input listed says, in lanes: code k of a word in
 * lanes[k % 4]. */
typedef void qps_counts_lanes_t(const uint8_t *codes, const uint32_t *list, const uint32_t *end, uint32_t lanes[4]);

qps_counts_lanes_t qps_counts_lanes_2; /* of 8 bits */
qps_counts_lanes_t qps_counts_lanes_4; /* of 16 bits */
qps_counts_lanes_t qps_counts_lanes_8; /* of 32 bits */

typedef struct {
    qps_map_t input; /* QPS_MAP_SPIKES or, for pooled_run, QPS_MAP_COUNTS8 */
    const uint8_t *codes;
    qps_counts_lanes_t *lanes; /* that of the width of codes: an image has no other */
    uint16_t row_bytes;        /* all rows together: less than 2^24 */
    uint16_t classes;
    uint8_t bits;
    uint8_t chunk;      /* inputs that are listed before they are added up */
    uint8_t multiplier; /* m */
    uint8_t zero_point; /* z */
    qps_rescale_t rescale;
} qps_counts_t;

/* scratch: chunk words. */
void qps_counts_run(const qps_counts_t *layer, const void *input, int32_t *logits, int32_t *scratch);
void qps_counts_pooled_run(const qps_counts_t *layer, const void *input, int32_t *logits, int32_t *scratch);

#ifdef __cplusplus
}
#endif
#endif
