/* Helium: sums of sixteen channels in four registers. */
#include "qps_image_walk.h"

#if QPS_HELIUM
#include <arm_mve.h>

#define QPS_LANES 4U

#define QPS_FOR_PIXELS(codes)                                                                                          \
    "dls lr, %[count]\n"                                                                                               \
    "1:\n\t"                                                                                                           \
    "ldrd %[row], %[value], [%[event]], #8\n\t"                                                                        \
    "add %[row], %[codes]\n\t" codes "le lr, 1b"
#define QPS_ADD_CODES(offset, loaded, sum)                                                                             \
    "vldrb.u32 " loaded ", [%[row], #" offset "]\n\t"                                                                  \
    "vmla.u32 " sum ", " loaded ", %[value]\n\t"

static inline void qps_sum_eight(const uint8_t *codes, const qps_image_list_t *list, uint32_t *sums)
{
    const qps_image_event_t *event = list->events;
    uint32x4_t sum0 = vldrwq_u32(sums), sum1 = vldrwq_u32(sums + QPS_LANES);
    uint32_t row, value;
    __asm volatile(
        QPS_FOR_PIXELS(QPS_ADD_CODES("0", "q4", "%q[sum0]") QPS_ADD_CODES("4", "q5", "%q[sum1]"))
        : [event] "+&r"(event), [row] "=&l"(row), [value] "=&r"(value), [sum0] "+&w"(sum0), [sum1] "+&w"(sum1)
        : [codes] "r"(codes), [count] "r"(list->count)
        : "q4", "q5", "lr", "memory");
    vstrwq_u32(sums, sum0);
    vstrwq_u32(sums + QPS_LANES, sum1);
}

static inline void qps_sum_sixteen(const uint8_t *codes, const qps_image_list_t *list, uint32_t *sums)
{
    const qps_image_event_t *event = list->events;
    uint32x4_t sum0 = vldrwq_u32(sums), sum1 = vldrwq_u32(sums + QPS_LANES);
    uint32x4_t sum2 = vldrwq_u32(sums + 2U * QPS_LANES), sum3 = vldrwq_u32(sums + 3U * QPS_LANES);
    uint32_t row, value;
    __asm volatile(QPS_FOR_PIXELS(QPS_ADD_CODES("0", "q4", "%q[sum0]") QPS_ADD_CODES("4", "q5", "%q[sum1]")
                                      QPS_ADD_CODES("8", "q6", "%q[sum2]") QPS_ADD_CODES("12", "q7", "%q[sum3]"))
                   : [event] "+&r"(event), [row] "=&l"(row), [value] "=&r"(value), [sum0] "+&w"(sum0),
                     [sum1] "+&w"(sum1), [sum2] "+&w"(sum2), [sum3] "+&w"(sum3)
                   : [codes] "r"(codes), [count] "r"(list->count)
                   : "q4", "q5", "q6", "q7", "lr", "memory");
    vstrwq_u32(sums, sum0);
    vstrwq_u32(sums + QPS_LANES, sum1);
    vstrwq_u32(sums + 2U * QPS_LANES, sum2);
    vstrwq_u32(sums + 3U * QPS_LANES, sum3);
}

void qps_add_pixels(const uint8_t *codes, const qps_image_list_t *list, uint32_t channels, uint32_t *sums)
{
    uint32_t left = list->count > 0U ? channels : 0U;
    for (; left >= 4U * QPS_LANES; left -= 4U * QPS_LANES, codes += 4U * QPS_LANES, sums += 4U * QPS_LANES) {
        qps_sum_sixteen(codes, list, sums);
    }
    if (left > 0U) {
        qps_sum_eight(codes, list, sums);
    }
}
#endif
