/* Assembly that loops of Thumb and of Thumb-2 have in common: eight sums in r2, r3, r8 to r12 and lr. */
#ifndef QPS_THUMB_H
#define QPS_THUMB_H

/* clang-format off */

#define QPS_CLEAR_SIX                                                                                                  \
    "movs r2, #0\n\t"                                                                                                  \
    "movs r3, #0\n\t"                                                                                                  \
    "mov r8, r2\n\t"                                                                                                   \
    "mov r9, r2\n\t"                                                                                                   \
    "mov r10, r2\n\t"                                                                                                  \
    "mov r11, r2\n\t"
#define QPS_CLEAR_SUMS                                                                                                 \
    QPS_CLEAR_SIX                                                                                                      \
    "mov r12, r2\n\t"                                                                                                  \
    "mov lr, r2\n\t"

/* Thumb can push r8 to r11 by way of r4 to r7 only, which are saved before and restored after. */
#define QPS_PUSH_HIGH                                                                                                  \
    "mov r4, r8\n\t"                                                                                                   \
    "mov r5, r9\n\t"                                                                                                   \
    "mov r6, r10\n\t"                                                                                                  \
    "mov r7, r11\n\t"                                                                                                  \
    "push {r4-r7}\n\t"
#define QPS_POP_HIGH                                                                                                   \
    "pop {r4-r7}\n\t"                                                                                                  \
    "mov r8, r4\n\t"                                                                                                   \
    "mov r9, r5\n\t"                                                                                                   \
    "mov r10, r6\n\t"                                                                                                  \
    "mov r11, r7\n\t"

/* Thumb: the next pixel's offset and value in r5 and r6, and on at 1 unless the value is 0. */
#define QPS_NEXT_PIXEL                                                                                                 \
    "ldmia r1!, {r5, r6}\n\t"                                                                                          \
    "cmp r6, #0\n\t"                                                                                                   \
    "bne 1b\n\t"
/* The sums to where the argument in r2 said, which was pushed below r8 to r11. */
#define QPS_STORE_SUMS                                                                                                 \
    "ldr r0, [sp, #16]\n\t"                                                                                            \
    "mov r4, r8\n\t"                                                                                                   \
    "mov r5, r9\n\t"                                                                                                   \
    "mov r6, r10\n\t"                                                                                                  \
    "mov r7, r11\n\t"                                                                                                  \
    "stmia r0!, {r2-r7}\n\t"                                                                                           \
    "mov r4, r12\n\t"                                                                                                  \
    "mov r5, lr\n\t"                                                                                                   \
    "stmia r0!, {r4, r5}\n\t"

/* clang-format on */
#endif
