/* Thumb: eight registers that everything can use, and six more that can be added to, which is what sums need.
 *
 * Those of all lanes of four words are in r2, r8, r10 and r12, those of the odd ones in r3, r9, r11 and lr. */
#include "qps_blocks.h"

#include "qps_thumb.h"

#if QPS_NARROW_BLOCKS

/* An instruction a line. */
/* clang-format off */

/* All of it in assembly: blocks in r0. */
#define QPS_LOOP(name) __attribute__((naked)) void name(const qps_blocks_t *blocks __attribute__((unused)))

/* The frame, as in qps_blocks.c. */
#define CODES "[sp]"
#define EVENTS "[sp, #4]"
#define END "[sp, #8]"
#define SUMS "[sp, #12]"
#define SIZE "[sp, #16]"
#define COUNT "[sp, #20]"
#define LAST "[sp, #24]"
#define FIRST "[sp, #28]"
#define SPARE "[sp, #32]"
#define ALL(word) "[sp, #36 + 8 * " word "]"
#define ODD(word) "[sp, #40 + 8 * " word "]"
#define QPS_ENTER                                                                                                      \
    ".syntax unified\n\t"                                                                                              \
    "push {r4-r7, lr}\n\t"                                                                                             \
    QPS_PUSH_HIGH                                                                                                      \
    "ldmia r0!, {r1-r6}\n\t"                                                                                           \
    "sub sp, #44\n\t"                                                                                                  \
    "push {r1-r6}\n\t"                                                                                                 \
    "movs r2, #0\n\t"                                                                                                  \
    "str r2, " FIRST "\n"                                                                                              \
    "7:\n\t"                                                                                                           \
    "ldr r0, " CODES "\n\t"                                                                                            \
    "ldr r1, " EVENTS "\n\t"
/* On to the next block, or back. */
#define QPS_LEAVE                                                                                                      \
    "ldr r0, " CODES "\n\t"                                                                                            \
    "ldr r2, " SIZE "\n\t"                                                                                             \
    "adds r0, r2\n\t"                                                                                                  \
    "str r0, " CODES "\n\t"                                                                                            \
    "ldr r2, " COUNT "\n\t"                                                                                            \
    "subs r2, #1\n\t"                                                                                                  \
    "str r2, " COUNT "\n\t"                                                                                            \
    "beq 4f\n\t"                                                                                                       \
    "b 7b\n"                                                                                                           \
    "4:\n\t"                                                                                                           \
    "add sp, #68\n\t"                                                                                                  \
    QPS_POP_HIGH                                                                                                       \
    "pop {r4-r7, pc}\n\t"
/* r4: the end of the next chunk, so many events at most. */
#define QPS_BEGIN_CHUNK(events)                                                                                        \
    "str r1, " FIRST "\n"                                                                                              \
    "8:\n\t"                                                                                                           \
    "ldr r2, " END "\n\t"                                                                                              \
    "movs r4, r1\n\t"                                                                                                  \
    "adds r4, #2 * " events "\n\t"                                                                                     \
    "cmp r4, r2\n\t"                                                                                                   \
    "bls 1f\n\t"                                                                                                       \
    "movs r4, r2\n"                                                                                                    \
    "1:\n\t"                                                                                                           \
    "str r4, " LAST "\n\t"
#define QPS_END_CHUNK                                                                                                  \
    "ldr r1, " LAST "\n\t"                                                                                             \
    "ldr r2, " END "\n\t"                                                                                              \
    "cmp r1, r2\n\t"                                                                                                   \
    "bne 9f\n\t"                                                                                                       \
    "ldr r0, " SUMS "\n\t"                                                                                             \
    "adds r0, #128\n\t" /* of QPS_GROUP_SUMS */                                                                        \
    "adds r0, #128\n\t"                                                                                                \
    "str r0, " SUMS "\n\t"                                                                                             \
    QPS_LEAVE                                                                                                          \
    "9:\n\t"                                                                                                           \
    "movs r2, #0\n\t"                                                                                                  \
    "str r2, " FIRST "\n\t"                                                                                            \
    "ldr r0, " CODES "\n\t"                                                                                            \
    "b 8b\n\t"                                                                                                         \
    ".ltorg"

/* r5: mask of odd lanes, r6: a row. */
#define QPS_ADD_WORD(offset, shift, all, odd)                                                                          \
    "ldr r7, [r6, #" offset "]\n\t"                                                                                    \
    "add " all ", r7\n\t"                                                                                              \
    "ands r7, r5\n\t"                                                                                                  \
    "lsrs r7, r7, #" shift "\n\t"                                                                                      \
    "add " odd ", r7\n\t"
