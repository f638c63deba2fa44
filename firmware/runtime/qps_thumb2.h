/* What loops for Thumb-2 have in common: frames, chunks of a list, and how sums of 4-bit lanes come apart.
 *
 * Lanes of a row hold the sums of so many rows only; a chunk of a list is what they have room for. All blocks add up
 * one chunk before any adds up the next, since most lists are a single one. r0 and r1 hold codes and events, r4 to
 * r7 what is read of a row; sums are in r2, r3 and r8 to lr. */
#ifndef QPS_THUMB2_H
#define QPS_THUMB2_H

#include "qps_blocks.h"

/* An instruction a line. */
/* clang-format off */

/* All of it in assembly: blocks in r0. */
#define QPS_LOOP(name) __attribute__((naked)) void name(const qps_blocks_t *blocks __attribute__((unused)))

/* The frame of a loop over blocks: what the caller gave; CODES and SUMS of this block, COUNT the blocks that are
 * left; where the chunk begins and ends, and whether it is the FIRST one: 0 if not. */
#define QPS_AT_GIVEN "[sp]"
#define QPS_AT_CODES "[sp, #4]" /* and EVENTS */
#define QPS_AT_LAST "[sp, #12]" /* and END */
#define QPS_AT_END "[sp, #16]"
#define QPS_AT_SUMS "[sp, #20]" /* and FIRST */
#define QPS_AT_FIRST "[sp, #24]"
#define QPS_AT_SIZE "[sp, #28]" /* and COUNT */
#define QPS_AT_COUNT "[sp, #32]"
#define QPS_AT_SPARE "[sp, #36]" /* two words */
/* r2: codes, r3: events, r5: their end, r6: sums, r8: size, r9: count. */
#define QPS_ENTER                                                                                                      \
    "push {r4-r11, lr}\n\t"                                                                                            \
    "ldrd r2, r3, [r0]\n\t"                                                                                            \
    "ldrd r5, r6, [r0, #8]\n\t"                                                                                        \
    "ldrd r8, r9, [r0, #16]\n\t"
/* r4: LAST, r7: FIRST. */
#define QPS_BEGIN_BLOCKS                                                                                               \
    "push {r0, r2-r11}\n"                                                                                              \
    "7:\n\t"                                                                                                           \
    "ldrd r0, r1, " QPS_AT_CODES "\n\t"
/* r1: the next block's sums. */
#define QPS_NEXT_BLOCK                                                                                                 \
    "str r1, " QPS_AT_SUMS "\n\t"                                                                                      \
    "ldr r0, " QPS_AT_CODES "\n\t"                                                                                     \
    "ldrd r4, r5, " QPS_AT_SIZE "\n\t"                                                                                 \
    "add r0, r4\n\t"                                                                                                   \
    "str r0, " QPS_AT_CODES "\n\t"                                                                                     \
    "subs r5, #1\n\t"                                                                                                  \
    "str r5, " QPS_AT_COUNT "\n\t"                                                                                     \
    "bne 7b\n\t"
#define QPS_LEAVE_BLOCKS                                                                                               \
    "add sp, #44\n\t"                                                                                                  \
    "pop {r4-r11, pc}\n"
/* last = where a chunk ends that begins at events */
#define QPS_END_OF_CHUNK(last, events, rows, end)                                                                      \
    "add " last ", " events ", #2 * " rows "\n\t"                                                                      \
    "cmp " last ", " end "\n\t"                                                                                        \
    "it hi\n\t"                                                                                                        \
    "movhi " last ", " end "\n\t"
/* All blocks again for the next chunk, or back. LAST may be EARLY, and then LATE makes up for it. */
#define QPS_NEXT_CHUNK(rows, LATE, EARLY)                                                                              \
    "ldrd r1, r4, " QPS_AT_LAST "\n\t" /* and END */                                                                   \
    LATE                                                                                                               \
    "cmp r1, r4\n\t"                                                                                                   \
    "beq 9f\n\t"                                                                                                       \
    QPS_END_OF_CHUNK("r3", "r1", rows, "r4")                                                                           \
    EARLY                                                                                                              \
    "str r3, " QPS_AT_LAST "\n\t"                                                                                      \
    "ldr r4, " QPS_AT_GIVEN "\n\t"                                                                                     \
    "ldr r0, [r4]\n\t"                                                                                                 \
    "strd r0, r1, " QPS_AT_CODES "\n\t"                                                                                \
    "ldr r0, [r4, #12]\n\t"                                                                                            \
    "movs r1, #0\n\t"                                                                                                  \
    "strd r0, r1, " QPS_AT_SUMS "\n\t" /* and FIRST */                                                                 \
    "ldr r0, [r4, #20]\n\t"                                                                                            \
    "str r0, " QPS_AT_COUNT "\n\t"                                                                                     \
    "b 7b\n"                                                                                                           \
    "9:\n\t"                                                                                                           \
    QPS_LEAVE_BLOCKS

