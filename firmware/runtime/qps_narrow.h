/* What loops for Thumb have in common: the frame, chunks of a list, and how sums of 4-bit lanes come apart.
 *
 * Thumb has eight registers that everything can use, and six more that can be added to, which is what sums need.
 * Those of all lanes of four words are in r2, r8, r10 and r12, those of the odd ones in r3, r9, r11 and lr. */
#ifndef QPS_NARROW_H
#define QPS_NARROW_H

#include "qps_blocks.h"

#include "qps_thumb.h"

/* An instruction a line. */
/* clang-format off */

/* All of it in assembly: blocks in r0. */
#define QPS_LOOP(name) __attribute__((naked)) void name(const qps_blocks_t *blocks __attribute__((unused)))

/* The frame, as in qps_thumb2.h. */
#define QPS_AT_CODES "[sp]"
#define QPS_AT_EVENTS "[sp, #4]"
#define QPS_AT_END "[sp, #8]"
#define QPS_AT_SUMS "[sp, #12]"
#define QPS_AT_SIZE "[sp, #16]"
#define QPS_AT_COUNT "[sp, #20]"
#define QPS_AT_LAST "[sp, #24]"
#define QPS_AT_FIRST "[sp, #28]"
#define QPS_AT_GIVEN "[sp, #32]"
#define QPS_AT_SPARE "[sp, #36]"
#define QPS_AT_ALL(word) "[sp, #40 + 8 * " word "]"
#define QPS_AT_ODD(word) "[sp, #44 + 8 * " word "]"
/* r2: events, r3: their end. */
#define QPS_ENTER                                                                                                      \
    ".syntax unified\n\t"                                                                                              \
    "push {r4-r7, lr}\n\t"                                                                                             \
    QPS_PUSH_HIGH                                                                                                      \
    "mov r7, r0\n\t"                                                                                                   \
    "ldmia r0!, {r1-r6}\n\t"                                                                                           \
    "sub sp, #32\n\t"                                                                                                  \
    "push {r1-r6}\n\t"                                                                                                 \
    "str r7, " QPS_AT_GIVEN "\n\t"
/* FIRST is r4, LAST is r7 */
#define QPS_BEGIN_BLOCKS                                                                                               \
    "str r4, " QPS_AT_FIRST "\n\t"                                                                                     \
    "str r7, " QPS_AT_LAST "\n"                                                                                        \
    "7:\n\t"                                                                                                           \
    "ldr r0, " QPS_AT_CODES "\n\t"                                                                                     \
    "ldr r1, " QPS_AT_EVENTS "\n\t"
/* r7 = where a chunk ends that begins at events */
#define QPS_END_OF_CHUNK(events, rows, end)                                                                            \
    "movs r7, " events "\n\t"                                                                                          \
    "adds r7, #2 * " rows "\n\t"                                                                                       \
    "cmp r7, " end "\n\t"                                                                                              \
    "bls 1f\n\t"                                                                                                       \
    "movs r7, " end "\n"                                                                                               \
    "1:\n\t"
#define QPS_BEGIN_CHUNKS(rows, EARLY)                                                                                  \
    QPS_END_OF_CHUNK("r2", rows, "r3")                                                                                 \
    EARLY                                                                                                              \
    "movs r4, #1\n\t"                                                                                                  \
    QPS_BEGIN_BLOCKS
/* r0: the next block's sums. */
#define QPS_NEXT_BLOCK                                                                                                 \
    "str r0, " QPS_AT_SUMS "\n\t"                                                                                      \
    "ldr r0, " QPS_AT_CODES "\n\t"                                                                                     \
    "ldr r2, " QPS_AT_SIZE "\n\t"                                                                                      \
    "adds r0, r2\n\t"                                                                                                  \
    "str r0, " QPS_AT_CODES "\n\t"                                                                                     \
    "ldr r2, " QPS_AT_COUNT "\n\t"                                                                                     \
    "subs r2, #1\n\t"                                                                                                  \
    "str r2, " QPS_AT_COUNT "\n\t"                                                                                     \
    "beq 4f\n\t"                                                                                                       \
    "b 7b\n"                                                                                                           \
    "4:\n\t"
#define QPS_LEAVE                                                                                                      \
    "add sp, #56\n\t"                                                                                                  \
    QPS_POP_HIGH                                                                                                       \
    "pop {r4-r7, pc}\n\t"                                                                                              \
    ".ltorg\n"