#define QPS_ADD_ROW(shift)                                                                                             \
    "lsls r6, r6, #4\n\t"                                                                                              \
    "adds r6, r0\n\t"                                                                                                  \
    QPS_ADD_WORD("0", shift, "r2", "r3")                                                                               \
    QPS_ADD_WORD("4", shift, "r8", "r9")                                                                               \
    QPS_ADD_WORD("8", shift, "r10", "r11")                                                                             \
    QPS_ADD_WORD("12", shift, "r12", "lr")
/* Two words of a row, and one. */
#define QPS_ADD_HALF_ROW(shift)                                                                                        \
    "lsls r6, r6, #3\n\t"                                                                                              \
    "adds r6, r0\n\t"                                                                                                  \
    QPS_ADD_WORD("0", shift, "r2", "r3")                                                                               \
    QPS_ADD_WORD("4", shift, "r8", "r9")
#define QPS_ADD_WORD_OF_ROW(shift)                                                                                     \
    "lsls r6, r6, #2\n\t"                                                                                              \
    "adds r6, r0\n\t"                                                                                                  \
    QPS_ADD_WORD("0", shift, "r2", "r3")
#define QPS_CLEAR_FOUR                                                                                                 \
    "movs r2, #0\n\t"                                                                                                  \
    "movs r3, #0\n\t"                                                                                                  \
    "mov r8, r2\n\t"                                                                                                   \
    "mov r9, r2\n\t"
/* From r1 to r4, two rows at a time; the first one alone where they are odd. */
#define QPS_ADD_ROWS(CLEAR, ADD_ROW, mask, shift)                                                                                      \
    "ldr r5, =" mask "\n\t"                                                                                            \
    CLEAR                                                                                                     \
    "subs r6, r4, r1\n\t"                                                                                              \
    "lsrs r6, r6, #2\n\t"                                                                                              \
    "bcc 1f\n\t"                                                                                                       \
    "subs r1, #2\n\t"                                                                                                  \
    "b 2f\n"                                                                                                           \
    "1:\n\t"                                                                                                           \
    "ldrh r6, [r1]\n\t"                                                                                                \
    ADD_ROW(shift)                                                                                                 \
    "2:\n\t"                                                                                                           \
    "ldrh r6, [r1, #2]\n\t"                                                                                            \
    "adds r1, #4\n\t"                                                                                                  \
    ADD_ROW(shift)                                                                                                 \
    "cmp r1, r4\n\t"                                                                                                   \
    "bne 1b\n\t"

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
    "ldr r4, " SPARE "\n\t"                                                                                            \
    QPS_TAKE("r9", "r11", "lr")                                                                                        \
    KEEP                                                                                                               \
    "ldr r4, " SPARE "\n\t"                                                                                            \
    QPS_TAKE("r9", "r11", "lr")                                                                                        \
    QPS_ODD_BYTES                                                                                                      \
    KEEP
/* A chunk's 4-bit lanes to 16 pairs of sums. */
#define QPS_SPREAD_CHUNK                                                                                               \
    "str r3, " SPARE "\n\t"                                                                                            \
    "lsls r3, r3, #4\n\t"                                                                                              \
    "subs r2, r3\n\t"                                                                                                  \
    QPS_LOWER("r5", "r8", "r9", "4", "r3")                                                                             \
    QPS_LOWER("r6", "r10", "r11", "4", "r3")                                                                           \
    QPS_LOWER("r7", "r12", "lr", "4", "r3")                                                                            \
    "mov r8, r5\n\t"                                                                                                   \
    "mov r10, r6\n\t"                                                                                                  \
    "mov r12, r7\n\t"                                                                                                  \
    "ldr r0, " SUMS "\n\t"                                                                                             \
    "ldr r1, =0x00FF00FF\n\t"                                                                                          \
    "ldr r3, " FIRST "\n\t"                                                                                            \
    "cmp r3, #0\n\t"                                                                                                   \
    "beq 5f\n\t"                                                                                                       \
    QPS_SPREAD(QPS_WRITE)                                                                                              \
    "b 6f\n"                                                                                                           \
    "5:\n\t"                                                                                                           \
    QPS_SPREAD(QPS_ADD)                                                                                                \
    "6:\n\t"

