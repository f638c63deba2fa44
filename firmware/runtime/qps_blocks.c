/* Thumb-2: blocks, halves and words of 4-bit and of 8-bit codes. 13 registers and the link register, all of them
 * taken, which is why this is not left to a compiler. */
#include "qps_thumb2.h"

#if QPS_BLOCKS && !QPS_HELIUM

/* An instruction a line. */
/* clang-format off */

/* Four words of a row. */
#define QPS_ADD_ROW(ADD_WORD)                                                                                          \
    "ldrh r4, [r1], #2\n\t"                                                                                            \
    "add r4, r0, r4, lsl #4\n\t"                                                                                       \
    "ldm r4, {r4-r7}\n\t"                                                                                              \
    ADD_WORD("r4", "r2", "r8")                                                                                         \
    ADD_WORD("r5", "r3", "r9")                                                                                         \
    ADD_WORD("r6", "r10", "r11")                                                                                       \
    ADD_WORD("r7", "r12", "lr")
/* Two words of a row, and one. */
#define QPS_ADD_HALF_ROW(ADD_WORD)                                                                                     \
    "ldrh r4, [r1], #2\n\t"                                                                                            \
    "add r4, r0, r4, lsl #3\n\t"                                                                                       \
    "ldm r4, {r4, r5}\n\t"                                                                                             \
    ADD_WORD("r4", "r2", "r8")                                                                                         \
    ADD_WORD("r5", "r3", "r9")
#define QPS_ADD_WORD_OF_ROW(ADD_WORD)                                                                                  \
    "ldrh r4, [r1], #2\n\t"                                                                                            \
    "mul r4, r4, r10\n\t"                                                                                              \
    "ldr r4, [r0, r4]\n\t"                                                                                             \
    ADD_WORD("r4", "r2", "r8")
/* From r1 to last, which LOAD_LAST brings, four rows at a time; the first round begins where it must for the last
 * one to be whole. */
#define QPS_ADD_ROWS(ADD_ROW, FIRST_WORD, ADD_WORD, LOAD_LAST, last)                                                   \
    ADD_ROW(FIRST_WORD)                                                                                                \
    LOAD_LAST                                                                                                          \
    "subs r4, r1, " last "\n\t"                                                                                        \
    "beq 6f\n\t"                                                                                                       \
    "ubfx r4, r4, #1, #2\n\t"                                                                                          \
    "tbb [pc, r4]\n"                                                                                                   \
    "1:\n\t"                                                                                                           \
    ".byte (2f-1b)/2, (3f-1b)/2, (4f-1b)/2, (5f-1b)/2\n"                                                               \
    "2:\n\t" ADD_ROW(ADD_WORD)                                                                                         \
    "3:\n\t" ADD_ROW(ADD_WORD)                                                                                         \
    "4:\n\t" ADD_ROW(ADD_WORD)                                                                                         \
    "5:\n\t" ADD_ROW(ADD_WORD)                                                                                         \
    LOAD_LAST                                                                                                          \
    "cmp r1, " last "\n\t"                                                                                             \
    "bne 2b\n"                                                                                                         \
    "6:\n\t"

/* Blocks of 32 channels. */
QPS_LOOP(qps_blocks_4)
{
    __asm(QPS_ENTER
          QPS_END_OF_CHUNK("r4", "r3", "17", "r5") /* QPS_NIBBLE_ROWS */
          "movs r7, #1\n\t"
          QPS_BEGIN_BLOCKS
          QPS_ADD_ROWS(QPS_ADD_ROW, QPS_FIRST_NIBBLES, QPS_ADD_NIBBLES, "ldr r4, " QPS_AT_LAST "\n\t", "r4")
          QPS_SPREAD_CHUNK
          QPS_NEXT_BLOCK
          QPS_NEXT_CHUNK("17", "", ""));
}

