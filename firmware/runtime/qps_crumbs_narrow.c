/* Thumb: blocks, words and halves of words of 2-bit codes, five rows of which fill lanes of 4 bits. */
#include "qps_narrow.h"

#if QPS_NARROW_BLOCKS

/* An instruction a line. */
/* clang-format off */

/* Of QPS_CRUMB_ROWS rows of two words, r6 and r7 have all lanes and the odd ones of the first word, r8 and r9 those of
 * the second. r3: a row, r4 and r5: masks of odd lanes. Of the 4-bit lanes, four sums are in the frame and four in r10
 * to r12 and lr, where they belong in the end. */
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
/* Lanes to a sum: in the frame, or in a high register. */
#define QPS_INTO_FRAME(lanes, place)                                                                                   \
    "ldr r2, " place "\n\t"                                                                                            \
    "adds r2, " lanes "\n\t"                                                                                           \
    "str r2, " place "\n\t"
#define QPS_INTO_HIGH(lanes, sum) "add " sum ", " lanes "\n\t"
#define QPS_KEEP_NIBBLES(lanes, INTO_ALL, all, INTO_ODD, odd)                                                          \
    INTO_ALL(lanes, all)                                                                                               \
    "ands " lanes ", r5\n\t"                                                                                           \
    "lsrs " lanes ", " lanes ", #4\n\t"                                                                                \
    INTO_ODD(lanes, odd)
/* r6: even codes, r7: odd ones. */
#define QPS_PART_CRUMBS                                                                                                \
    "lsls r2, r7, #2\n\t"                                                                                              \
    "subs r6, r2\n\t"
#define QPS_CLEAR_CRUMBS                                                                                               \
    "movs r6, #0\n\t"                                                                                                  \
    "movs r7, #0\n\t"                                                                                                  \
    "mov r8, r6\n\t"                                                                                                   \
    "mov r9, r6\n\t"
#define QPS_LOAD_NIBBLES(sum, place)                                                                                   \
    "ldr r2, " place "\n\t"                                                                                            \
    "mov " sum ", r2\n\t"

/* A list of QPS_CRUMB_ROWS rows or less needs no lanes of 8 bits: sums are picked from lanes of 4 bits. Longer ones
 * go on at 8. */
#define QPS_IF_SHORT                                                                                                   \
    "subs r4, r3, r2\n\t"                                                                                              \
    "cmp r4, #10\n\t"                                                                                                  \
    "bls 1f\n\t"                                                                                                       \
    "b 8f\n"                                                                                                           \
    "1:\n\t"                                                                                                           \
    QPS_BEGIN_BLOCKS
#define QPS_UNTIL_END                                                                                                  \
    "adds r1, #2\n\t"                                                                                                  \
    "ldr r3, " QPS_AT_END "\n\t"                                                                                       \
    "cmp r1, r3\n\t"                                                                                                   \
    "bne 1b\n\t"
#define QPS_BEGIN_PICK                                                                                                 \
    "ldr r0, " QPS_AT_SUMS "\n\t"                                                                                      \
    "ldr r1, =0x000F000F\n\t"
/* Lanes of words to pairs of sums at r0, which moves on. */
#define QPS_PICK_TWO(word0, word1, shift)                                                                              \
    "lsrs r4, " word0 ", #" shift "\n\t"                                                                               \
    "lsrs r5, " word1 ", #" shift "\n\t"                                                                               \
    "ands r4, r1\n\t"                                                                                                  \
    "ands r5, r1\n\t"                                                                                                  \
    "stmia r0!, {r4, r5}\n\t"
#define QPS_PICK_FOUR(shift)                                                                                           \
    QPS_PICK_TWO("r6", "r7", shift)                                                                                    \
    QPS_PICK_TWO("r2", "r3", shift)

/* Rounds of five rows, of so many bytes of code each, to 2; or into the middle of one for what is left of the last
 * ones, and then to 4. LAST is five rows early. */
#define QPS_LOAD_MASKS                                                                                                 \
    "ldr r4, =0xCCCCCCCC\n\t"                                                                                          \
    "ldr r5, =0xF0F0F0F0\n\t"