/* Blocks of 32 channels. */
QPS_LOOP(qps_blocks_4)
{
    __asm(QPS_ENTER
          QPS_BEGIN_CHUNK("17") /* QPS_NIBBLE_ROWS */
          QPS_ADD_ROWS(QPS_CLEAR_SUMS, QPS_ADD_ROW, "0xF0F0F0F0", "4")
          QPS_SPREAD_CHUNK
          QPS_END_CHUNK);
}

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
    "ldr r0, " SUMS "\n\t"                                                                                             \
    "ldr r1, =0x00FF00FF\n\t"                                                                                          \
    "ldr r4, " FIRST "\n\t"                                                                                            \
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

QPS_LOOP(qps_halves_4)
{
    __asm(QPS_ENTER
          QPS_BEGIN_CHUNK("17") /* QPS_NIBBLE_ROWS */
          QPS_ADD_ROWS(QPS_CLEAR_FOUR, QPS_ADD_HALF_ROW, "0xF0F0F0F0", "4")
          QPS_SPREAD_CHUNK_OF_TWO
          QPS_END_CHUNK);
}

QPS_LOOP(qps_words_4)
{
    __asm(QPS_ENTER
          QPS_BEGIN_CHUNK("17") /* QPS_NIBBLE_ROWS */
          QPS_ADD_ROWS(QPS_CLEAR_FOUR, QPS_ADD_WORD_OF_ROW, "0xF0F0F0F0", "4")
          "lsls r4, r3, #4\n\t"
          "subs r2, r4\n\t"
          QPS_BEGIN_SPREAD
          QPS_SPREAD_ONE(QPS_WRITE_ONE, "r2")
          QPS_SPREAD_ONE(QPS_WRITE_ONE, "r3")
          "b 6f\n"
          "5:\n\t"
          QPS_SPREAD_ONE(QPS_ADD_ONE, "r2")
          QPS_SPREAD_ONE(QPS_ADD_ONE, "r3")
          "6:\n\t"
          QPS_END_CHUNK);
}

/* Of 16 channels, two of them a group; 16 bits are enough for any number of rows. In FIRST is what comes behind a block's sums. */
QPS_LOOP(qps_blocks_8)
{
    __asm(QPS_ENTER
          "ldr r4, " END "\n\t"
          QPS_ADD_ROWS(QPS_CLEAR_SUMS, QPS_ADD_ROW, "0xFF00FF00", "8")
          "lsls r4, r3, #8\n\t"
          "subs r2, r4\n\t"
          QPS_LOWER("r5", "r8", "r9", "8", "r4")
          QPS_LOWER("r6", "r10", "r11", "8", "r4")
          QPS_LOWER("r7", "r12", "lr", "8", "r4")
          "ldr r0, " SUMS "\n\t"
          "stmia r0!, {r2, r5, r6, r7}\n\t"
          QPS_TAKE("r9", "r11", "lr")
          "stmia r0!, {r3, r5, r6, r7}\n\t"
          "ldr r4, " FIRST "\n\t"
          "adds r0, r4\n\t"
          "str r0, " SUMS "\n\t"
          "movs r5, #192\n\t" /* of QPS_GROUP_SUMS, a pixel's QPS_PAIRS left out */
          "eors r4, r5\n\t"
          "str r4, " FIRST "\n\t"
          QPS_LEAVE
          ".ltorg");
}

QPS_LOOP(qps_halves_8)
{
    __asm(QPS_ENTER
          "ldr r4, " END "\n\t"
          QPS_ADD_ROWS(QPS_CLEAR_FOUR, QPS_ADD_HALF_ROW, "0xFF00FF00", "8")
          "lsls r4, r3, #8\n\t"
          "subs r2, r4\n\t"
          QPS_LOWER("r5", "r8", "r9", "8", "r4")
          "ldr r0, " SUMS "\n\t"
          "stmia r0!, {r2, r5}\n\t"
          "mov r5, r9\n\t"
          "stmia r0!, {r3, r5}\n\t"
          QPS_LEAVE
          ".ltorg");
}

/* 2-bit codes: of QPS_CRUMB_ROWS rows of two words, r6 and r7 have all lanes and the odd ones of the first word, r8 and r9 those of the
 * second. r3: a row, r4 and r5: masks of odd lanes, r10: five rows before the chunk's end. Of the 4-bit lanes, sums are in the frame. */
