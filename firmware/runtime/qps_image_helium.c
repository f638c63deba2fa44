/* Helium: the eight sums of a block in two registers, of lower and of upper codes. */
#include "qps_image_dense.h"

#if QPS_HELIUM
#include <arm_mve.h>

/* The sums of pixels that are not zero. */
static inline void qps_sum_pixels(const uint8_t *codes, const qps_image_list_t *list, uint32_t *sums)
{
    const qps_image_event_t *event = list->events;
    uint32x4x2_t pairs = {{vdupq_n_u32(0U), vdupq_n_u32(0U)}};
    if (list->count > 0U) {
        uint32_t row, value;
        /* The upper half of a word's lower half is empty. */
        __asm volatile("dls lr, %[count]\n"
                       "1:\n\t"
                       "ldrd %[row], %[value], [%[event]], #8\n\t"
                       "add %[row], %[codes]\n\t"
                       "vldrw.u32 q2, [%[row]]\n\t"
                       "vmovlb.u16 q3, q2\n\t"
                       "vmla.u32 %q[lower], q3, %[value]\n\t"
                       "vshr.u32 q2, q2, #24\n\t"
                       "vmla.u32 %q[upper], q2, %[value]\n\t"
                       "le lr, 1b"
                       : [event] "+&r"(event), [row] "=&r"(row), [value] "=&r"(value), [lower] "+&w"(pairs.val[0]),
                         [upper] "+&w"(pairs.val[1])
                       : [codes] "r"(codes), [count] "r"(list->count)
                       : "q2", "q3", "lr", "memory");
    }
    vst2q_u32(sums, pairs);
}

void qps_image_block(const uint8_t *codes, const qps_image_list_t *list, uint32_t *sums)
{
    if (list->dense != NULL) {
        qps_dense_sum(list->dense, codes, sums);
    } else {
        qps_sum_pixels(codes, list, sums);
    }
}
#endif
