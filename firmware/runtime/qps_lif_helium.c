/* Helium: eight neurons at a time where 16 bits suffice, else four.
 *
 * A register collects the spikes of all timesteps: a bit per timestep and round is set in the lanes that spike, and
 * moves down as rounds go by. In the end each timestep's bits are where their round has put them, and go up by their
 * lane. */
#include "qps_lif_group.h"

#if QPS_HELIUM
#include <arm_mve.h>

/* q0: threshold, q1: rest, q2: sums, q3: w. */
#define QPS_CLOBBERS "q0", "q1", "q2", "q3", "lr", "memory"

/* One step of eight neurons; all values have QPS_NARROW_ZERO added. */
#define QPS_PACKED_STEP(before, t, load)                                                                               \
    "vldrw.u32 q2, " load "\n\t"                                                                                       \
    "vmlas.u16 q2, %q[scale], %[cost" t "]\n\t"                                                                        \
    "vhadd.u16 q3, " before ", q2\n\t" /* floor((w + 2 x) / 2) */
/* Where w is above the threshold: a bit, and the rest in its place. */
#define QPS_SPIKE(above, bit)                                                                                          \
    "vptt." above ", q3, q0\n\t"                                                                                       \
    "vorrt." bit "\n\t"                                                                                                \
    "vmovt q3, q1\n\t"
#define QPS_LAST_SPIKE(above, bit)                                                                                     \
    "vpt." above ", q3, q0\n\t"                                                                                        \
    "vorrt." bit "\n\t"

/* Bits of one timestep: 4 r of round r in both halves of a word, which has pair 4 r + lane. */
static inline uint32_t qps_collect_packed(uint32x4_t bits, int32x4_t lanes)
{
    return vaddvq_u32(vshlq_u32(vandq_u32(bits, vdupq_n_u32(UINT32_C(0x11111111))), lanes));
}

QPS_ALONE static void qps_lif_packed(qps_lif_group_t *group)
{
    const uint16x8_t scale = vdupq_n_u16((uint16_t)(2U << group->lif->sum_shift));
    const int32x4_t lanes = vreinterpretq_s32_u32(vidupq_n_u32(0U, 1));
    const uint32_t cost0 = 0U - 2U * group->cost[0], cost1 = 0U - 2U * group->cost[1];
    const uint32_t cost2 = 0U - 2U * group->cost[2], cost3 = 0U - 2U * group->cost[3];
    const uint16_t *constants = group->lif->narrow;
    for (; group->lane < group->lif->channels; qps_lif_next(group)) {
        const uint32_t *sums = group->sums;
        const uint32_t rounds = (group->pairs + 3U) / 4U;
        uint16x8_t fired = vdupq_n_u16(0U);
        /* clang-format off */
        __asm volatile("dls lr, %[rounds]\n"
                       "1:\n\t"
                       "vld20.32 {q0, q1}, [%[constants]]\n\t"
                       "vld21.32 {q0, q1}, [%[constants]]!\n\t"
                       "vshr.u16 %q[fired], %q[fired], #4\n\t"
                       QPS_PACKED_STEP("q1", "0", "[%[sums]], #16") QPS_SPIKE("u16 hi", "i16 %q[fired], #0x1000")
                       QPS_PACKED_STEP("q3", "1", "[%[sums], #48]") QPS_SPIKE("u16 hi", "i16 %q[fired], #0x2000")
                       QPS_PACKED_STEP("q3", "2", "[%[sums], #112]") QPS_SPIKE("u16 hi", "i16 %q[fired], #0x4000")
                       QPS_PACKED_STEP("q3", "3", "[%[sums], #176]") QPS_LAST_SPIKE("u16 hi", "i16 %q[fired], #0x8000")
                       "le lr, 1b"
                       : [constants] "+&r"(constants), [sums] "+&l"(sums), [fired] "+&w"(fired)
                       : [scale] "w"(scale), [rounds] "r"(rounds), [cost0] "r"(cost0), [cost1] "r"(cost1),
                         [cost2] "r"(cost2), [cost3] "r"(cost3)
                       : QPS_CLOBBERS);
        /* clang-format on */
        /* As far as rounds that there were not would have moved them. */
        const uint16x8_t moved = vshlq_r_u16(fired, 4 * (int32_t)rounds - (int32_t)QPS_PAIRS);
        const uint32x4_t bits = vreinterpretq_u32_u16(moved);
        qps_lif_store(group, qps_collect_packed(bits, lanes), qps_collect_packed(vshrq_n_u32(bits, 1), lanes),
                      qps_collect_packed(vshrq_n_u32(bits, 2), lanes), qps_collect_packed(vshrq_n_u32(bits, 3), lanes));
    }
}