/* Half a block and a word come alone, and do without a frame. r11: the end of all, r12: LAST, lr: sums, r10: bytes
 * of a row; a low register is FIRST. */
#define QPS_ENTER_ALONE                                                                                                \
    "push {r0, r4-r11, lr}\n\t"                                                                                        \
    "ldrd r11, lr, [r0, #8]\n\t"                                                                                       \
    "ldr r10, [r0, #16]\n\t"                                                                                           \
    "ldrd r0, r1, [r0]\n\t"
#define QPS_BEGIN_ALONE(rows, first)                                                                                   \
    "movs " first ", #1\n"                                                                                             \
    "8:\n\t"                                                                                                           \
    QPS_END_OF_CHUNK("r12", "r1", rows, "r11")
#define QPS_LEAVE_ALONE "pop {r0, r4-r11, pc}\n"
/* r1: the chunk's end. */
#define QPS_NEXT_ALONE(first)                                                                                          \
    "cmp r1, r11\n\t"                                                                                                  \
    "bne 9f\n\t"                                                                                                       \
    QPS_LEAVE_ALONE                                                                                                    \
    "9:\n\t"                                                                                                           \
    "movs " first ", #0\n\t"                                                                                           \
    "ldr r0, [sp]\n\t"                                                                                                 \
    "ldr r0, [r0]\n\t"                                                                                                 \
    "b 8b"

/* all = word, odd = its odd lanes; all += word; odd += its odd lanes */
#define QPS_FIRST_NIBBLES(word, all, odd)                                                                              \
    "mov " all ", " word "\n\t"                                                                                        \
    "and " odd ", " word ", #0xF0F0F0F0\n\t"                                                                           \
    "lsr " odd ", " odd ", #4\n\t"
#define QPS_ADD_NIBBLES(word, all, odd)                                                                                \
    "add " all ", " word "\n\t"                                                                                        \
    "and " word ", " word ", #0xF0F0F0F0\n\t"                                                                          \
    "add " odd ", " odd ", " word ", lsr #4\n\t"
#define QPS_LOWER_NIBBLES(all, odd) "sub " all ", " all ", " odd ", lsl #4\n\t"

/* What differs with the DSP extension. sum = or += the even or odd bytes of a word; r0 holds a mask, or is free
 * where they are added. */
#if QPS_DSP
#define QPS_LOAD_MASK ""
#define QPS_EVEN(sum, word) "uxtb16 " sum ", " word "\n\t"
#define QPS_ODD(sum, word) "uxtb16 " sum ", " word ", ror #8\n\t"
#define QPS_ADD_EVEN(sum, word) "uxtab16 " sum ", " sum ", " word "\n\t"
#define QPS_ADD_ODD(sum, word) "uxtab16 " sum ", " sum ", " word ", ror #8\n\t"
#define QPS_FIRST_BYTES(word, all, odd) QPS_EVEN(all, word) QPS_ODD(odd, word)
#define QPS_ADD_BYTES(word, all, odd) QPS_ADD_EVEN(all, word) QPS_ADD_ODD(odd, word)
#define QPS_LOWER_BYTES(all, odd) ""
#else
#define QPS_LOAD_MASK "mov r0, #0x00FF00FF\n\t"
#define QPS_EVEN(sum, word) "and " sum ", r0, " word "\n\t"
#define QPS_ODD(sum, word) "and " sum ", r0, " word ", lsr #8\n\t"
#define QPS_ADD_EVEN(sum, word)                                                                                        \
    "bic r0, " word ", #0xFF00FF00\n\t"                                                                                \
    "add " sum ", r0\n\t"
#define QPS_ADD_ODD(sum, word)                                                                                         \
    "and r0, " word ", #0xFF00FF00\n\t"                                                                                \
    "add " sum ", " sum ", r0, lsr #8\n\t"
#define QPS_FIRST_BYTES(word, all, odd)                                                                                \
    "mov " all ", " word "\n\t"                                                                                        \
    "and " odd ", " word ", #0xFF00FF00\n\t"                                                                           \
    "lsr " odd ", " odd ", #8\n\t"
#define QPS_ADD_BYTES(word, all, odd)                                                                                  \
    "add " all ", " word "\n\t"                                                                                        \
    "and " word ", " word ", #0xFF00FF00\n\t"                                                                          \
    "add " odd ", " odd ", " word ", lsr #8\n\t"
