/* Thumb: four timesteps of a group's neurons, one neuron after the other, in all the eight registers that everything
 * can use. */
#include "qps_lif.h"

#include "qps_lif_group.h"
#include "qps_thumb.h"

#if QPS_NARROW_BLOCKS

/* Every other neuron of a group; assembly knows the order. */
typedef struct {
    const qps_half_t *sums;
    uint32_t shift, decay;
    const void *constants; /* threshold and rest */
    const qps_half_t *end; /* of the sums of the first step */
    uint32_t bit;          /* of the first neuron */
    uint32_t cost[QPS_STEPS];
    uint32_t words[QPS_STEPS]; /* spikes */
} qps_lanes_run_t;

/* An instruction a line. */
/* clang-format off */

/* r0: the above, r1: sums, r2: membrane, r3: free, r4: threshold, r5: rest, r6: decay, r7: shift; r8: constants, r9:
 * end, r10: bit. */
#define QPS_STEP(t, move)                                                                                              \
    move                                                                                                               \
    "asrs r2, r6\n\t"                                                                                                  \
    "ldr r3, [r0, #24 + 4 * " t "]\n\t"                                                                                \
    "subs r2, r3\n\t"                                                                                                  \
    "ldrh r3, [r1]\n\t"                                                                                                \
    "lsls r3, r7\n\t"                                                                                                  \
    "adds r2, r3\n\t"                                                                                                  \
    "cmp r2, r4\n\t"                                                                                                   \
    "bgt 2" t "f\n"                                                                                                    \
    "1" t ":\n\t"
#define QPS_SPIKE(t)                                                                                                   \
    "2" t ":\n\t"                                                                                                      \
    "movs r2, r5\n\t"                                                                                                  \
    "ldr r3, [r0, #40 + 4 * " t "]\n\t"                                                                                \
    "add r3, r10\n\t"                                                                                                  \
    "str r3, [r0, #40 + 4 * " t "]\n\t"                                                                                \
    "b 1" t "b\n"
#define QPS_ON "adds r1, #64\n\t" /* QPS_PAIRS words */
#define QPS_RUN(name, LOAD)                                                                                            \
    __attribute__((naked)) static void name(qps_lanes_run_t *run __attribute__((unused)))                              \
    {                                                                                                                  \
        __asm(".syntax unified\n\t"                                                                                    \
              "push {r4-r7, lr}\n\t"                                                                                   \
              QPS_PUSH_HIGH                                                                                            \
              "adds r0, #12\n\t"                                                                                       \
              "ldmia r0!, {r2-r4}\n\t"                                                                                 \
              "mov r8, r2\n\t"                                                                                         \
              "mov r9, r3\n\t"                                                                                         \
              "mov r10, r4\n\t"                                                                                        \
              "subs r0, #24\n\t"                                                                                       \
              "ldr r1, [r0]\n\t"                                                                                       \
              "ldr r7, [r0, #4]\n\t"                                                                                   \
              "ldr r6, [r0, #8]\n"                                                                                     \
              "1:\n\t"                                                                                                 \
              "mov r3, r8\n\t"                                                                                         \
              LOAD                                                                                                     \
              "mov r8, r3\n\t"                                                                                         \
              "movs r2, r5\n\t"                                                                                        \
              QPS_STEP("0", "")                                                                                        \
              QPS_STEP("1", QPS_ON)                                                                                    \
              QPS_STEP("2", QPS_ON)                                                                                    \
              QPS_STEP("3", QPS_ON)                                                                                    \
              "subs r1, #188\n\t" /* three times back, and on by a pair */                                             \
              "add r10, r10\n\t"                                                                                       \
              "cmp r1, r9\n\t"                                                                                         \
              "bne 1b\n\t"                                                                                             \
              QPS_POP_HIGH                                                                                             \
              "pop {r4-r7, pc}\n"                                                                                      \
              QPS_SPIKE("0")                                                                                           \
              QPS_SPIKE("1")                                                                                           \
              QPS_SPIKE("2")                                                                                           \
              QPS_SPIKE("3"));                                                                                         \
    }
QPS_RUN(qps_run_narrow,
        "ldrh r4, [r3]\n\t"
        "ldrh r5, [r3, #4]\n\t"
        "adds r3, #8\n\t")
QPS_RUN(qps_run_wide,
        "ldr r4, [r3]\n\t"
        "ldr r5, [r3, #4]\n\t"
        "adds r3, #16\n\t")

/* clang-format on */

void qps_lif_four(const qps_lif_group_t *group)
{
    const qps_lif_t *const lif = group->lif;
    qps_lanes_run_t run;
    run.shift = lif->sum_shift;
    run.decay = lif->decay_shift;
    for (uint32_t t = 0U; t < QPS_STEPS; t++) {
        run.cost[t] = group->cost[t];
        run.words[t] = 0U;
        QPS_KEEP(t); /* no calls to copy and clear, byte by byte */
    }
    /* The lower halves of the pairs, then the upper ones: so bits come in the order of channels. */
    for (uint32_t half = 0U; half < 2U; half++) {
        run.sums = qps_lane_sums(group, half);
        run.end = run.sums + 2U * group->pairs;
        run.bit = UINT32_C(1) << QPS_PAIRS * half;
        if (lif->narrow != NULL) {
            run.constants = &lif->narrow[2U * group->lane + half];
            qps_run_narrow(&run);
        } else {
            run.constants = &lif->wide[2U * (group->lane + half)];
            qps_run_wide(&run);
        }
    }
    qps_lif_store(group, run.words[0], run.words[1], run.words[2], run.words[3]);
}
#endif