QPS_LOOP(qps_halves_4)
{
    __asm(QPS_ENTER_ALONE
          QPS_BEGIN_ALONE("17", "r6") /* QPS_NIBBLE_ROWS */
          QPS_ADD_ROWS(QPS_ADD_HALF_ROW, QPS_FIRST_NIBBLES, QPS_ADD_NIBBLES, "", "r12")
          QPS_SPREAD_CHUNK_OF_TWO("r6")
          "mov r1, r12\n\t"
          QPS_NEXT_ALONE("r6"));
}

/* Bytes of one word to a pair of sums each at r1, which moves on. */
#define QPS_SPREAD_ONE(PART, word)                                                                                     \
    PART("r4", word)                                                                                                   \
    "str r4, [r1], #4\n\t"
#define QPS_ADD_SPREAD_ONE(PART, word)                                                                                 \
    "ldr r4, [r1]\n\t"                                                                                                 \
    QPS_SPREAD_ONE(PART, word)
#define QPS_BYTES_OF_ONE(SPREAD, EVEN, ODD)                                                                            \
    SPREAD(EVEN, "r2")                                                                                                 \
    SPREAD(ODD, "r2")                                                                                                  \
    SPREAD(EVEN, "r8")                                                                                                 \
    SPREAD(ODD, "r8")
QPS_LOOP(qps_words_4)
{
    __asm(QPS_ENTER_ALONE
          QPS_BEGIN_ALONE("17", "r6") /* QPS_NIBBLE_ROWS */
          QPS_ADD_ROWS(QPS_ADD_WORD_OF_ROW, QPS_FIRST_NIBBLES, QPS_ADD_NIBBLES, "", "r12")
          QPS_LOWER_NIBBLES("r2", "r8")
          QPS_SPREAD_ALONE("r6", QPS_BYTES_OF_ONE(QPS_SPREAD_ONE, QPS_EVEN, QPS_ODD),
                           QPS_BYTES_OF_ONE(QPS_ADD_SPREAD_ONE, QPS_ADD_EVEN, QPS_ADD_ODD))
          "mov r1, r12\n\t"
          QPS_NEXT_ALONE("r6"));
}

/* Of 16 channels, two of them a group; 16 bits are enough for any number of rows. In FIRST is what comes behind a
 * block's sums. */
QPS_LOOP(qps_blocks_8)
{
    __asm(QPS_ENTER
          "movs r7, #0\n\t"
          QPS_BEGIN_BLOCKS
          QPS_ADD_ROWS(QPS_ADD_ROW, QPS_FIRST_BYTES, QPS_ADD_BYTES, "ldr r4, " QPS_AT_END "\n\t", "r4")
          QPS_LOWER_BYTES("r2", "r8")
          QPS_LOWER_BYTES("r3", "r9")
          QPS_LOWER_BYTES("r10", "r11")
          QPS_LOWER_BYTES("r12", "lr")
          "ldrd r1, r4, " QPS_AT_SUMS "\n\t"
          "stm r1!, {r2, r3, r10, r12}\n\t"
          "stm r1!, {r8, r9, r11, lr}\n\t"
          "add r1, r4\n\t"
          "eor r4, r4, #192\n\t" /* of QPS_GROUP_SUMS, a pixel's QPS_PAIRS left out */
          "str r4, " QPS_AT_FIRST "\n\t"
          QPS_NEXT_BLOCK
          QPS_LEAVE_BLOCKS);
}

QPS_LOOP(qps_halves_8)
{
    __asm(QPS_ENTER_ALONE
          QPS_ADD_ROWS(QPS_ADD_HALF_ROW, QPS_FIRST_BYTES, QPS_ADD_BYTES, "", "r11")
          QPS_LOWER_BYTES("r2", "r8")
          QPS_LOWER_BYTES("r3", "r9")
          "stm lr, {r2, r3, r8, r9}\n\t"
          QPS_LEAVE_ALONE);
}

/* clang-format on */
#endif