#define QPS_NEXT_ROUND(CLEAR, clear_bytes, half_bytes)                                                                 \
    "3:\n\t"                                                                                                           \
    "ldr r3, " QPS_AT_LAST "\n\t"                                                                                      \
    "cmp r1, r3\n\t"                                                                                                   \
    "bls 2f\n\t"                                                                                                       \
    "subs r3, r1, r3\n\t" /* two for each row that is not there */                                                     \
    "cmp r3, #10\n\t"                                                                                                  \
    "beq 4f\n\t"                                                                                                       \
    "subs r1, r3\n\t"                                                                                                  \
    "movs r2, #" half_bytes "\n\t"                                                                                     \
    "muls r2, r3\n\t"                                                                                                  \
    "adds r2, #" clear_bytes "\n\t"                                                                                    \
    CLEAR                                                                                                              \
    "add pc, r2\n\t"                                                                                                   \
    "nop\n"                                                                                                            \
    "2:\n\t"                                                                                                           \
    CLEAR

/* Of 32 channels. */
QPS_LOOP(qps_blocks_2)
{
    __asm(QPS_ENTER
          QPS_IF_SHORT
          "ldr r4, =0xCCCCCCCC\n\t"
          QPS_CLEAR_CRUMBS
          "1:\n\t"
          QPS_ADD_CRUMBS("0")
          QPS_UNTIL_END
          "mov r3, r9\n\t"
          "lsls r4, r3, #2\n\t"
          "mov r2, r8\n\t"
          "subs r2, r4\n\t"
          "lsls r4, r7, #2\n\t"
          "subs r6, r4\n\t"
          QPS_BEGIN_PICK
          QPS_PICK_FOUR("0")
          QPS_PICK_FOUR("8")
          QPS_PICK_FOUR("4")
          QPS_PICK_FOUR("12")
          "adds r0, #192\n\t" /* of QPS_GROUP_SUMS, a pixel's QPS_PAIRS left out */
          QPS_NEXT_BLOCK
          QPS_LEAVE
          "8:\n\t"
          QPS_BEGIN_CHUNKS("17 * 5", "subs r7, #10\n\t") /* QPS_NIBBLE_ROWS of QPS_CRUMB_ROWS each */
          QPS_LOAD_MASKS
          "movs r2, #0\n\t"
          "str r2, " QPS_AT_ALL("0") "\n\t"
          "str r2, " QPS_AT_ODD("0") "\n\t"
          "str r2, " QPS_AT_ALL("1") "\n\t"
          "str r2, " QPS_AT_ODD("1") "\n\t"
          "mov r10, r2\n\t"
          "mov r11, r2\n\t"
          "mov r12, r2\n\t"
          "mov lr, r2\n"
          QPS_NEXT_ROUND(QPS_CLEAR_CRUMBS, "8", "13")
          QPS_ADD_CRUMBS("0")
          QPS_ADD_CRUMBS("2")
          QPS_ADD_CRUMBS("4")
          QPS_ADD_CRUMBS("6")
          QPS_ADD_CRUMBS("8")
          QPS_PART_CRUMBS
          QPS_KEEP_NIBBLES("r6", QPS_INTO_FRAME, QPS_AT_ALL("0"), QPS_INTO_FRAME, QPS_AT_ODD("0"))
          QPS_KEEP_NIBBLES("r7", QPS_INTO_FRAME, QPS_AT_ALL("1"), QPS_INTO_FRAME, QPS_AT_ODD("1"))
          "mov r6, r8\n\t"
          "mov r7, r9\n\t"
          QPS_PART_CRUMBS
          QPS_KEEP_NIBBLES("r6", QPS_INTO_HIGH, "r10", QPS_INTO_HIGH, "r11")
          QPS_KEEP_NIBBLES("r7", QPS_INTO_HIGH, "r12", QPS_INTO_HIGH, "lr")
          "adds r1, #10\n\t"
          "b 3b\n"
          "4:\n\t"
          QPS_LOAD_NIBBLES("r8", QPS_AT_ALL("1"))
          QPS_LOAD_NIBBLES("r9", QPS_AT_ODD("1"))
          "ldr r2, " QPS_AT_ALL("0") "\n\t"
          "ldr r3, " QPS_AT_ODD("0") "\n\t"
          QPS_SPREAD_CHUNK
          QPS_NEXT_BLOCK
          QPS_NEXT_CHUNK("17 * 5", "adds r1, #10\n\t", "subs r7, #10\n\t"));
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
#define QPS_CLEAR_CRUMB                                                                                                \
    "movs r6, #0\n\t"                                                                                                  \
    "movs r7, #0\n\t"
#define QPS_ADD_SHORT_OF_ONE(LOAD)                                                                                     \
    QPS_IF_SHORT                                                                                                       \
    "ldr r4, =0xCCCCCCCC\n\t"                                                                                          \
    QPS_CLEAR_CRUMB                                                                                                    \
    "1:\n\t"                                                                                                           \
    QPS_ADD_CRUMB(LOAD, "0")                                                                                           \
    QPS_UNTIL_END                                                                                                      \
    QPS_PART_CRUMBS                                                                                                    \
    QPS_BEGIN_PICK
#define QPS_ADD_LONG_OF_ONE(LOAD, KEEP)                                                                                \
    QPS_BEGIN_CHUNKS("17 * 5", "subs r7, #10\n\t") /* QPS_NIBBLE_ROWS of QPS_CRUMB_ROWS each */                        \
    QPS_LOAD_MASKS                                                                                                     \
    "movs r2, #0\n\t"                                                                                                  \
    "mov r8, r2\n\t"                                                                                                   \
    "mov r9, r2\n\t"                                                                                                   \
    "mov r11, r2\n\t"                                                                                                  \
    "mov lr, r2\n"                                                                                                     \
    QPS_NEXT_ROUND(QPS_CLEAR_CRUMB, "4", "7")                                                                          \
    QPS_ADD_CRUMB(LOAD, "0")                                                                                           \
    QPS_ADD_CRUMB(LOAD, "2")                                                                                           \
    QPS_ADD_CRUMB(LOAD, "4")                                                                                           \
    QPS_ADD_CRUMB(LOAD, "6")                                                                                           \
    QPS_ADD_CRUMB(LOAD, "8")                                                                                           \
    QPS_PART_CRUMBS                                                                                                    \
    KEEP                                                                                                               \
    "adds r1, #10\n\t"                                                                                                 \
    "b 3b\n"                                                                                                           \
    "4:\n\t"                                                                                                           \
    "mov r2, r8\n\t"                                                                                                   \
    "mov r3, r9\n\t"

/* 16 channels. */
#define QPS_KEEP_WORD                                                                                                  \
    QPS_KEEP_NIBBLES("r6", QPS_INTO_HIGH, "r8", QPS_INTO_HIGH, "r9")                                                   \
    QPS_KEEP_NIBBLES("r7", QPS_INTO_HIGH, "r11", QPS_INTO_HIGH, "lr")
QPS_LOOP(qps_words_2)
{
    __asm(QPS_ENTER
          QPS_ADD_SHORT_OF_ONE(QPS_LOAD_WORD)
          QPS_PICK_TWO("r6", "r7", "0")
          QPS_PICK_TWO("r6", "r7", "8")
          QPS_PICK_TWO("r6", "r7", "4")
          QPS_PICK_TWO("r6", "r7", "12")
          QPS_LEAVE
          "8:\n\t"
          QPS_ADD_LONG_OF_ONE(QPS_LOAD_WORD, QPS_KEEP_WORD)
          "mov r8, r11\n\t"
          "mov r9, lr\n\t"
          QPS_SPREAD_CHUNK_OF_TWO
          QPS_NEXT_CHUNK("17 * 5", "adds r1, #10\n\t", "subs r7, #10\n\t"));
}

/* 8 channels: even codes become the lower half of a word and odd ones the upper, which is the order of their sums. */
#define QPS_JOIN_HALVES                                                                                                \
    "lsls r7, r7, #16\n\t"                                                                                             \
    "adds r6, r7\n\t"
#define QPS_KEEP_HALF                                                                                                  \
    QPS_JOIN_HALVES                                                                                                    \
    QPS_KEEP_NIBBLES("r6", QPS_INTO_HIGH, "r8", QPS_INTO_HIGH, "r9")
QPS_LOOP(qps_half_words_2)
{
    __asm(QPS_ENTER
          QPS_ADD_SHORT_OF_ONE(QPS_LOAD_HALF_WORD)
          QPS_JOIN_HALVES
          "lsrs r7, r6, #4\n\t"
          QPS_PICK_TWO("r6", "r7", "0")
          QPS_PICK_TWO("r6", "r7", "8")
          QPS_LEAVE
          "8:\n\t"
          QPS_ADD_LONG_OF_ONE(QPS_LOAD_HALF_WORD, QPS_KEEP_HALF)
          "lsls r4, r3, #4\n\t"
          "subs r2, r4\n\t"
          QPS_BEGIN_SPREAD
          QPS_SPREAD_TWO(QPS_WRITE_TWO, "r2", "r3")
          "b 6f\n"
          "5:\n\t"
          QPS_SPREAD_TWO(QPS_ADD_TWO, "r2", "r3")
          "6:\n\t"
          QPS_NEXT_CHUNK("17 * 5", "adds r1, #10\n\t", "subs r7, #10\n\t"));
}

/* clang-format on */
#endif