#define QPS_LOWER_BYTES(all, odd) "sub " all ", " all ", " odd ", lsl #8\n\t"
#endif

/* Bytes of four words, or of two, to a pair of sums each at r1, which moves on. */
#define QPS_SPREAD(PART, word0, word1, word2, word3)                                                                   \
    PART("r4", word0)                                                                                                  \
    PART("r5", word1)                                                                                                  \
    PART("r6", word2)                                                                                                  \
    PART("r7", word3)                                                                                                  \
    "stm r1!, {r4-r7}\n\t"
#define QPS_ADD_SPREAD(PART, word0, word1, word2, word3)                                                               \
    "ldm r1, {r4-r7}\n\t"                                                                                              \
    QPS_SPREAD(PART, word0, word1, word2, word3)
#define QPS_SPREAD_TWO(PART, word0, word1)                                                                             \
    PART("r4", word0)                                                                                                  \
    PART("r5", word1)                                                                                                  \
    "stm r1!, {r4, r5}\n\t"
#define QPS_ADD_SPREAD_TWO(PART, word0, word1)                                                                         \
    "ldm r1, {r4, r5}\n\t"                                                                                             \
    QPS_SPREAD_TWO(PART, word0, word1)
/* A chunk's 4-bit lanes to 16 pairs; */
#define QPS_SPREAD_CHUNK                                                                                               \
    QPS_LOWER_NIBBLES("r2", "r8")                                                                                      \
    QPS_LOWER_NIBBLES("r3", "r9")                                                                                      \
    QPS_LOWER_NIBBLES("r10", "r11")                                                                                    \
    QPS_LOWER_NIBBLES("r12", "lr")                                                                                     \
    "ldrd r1, r4, " QPS_AT_SUMS "\n\t" /* and FIRST */                                                                 \
    "cbz r4, 5f\n\t"                                                                                                   \
    QPS_LOAD_MASK                                                                                                      \
    QPS_SPREAD(QPS_EVEN, "r2", "r3", "r10", "r12")                                                                     \
    QPS_SPREAD(QPS_ODD, "r2", "r3", "r10", "r12")                                                                      \
    QPS_SPREAD(QPS_EVEN, "r8", "r9", "r11", "lr")                                                                      \
    QPS_SPREAD(QPS_ODD, "r8", "r9", "r11", "lr")                                                                       \
    "b 6f\n"                                                                                                           \
    "5:\n\t"                                                                                                           \
    QPS_ADD_SPREAD(QPS_ADD_EVEN, "r2", "r3", "r10", "r12")                                                             \
    QPS_ADD_SPREAD(QPS_ADD_ODD, "r2", "r3", "r10", "r12")                                                              \
    QPS_ADD_SPREAD(QPS_ADD_EVEN, "r8", "r9", "r11", "lr")                                                              \
    QPS_ADD_SPREAD(QPS_ADD_ODD, "r8", "r9", "r11", "lr")                                                               \
    "6:\n\t"                                                                                                           \
    "adds r1, #192\n\t" /* of QPS_GROUP_SUMS, a pixel's QPS_PAIRS left out */
/* the same of what has no frame: at lr. */
#define QPS_SPREAD_ALONE(first, WRITE, ADD)                                                                            \
    "mov r1, lr\n\t"                                                                                                   \
    "cbz " first ", 5f\n\t"                                                                                            \
    QPS_LOAD_MASK                                                                                                      \
    WRITE                                                                                                              \
    "b 6f\n"                                                                                                           \
    "5:\n\t"                                                                                                           \
    ADD                                                                                                                \
    "6:\n\t"
#define QPS_SPREAD_CHUNK_OF_TWO(first)                                                                                 \
    QPS_LOWER_NIBBLES("r2", "r8")                                                                                      \
    QPS_LOWER_NIBBLES("r3", "r9")                                                                                      \
    QPS_SPREAD_ALONE(first, QPS_BYTES_OF_TWO(QPS_SPREAD_TWO, QPS_EVEN, QPS_ODD),                                       \
                     QPS_BYTES_OF_TWO(QPS_ADD_SPREAD_TWO, QPS_ADD_EVEN, QPS_ADD_ODD))
#define QPS_BYTES_OF_TWO(SPREAD, EVEN, ODD)                                                                            \
    SPREAD(EVEN, "r2", "r3")                                                                                           \
    SPREAD(ODD, "r2", "r3")                                                                                            \
    SPREAD(EVEN, "r8", "r9")                                                                                           \
    SPREAD(ODD, "r8", "r9")

/* clang-format on */
#endif
