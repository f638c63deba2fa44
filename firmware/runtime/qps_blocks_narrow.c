/* Thumb: blocks, halves and words of 4-bit and of 8-bit codes. */
#include "qps_narrow.h"

#if QPS_NARROW_BLOCKS

/* An instruction a line. */
/* clang-format off */

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
/* From r1 to last, two rows at a time; the first one alone where they are odd. */
#define QPS_ADD_ROWS(CLEAR, ADD_ROW, mask, shift, last)                                                                \
    "ldr r4, " last "\n\t"                                                                                             \
    "ldr r5, =" mask "\n\t"                                                                                            \
    CLEAR                                                                                                              \
    "subs r6, r4, r1\n\t"                                                                                              \
    "lsrs r6, r6, #2\n\t"                                                                                              \
    "bcc 1f\n\t"                                                                                                       \
    "subs r1, #2\n\t"                                                                                                  \
    "b 2f\n"                                                                                                           \
    "1:\n\t"                                                                                                           \
    "ldrh r6, [r1]\n\t"                                                                                                \
    ADD_ROW(shift)                                                                                                     \
    "2:\n\t"                                                                                                           \
    "ldrh r6, [r1, #2]\n\t"                                                                                            \
    "adds r1, #4\n\t"                                                                                                  \
    ADD_ROW(shift)                                                                                                     \
    "cmp r1, r4\n\t"                                                                                                   \
    "bne 1b\n\t"

/* Blocks of 32 channels. */
QPS_LOOP(qps_blocks_4)
{
    __asm(QPS_ENTER
          QPS_BEGIN_CHUNKS("17", "") /* QPS_NIBBLE_ROWS */
          QPS_ADD_ROWS(QPS_CLEAR_SUMS, QPS_ADD_ROW, "0xF0F0F0F0", "4", QPS_AT_LAST)
          QPS_SPREAD_CHUNK
          QPS_NEXT_BLOCK
          QPS_NEXT_CHUNK("17", "", ""));
}

QPS_LOOP(qps_halves_4)
{
    __asm(QPS_ENTER
          QPS_BEGIN_CHUNKS("17", "") /* QPS_NIBBLE_ROWS */
          QPS_ADD_ROWS(QPS_CLEAR_FOUR, QPS_ADD_HALF_ROW, "0xF0F0F0F0", "4", QPS_AT_LAST)
          QPS_SPREAD_CHUNK_OF_TWO
          QPS_NEXT_CHUNK("17", "", ""));
}

QPS_LOOP(qps_words_4)
{
    __asm(QPS_ENTER
          QPS_BEGIN_CHUNKS("17", "") /* QPS_NIBBLE_ROWS */
          QPS_ADD_ROWS(QPS_CLEAR_FOUR, QPS_ADD_WORD_OF_ROW, "0xF0F0F0F0", "4", QPS_AT_LAST)
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
          QPS_NEXT_CHUNK("17", "", ""));
}

/* Of 16 channels, two of them a group; 16 bits are enough for any number of rows. In QPS_AT_FIRST is what comes
 * behind a block's sums. */
QPS_LOOP(qps_blocks_8)
{
    __asm(QPS_ENTER
          "movs r4, #0\n\t"
          QPS_BEGIN_BLOCKS
          QPS_ADD_ROWS(QPS_CLEAR_SUMS, QPS_ADD_ROW, "0xFF00FF00", "8", QPS_AT_END)
          "lsls r4, r3, #8\n\t"
          "subs r2, r4\n\t"
          QPS_LOWER("r5", "r8", "r9", "8", "r4")
          QPS_LOWER("r6", "r10", "r11", "8", "r4")
          QPS_LOWER("r7", "r12", "lr", "8", "r4")
          "ldr r0, " QPS_AT_SUMS "\n\t"
          "stmia r0!, {r2, r5, r6, r7}\n\t"
          QPS_TAKE("r9", "r11", "lr")
          "stmia r0!, {r3, r5, r6, r7}\n\t"
          "ldr r4, " QPS_AT_FIRST "\n\t"
          "adds r0, r4\n\t"
          "movs r5, #192\n\t" /* of QPS_GROUP_SUMS, a pixel's QPS_PAIRS left out */
          "eors r4, r5\n\t"
          "str r4, " QPS_AT_FIRST "\n\t"
          QPS_NEXT_BLOCK
          QPS_LEAVE);
}

QPS_LOOP(qps_halves_8)
{
    __asm(QPS_ENTER
          "movs r4, #0\n\t"
          QPS_BEGIN_BLOCKS
          QPS_ADD_ROWS(QPS_CLEAR_FOUR, QPS_ADD_HALF_ROW, "0xFF00FF00", "8", QPS_AT_END)
          "lsls r4, r3, #8\n\t"
          "subs r2, r4\n\t"
          QPS_LOWER("r5", "r8", "r9", "8", "r4")
          "ldr r0, " QPS_AT_SUMS "\n\t"
          "stmia r0!, {r2, r5}\n\t"
          "mov r5, r9\n\t"
          "stmia r0!, {r3, r5}\n\t"
          QPS_LEAVE);
}

/* clang-format on */
#endif