/* All blocks again for the next chunk, or back. LAST may be EARLY, and then LATE makes up for it. */
#define QPS_NEXT_CHUNK(rows, LATE, EARLY)                                                                              \
    "ldr r1, " QPS_AT_LAST "\n\t"                                                                                      \
    LATE                                                                                                               \
    "ldr r3, " QPS_AT_END "\n\t"                                                                                       \
    "cmp r1, r3\n\t"                                                                                                   \
    "beq 9f\n\t"                                                                                                       \
    QPS_END_OF_CHUNK("r1", rows, "r3")                                                                                 \
    EARLY                                                                                                              \
    "str r1, " QPS_AT_EVENTS "\n\t"                                                                                    \
    "ldr r3, " QPS_AT_GIVEN "\n\t"                                                                                     \
    "ldr r2, [r3]\n\t"                                                                                                 \
    "str r2, " QPS_AT_CODES "\n\t"                                                                                     \
    "ldr r2, [r3, #12]\n\t"                                                                                            \
    "str r2, " QPS_AT_SUMS "\n\t"                                                                                      \
    "ldr r2, [r3, #20]\n\t"                                                                                            \
    "str r2, " QPS_AT_COUNT "\n\t"                                                                                     \
    "movs r4, #0\n\t"                                                                                                  \
    "str r4, " QPS_AT_FIRST "\n\t"                                                                                     \
    "str r7, " QPS_AT_LAST "\n\t"                                                                                      \
    "b 7b\n"                                                                                                           \
    "9:\n\t"                                                                                                           \
    QPS_LEAVE
/* low, of r5 to r7, = all - odd * 2^shift; spare is free */
#define QPS_LOWER(low, all, odd, shift, spare)                                                                         \
    "mov " spare ", " odd "\n\t"                                                                                       \
    "lsls " spare ", " spare ", #" shift "\n\t"                                                                        \
    "mov " low ", " all "\n\t"                                                                                         \
    "subs " low ", " spare "\n\t"

/* Bytes in r4 to r7 as pairs of sums at r0, which moves on; r1: 0x00FF00FF. */
#define QPS_MASK_BYTES                                                                                                 \
    "ands r4, r1\n\t"                                                                                                  \
    "ands r5, r1\n\t"                                                                                                  \
    "ands r6, r1\n\t"                                                                                                  \
    "ands r7, r1\n\t"
#define QPS_WRITE                                                                                                      \
    QPS_MASK_BYTES                                                                                                     \
    "stmia r0!, {r4-r7}\n\t"
#define QPS_ADD                                                                                                        \
    QPS_MASK_BYTES                                                                                                     \
    "ldr r3, [r0]\n\t"                                                                                                 \
    "adds r4, r3\n\t"                                                                                                  \
    "ldr r3, [r0, #4]\n\t"                                                                                             \
    "adds r5, r3\n\t"                                                                                                  \
    "ldr r3, [r0, #8]\n\t"                                                                                             \
    "adds r6, r3\n\t"                                                                                                  \
    "ldr r3, [r0, #12]\n\t"                                                                                            \
    "adds r7, r3\n\t"                                                                                                  \
    "stmia r0!, {r4-r7}\n\t"
/* Odd bytes: r4 and three others. */
#define QPS_TAKE(word1, word2, word3)                                                                                  \
    "mov r5, " word1 "\n\t"                                                                                            \
    "mov r6, " word2 "\n\t"                                                                                            \
    "mov r7, " word3 "\n\t"
#define QPS_ODD_BYTES                                                                                                  \
    "lsrs r4, r4, #8\n\t"                                                                                              \
    "lsrs r5, r5, #8\n\t"                                                                                              \
    "lsrs r6, r6, #8\n\t"                                                                                              \
    "lsrs r7, r7, #8\n\t"
#define QPS_SPREAD(KEEP)                                                                                               \
    "movs r4, r2\n\t"                                                                                                  \
    KEEP                                                                                                               \
    "movs r4, r2\n\t"                                                                                                  \
    QPS_TAKE("r8", "r10", "r12")                                                                                       \
    QPS_ODD_BYTES                                                                                                      \
    KEEP                                                                                                               \
    "ldr r4, " QPS_AT_SPARE "\n\t"                                                                                     \
    QPS_TAKE("r9", "r11", "lr")                                                                                        \
    KEEP                                                                                                               \
    "ldr r4, " QPS_AT_SPARE "\n\t"                                                                                     \
    QPS_TAKE("r9", "r11", "lr")                                                                                        \
    QPS_ODD_BYTES                                                                                                      \
    KEEP