#define QPS_ADD_CRUMBS(place) /* 26 bytes */                                                                           \
    "ldrh r3, [r1, #" place "]\n\t"                                                                                    \
    "lsls r3, r3, #3\n\t"                                                                                              \
    "adds r3, r0\n\t"                                                                                                  \
    "ldr r2, [r3]\n\t"                                                                                                 \
    "adds r6, r2\n\t"                                                                                                  \
    "ands r2, r4\n\t"                                                                                                  \
    "lsrs r2, r2, #2\n\t"                                                                                              \
    "adds r7, r2\n\t"                                                                                                  \
    "ldr r2, [r3, #4]\n\t"                                                                                             \
    "add r8, r2\n\t"                                                                                                   \
    "ands r2, r4\n\t"                                                                                                  \
    "lsrs r2, r2, #2\n\t"                                                                                              \
    "add r9, r2\n\t"
#define QPS_KEEP_NIBBLES(lanes, word)                                                                                  \
    "ldr r2, " ALL(word) "\n\t"                                                                                        \
    "adds r2, " lanes "\n\t"                                                                                           \
    "str r2, " ALL(word) "\n\t"                                                                                        \
    "ands " lanes ", r5\n\t"                                                                                           \
    "lsrs " lanes ", " lanes ", #4\n\t"                                                                                \
    "ldr r2, " ODD(word) "\n\t"                                                                                        \
    "adds r2, " lanes "\n\t"                                                                                           \
    "str r2, " ODD(word) "\n\t"
/* r6: even codes, r7: odd ones. */
#define QPS_KEEP_CRUMBS(even, odd)                                                                                     \
    "lsls r2, r7, #2\n\t"                                                                                              \
    "subs r6, r2\n\t"                                                                                                  \
    QPS_KEEP_NIBBLES("r6", even)                                                                                       \
    QPS_KEEP_NIBBLES("r7", odd)
#define QPS_CLEAR_NIBBLES(word)                                                                                        \
    "str r2, " ALL(word) "\n\t"                                                                                        \
    "str r2, " ODD(word) "\n\t"
#define QPS_LOAD_NIBBLES(word, all, odd)                                                                               \
    "ldr r2, " ALL(word) "\n\t"                                                                                        \
    "mov " all ", r2\n\t"                                                                                              \
    "ldr r2, " ODD(word) "\n\t"                                                                                        \
    "mov " odd ", r2\n\t"

/* To 2, where five rows of so many bytes of code are added up, or into the middle of them for what is left of the last ones; to 4 after
 * these. */
#define QPS_INTO_CRUMBS(half_bytes)                                                                                    \
    "cmp r1, r10\n\t"                                                                                                  \
    "bls 2f\n\t"                                                                                                       \
    "mov r3, r10\n\t"                                                                                                  \
    "subs r3, r1, r3\n\t" /* two for each row that is not there */                                                     \
    "subs r1, r3\n\t"                                                                                                  \
    "movs r2, #" half_bytes "\n\t"                                                                                     \
    "muls r2, r3\n\t"                                                                                                  \
    "cmp r3, #10\n\t"                                                                                                  \
    "beq 4f\n\t"                                                                                                       \
    "add pc, r2\n\t"                                                                                                   \
    "nop\n"                                                                                                            \
    "2:\n\t"

/* Of 32 channels. */
QPS_LOOP(qps_blocks_2)
{
    __asm(QPS_ENTER
          QPS_BEGIN_CHUNK("17 * 5") /* QPS_NIBBLE_ROWS of QPS_CRUMB_ROWS each */
          "subs r4, #10\n\t"
          "mov r10, r4\n\t"
          "ldr r4, =0xCCCCCCCC\n\t"
          "ldr r5, =0xF0F0F0F0\n\t"
          "movs r2, #0\n\t"
          QPS_CLEAR_NIBBLES("0")
          QPS_CLEAR_NIBBLES("1")
          QPS_CLEAR_NIBBLES("2")
          QPS_CLEAR_NIBBLES("3")
          "3:\n\t"
          "movs r6, #0\n\t"
          "movs r7, #0\n\t"
          "mov r8, r6\n\t"
          "mov r9, r6\n\t"
          QPS_INTO_CRUMBS("13")
          QPS_ADD_CRUMBS("0")
          QPS_ADD_CRUMBS("2")
          QPS_ADD_CRUMBS("4")
          QPS_ADD_CRUMBS("6")
          QPS_ADD_CRUMBS("8")
          QPS_KEEP_CRUMBS("0", "1")
          "mov r6, r8\n\t"
          "mov r7, r9\n\t"
          QPS_KEEP_CRUMBS("2", "3")
          "adds r1, #10\n\t"
          "b 3b\n"
          "4:\n\t"
          QPS_LOAD_NIBBLES("1", "r8", "r9")
          QPS_LOAD_NIBBLES("2", "r10", "r11")
          QPS_LOAD_NIBBLES("3", "r12", "lr")
          "ldr r2, " ALL("0") "\n\t"
          "ldr r3, " ODD("0") "\n\t"
          QPS_SPREAD_CHUNK
          QPS_END_CHUNK);
}