/* One step of four neurons. */
/* clang-format off */
#define QPS_WIDE_STEP(t, load)                                                                                         \
    "vldrh.u32 q2, " load "\n\t"                                                                                       \
    "vshl.s32 q3, %[decay]\n\t"                                                                                        \
    "vmla.u32 q3, q2, %[scale]\n\t"                                                                                    \
    "vsub.i32 q3, q3, %[cost" t "]\n\t"
#define QPS_WIDE_ROUNDS(CONSTANTS)                                                                                     \
    "dls lr, %[rounds]\n"                                                                                              \
    "1:\n\t" CONSTANTS                                                                                                 \
    "vmov q3, q1\n\t"                                                                                                  \
    "vshr.u32 %q[fired], %q[fired], #2\n\t"                                                                            \
    QPS_WIDE_STEP("0", "[%[sums]], #8") QPS_SPIKE("s32 gt", "i32 %q[fired], #0x4000")                                  \
    QPS_WIDE_STEP("1", "[%[sums], #56]") QPS_SPIKE("s32 gt", "i32 %q[fired], #0x8000")                                 \
    QPS_WIDE_STEP("2", "[%[sums], #120]") QPS_SPIKE("s32 gt", "i32 %q[fired], #0x40000000")                            \
    QPS_WIDE_STEP("3", "[%[sums], #184]") QPS_LAST_SPIKE("s32 gt", "i32 %q[fired], #0x80000000")                       \
    "le lr, 1b"
/* clang-format on */
#define QPS_WIDE_OPERANDS                                                                                              \
    [decay] "r"(0 - (int32_t)group->lif->decay_shift), [scale] "r"(UINT32_C(1) << group->lif->sum_shift),              \
        [rounds] "r"(rounds), [cost0] "r"(group->cost[0]), [cost1] "r"(group->cost[1]), [cost2] "r"(group->cost[2]),   \
        [cost3] "r"(group->cost[3])

/* Bits of one timestep: 2 r of round r, which has pairs 2 r and 2 r + 1 in its four lanes. */
static inline uint32_t qps_collect(uint32x4_t bits, int32x4_t lanes)
{
    return vaddvq_u32(vshlq_u32(vandq_u32(bits, vdupq_n_u32(0x5555U)), lanes));
}

QPS_ALONE static void qps_lif_four(const qps_lif_group_t *group)
{
    static const int32_t lane_shifts[4] = {0, QPS_PAIRS, 1, QPS_PAIRS + 1};
    static const uint16_t narrow_places[4] = {0, 1, 4, 5}; /* in two pairs of thresholds and rests */
    const uint32_t *sums = group->sums;
    const uint32_t rounds = (group->pairs + 1U) / 2U;
    uint32x4_t fired = vdupq_n_u32(0U);
    if (group->lif->narrow != NULL) {
        const uint16_t *thresholds = group->lif->narrow + 2U * group->lane;
        const uint32x4_t places = vldrhq_u32(narrow_places);
        __asm volatile(QPS_WIDE_ROUNDS("vldrh.u32 q0, [%[constants], %q[places], uxtw #1]\n\t"
                                       "adds %[constants], #4\n\t"
                                       "vldrh.u32 q1, [%[constants], %q[places], uxtw #1]\n\t"
                                       "adds %[constants], #12\n\t")
                       : [constants] "+&r"(thresholds), [sums] "+&l"(sums), [fired] "+&w"(fired)
                       : [places] "w"(places), QPS_WIDE_OPERANDS
                       : "cc", QPS_CLOBBERS);
    } else {
        const int32_t *neurons = group->lif->wide + 2U * group->lane;
        __asm volatile(QPS_WIDE_ROUNDS("vld20.32 {q0, q1}, [%[constants]]\n\t"
                                       "vld21.32 {q0, q1}, [%[constants]]!\n\t")
                       : [constants] "+&r"(neurons), [sums] "+&l"(sums), [fired] "+&w"(fired)
                       : QPS_WIDE_OPERANDS
                       : QPS_CLOBBERS);
    }
    /* As in qps_lif_packed(). */
    fired = vshlq_r_u32(fired, 2 * (int32_t)rounds - (int32_t)QPS_PAIRS);
    const int32x4_t lanes = vldrwq_s32(lane_shifts);
    qps_lif_store(group, qps_collect(fired, lanes), qps_collect(vshrq_n_u32(fired, 1), lanes),
                  qps_collect(vshrq_n_u32(fired, QPS_PAIRS), lanes),
                  qps_collect(vshrq_n_u32(fired, QPS_PAIRS + 1), lanes));
}

void qps_lif_four_steps(qps_lif_group_t *group, int packed)
{
    if (packed) {
        qps_lif_packed(group);
        return;
    }
    for (; group->lane < group->lif->channels; qps_lif_next(group)) {
        qps_lif_four(group);
    }
}
#endif