/* A chunk's 4-bit lanes to 16 pairs of sums. */
#define QPS_SPREAD_CHUNK                                                                                               \
    "str r3, " QPS_AT_SPARE "\n\t"                                                                                     \
    "lsls r3, r3, #4\n\t"                                                                                              \
    "subs r2, r3\n\t"                                                                                                  \
    QPS_LOWER("r5", "r8", "r9", "4", "r3")                                                                             \
    QPS_LOWER("r6", "r10", "r11", "4", "r3")                                                                           \
    QPS_LOWER("r7", "r12", "lr", "4", "r3")                                                                            \
    "mov r8, r5\n\t"                                                                                                   \
    "mov r10, r6\n\t"                                                                                                  \
    "mov r12, r7\n\t"                                                                                                  \
    "ldr r0, " QPS_AT_SUMS "\n\t"                                                                                      \
    "ldr r1, =0x00FF00FF\n\t"                                                                                          \
    "ldr r3, " QPS_AT_FIRST "\n\t"                                                                                     \
    "cmp r3, #0\n\t"                                                                                                   \
    "beq 5f\n\t"                                                                                                       \
    QPS_SPREAD(QPS_WRITE)                                                                                              \
    "b 6f\n"                                                                                                           \
    "5:\n\t"                                                                                                           \
    QPS_SPREAD(QPS_ADD)                                                                                                \
    "6:\n\t"                                                                                                           \
    "adds r0, #192\n\t" /* of QPS_GROUP_SUMS, a pixel's QPS_PAIRS left out */

/* Bytes in r4, and r5, as pairs of sums at r0, which moves on; r1: 0x00FF00FF. */
#define QPS_WRITE_ONE                                                                                                  \
    "ands r4, r1\n\t"                                                                                                  \
    "stmia r0!, {r4}\n\t"
#define QPS_ADD_ONE                                                                                                    \
    "ands r4, r1\n\t"                                                                                                  \
    "ldr r7, [r0]\n\t"                                                                                                 \
    "adds r4, r7\n\t"                                                                                                  \
    "stmia r0!, {r4}\n\t"
#define QPS_WRITE_TWO                                                                                                  \
    "ands r4, r1\n\t"                                                                                                  \
    "ands r5, r1\n\t"                                                                                                  \
    "stmia r0!, {r4, r5}\n\t"
#define QPS_ADD_TWO                                                                                                    \
    "ands r4, r1\n\t"                                                                                                  \
    "ands r5, r1\n\t"                                                                                                  \
    "ldr r7, [r0]\n\t"                                                                                                 \
    "adds r4, r7\n\t"                                                                                                  \
    "ldr r7, [r0, #4]\n\t"                                                                                             \
    "adds r5, r7\n\t"                                                                                                  \
    "stmia r0!, {r4, r5}\n\t"
#define QPS_SPREAD_ONE(KEEP, word)                                                                                     \
    "mov r4, " word "\n\t"                                                                                             \
    KEEP                                                                                                               \
    "mov r4, " word "\n\t"                                                                                             \
    "lsrs r4, r4, #8\n\t"                                                                                              \
    KEEP
#define QPS_SPREAD_TWO(KEEP, word0, word1)                                                                             \
    "mov r4, " word0 "\n\t"                                                                                            \
    "mov r5, " word1 "\n\t"                                                                                            \
    KEEP                                                                                                               \
    "mov r4, " word0 "\n\t"                                                                                            \
    "mov r5, " word1 "\n\t"                                                                                            \
    "lsrs r4, r4, #8\n\t"                                                                                              \
    "lsrs r5, r5, #8\n\t"                                                                                              \
    KEEP
#define QPS_BEGIN_SPREAD                                                                                               \
    "ldr r0, " QPS_AT_SUMS "\n\t"                                                                                      \
    "ldr r1, =0x00FF00FF\n\t"                                                                                          \
    "ldr r4, " QPS_AT_FIRST "\n\t"                                                                                     \
    "cmp r4, #0\n\t"                                                                                                   \
    "beq 5f\n\t"
/* A chunk's 4-bit lanes of two words. */
#define QPS_SPREAD_CHUNK_OF_TWO                                                                                        \
    "lsls r4, r3, #4\n\t"                                                                                              \
    "subs r2, r4\n\t"                                                                                                  \
    QPS_LOWER("r5", "r8", "r9", "4", "r4")                                                                             \
    "mov r8, r5\n\t"                                                                                                   \
    QPS_BEGIN_SPREAD                                                                                                   \
    QPS_SPREAD_TWO(QPS_WRITE_TWO, "r2", "r8")                                                                          \
    QPS_SPREAD_TWO(QPS_WRITE_TWO, "r3", "r9")                                                                          \
    "b 6f\n"                                                                                                           \
    "5:\n\t"                                                                                                           \
    QPS_SPREAD_TWO(QPS_ADD_TWO, "r2", "r8")                                                                            \
    QPS_SPREAD_TWO(QPS_ADD_TWO, "r3", "r9")                                                                            \
    "6:\n\t"

/* clang-format on */
#endif