/* One word, or half of one: sums of 4-bit lanes are in r8 and r9, those of its odd codes in r11 and lr. */
#define QPS_LOAD_WORD                                                                                                  \
    "lsls r3, r3, #2\n\t"                                                                                              \
    "ldr r2, [r0, r3]\n\t"
#define QPS_LOAD_HALF_WORD                                                                                             \
    "lsls r3, r3, #1\n\t"                                                                                              \
    "ldrh r2, [r0, r3]\n\t"
#define QPS_ADD_CRUMB(LOAD, place) /* 14 bytes */                                                                      \
    "ldrh r3, [r1, #" place "]\n\t"                                                                                    \
    LOAD                                                                                                               \
    "adds r6, r2\n\t"                                                                                                  \
    "ands r2, r4\n\t"                                                                                                  \
    "lsrs r2, r2, #2\n\t"                                                                                              \
    "adds r7, r2\n\t"
#define QPS_KEEP_CRUMB(lanes, all, odd)                                                                                \
    "add " all ", " lanes "\n\t"                                                                                       \
    "ands " lanes ", r5\n\t"                                                                                           \
    "lsrs " lanes ", " lanes ", #4\n\t"                                                                                \
    "add " odd ", " lanes "\n\t"
#define QPS_ADD_CRUMBS_OF_ONE(LOAD)                                                                                    \
    QPS_ENTER                                                                                                          \
    QPS_BEGIN_CHUNK("17 * 5") /* QPS_NIBBLE_ROWS of QPS_CRUMB_ROWS each */                                             \
    "subs r4, #10\n\t"                                                                                                 \
    "mov r10, r4\n\t"                                                                                                  \
    "ldr r4, =0xCCCCCCCC\n\t"                                                                                          \
    "ldr r5, =0xF0F0F0F0\n\t"                                                                                          \
    "movs r2, #0\n\t"                                                                                                  \
    "mov r8, r2\n\t"                                                                                                   \
    "mov r9, r2\n\t"                                                                                                   \
    "mov r11, r2\n\t"                                                                                                  \
    "mov lr, r2\n\t"                                                                                                   \
    "3:\n\t"                                                                                                           \
    "movs r6, #0\n\t"                                                                                                  \
    "movs r7, #0\n\t"                                                                                                  \
    QPS_INTO_CRUMBS("7")                                                                                               \
    QPS_ADD_CRUMB(LOAD, "0")                                                                                           \
    QPS_ADD_CRUMB(LOAD, "2")                                                                                           \
    QPS_ADD_CRUMB(LOAD, "4")                                                                                           \
    QPS_ADD_CRUMB(LOAD, "6")                                                                                           \
    QPS_ADD_CRUMB(LOAD, "8")                                                                                           \
    "lsls r2, r7, #2\n\t"                                                                                              \
    "subs r6, r2\n\t"                                                                                                  \
    QPS_KEEP_CRUMB("r6", "r8", "r9")                                                                                   \
    QPS_KEEP_CRUMB("r7", "r11", "lr")                                                                                  \
    "adds r1, #10\n\t"                                                                                                 \
    "b 3b\n"                                                                                                           \
    "4:\n\t"                                                                                                           \
    "mov r2, r8\n\t"                                                                                                   \
    "mov r3, r9\n\t"                                                                                                   \
    "mov r8, r11\n\t"                                                                                                  \
    "mov r9, lr\n\t"                                                                                                   \
    QPS_SPREAD_CHUNK_OF_TWO                                                                                            \
    QPS_END_CHUNK

/* 16 channels, and 8. */
QPS_LOOP(qps_words_2)
{
    __asm(QPS_ADD_CRUMBS_OF_ONE(QPS_LOAD_WORD));
}

QPS_LOOP(qps_half_words_2)
{
    __asm(QPS_ADD_CRUMBS_OF_ONE(QPS_LOAD_HALF_WORD));
}

/* clang-format on */
#endif
