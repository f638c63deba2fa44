/* Thumb-2: blocks, words and halves of words of 2-bit codes, five rows of which fill lanes of 4 bits. */
#include "qps_thumb2.h"

#include "qps_thumb.h"

#if QPS_BLOCKS && !QPS_HELIUM

/* An instruction a line. */
/* clang-format off */

/* Rows of two words: all codes, and the odd ones. */
#define QPS_LOAD_CRUMBS(word0, word1)                                                                                  \
    "ldrh r4, [r1], #2\n\t"                                                                                            \
    "add r4, r0, r4, lsl #3\n\t"                                                                                       \
    "ldm r4, {" word0 ", " word1 "}\n\t"
#define QPS_FIRST_CRUMBS(all0, odd0, all1, odd1)                                                                       \
    QPS_LOAD_CRUMBS(all0, all1)                                                                                        \
    "and " odd0 ", " all0 ", #0xCCCCCCCC\n\t"                                                                          \
    "and " odd1 ", " all1 ", #0xCCCCCCCC\n\t"                                                                          \
    "lsr " odd0 ", " odd0 ", #2\n\t"                                                                                   \
    "lsr " odd1 ", " odd1 ", #2\n\t"
#define QPS_NEXT_CRUMBS(all0, odd0, all1, odd1)                                                                        \
    QPS_LOAD_CRUMBS("r4", "r5")                                                                                        \
    "add " all0 ", r4\n\t"                                                                                             \
    "add " all1 ", r5\n\t"                                                                                             \
    "and r4, r4, #0xCCCCCCCC\n\t"                                                                                      \
    "and r5, r5, #0xCCCCCCCC\n\t"                                                                                      \
    "add " odd0 ", " odd0 ", r4, lsr #2\n\t"                                                                           \
    "add " odd1 ", " odd1 ", r5, lsr #2\n\t"
#define QPS_LOWER_CRUMBS(all, odd) "sub " all ", " all ", " odd ", lsl #2\n\t"
/* Rows of a word, or of half a one. */
#define QPS_LOAD_CRUMB(LOAD, shift, word)                                                                              \
    "ldrh r4, [r1], #2\n\t"                                                                                            \
    LOAD " " word ", [r0, r4, lsl #" shift "]\n\t"
#define QPS_FIRST_CRUMB(LOAD, shift, all, odd)                                                                         \
    QPS_LOAD_CRUMB(LOAD, shift, all)                                                                                   \
    "and " odd ", " all ", #0xCCCCCCCC\n\t"                                                                            \
    "lsr " odd ", " odd ", #2\n\t"
#define QPS_NEXT_CRUMB(LOAD, shift, all, odd)                                                                          \
    QPS_LOAD_CRUMB(LOAD, shift, "r4")                                                                                  \
    "add " all ", r4\n\t"                                                                                              \
    "and r4, r4, #0xCCCCCCCC\n\t"                                                                                      \
    "add " odd ", " odd ", r4, lsr #2\n\t"

/* A list of QPS_CRUMB_ROWS rows or less needs no lanes of 8 bits: rows are added up from r1 to r11, and sums picked
 * from lanes of 4 bits. Longer ones go on at 9. */
#define QPS_IF_SHORT(events, end)                                                                                      \
    "subs r4, " end ", " events "\n\t"                                                                                 \
    "cmp r4, #10\n\t"                                                                                                  \
    "bhi 9f\n\t"
#define QPS_ADD_SHORT(FIRST_ROW, NEXT_ROW)                                                                             \
    FIRST_ROW                                                                                                          \
    "b 2f\n"                                                                                                           \
    "1:\n\t"                                                                                                           \
    NEXT_ROW                                                                                                           \
    "2:\n\t"                                                                                                           \
    "cmp r1, r11\n\t"                                                                                                  \
    "bne 1b\n\t"                                                                                                       \
    "mov r0, #0x000F000F\n\t"
#define QPS_PICK(sum, word, shift) "and " sum ", r0, " word ", lsr #" shift "\n\t"
#define QPS_PICK_FOUR(shift)                                                                                           \
    QPS_PICK("r4", "r2", shift)                                                                                        \
    QPS_PICK("r5", "r3", shift)                                                                                        \
    QPS_PICK("r6", "r8", shift)                                                                                        \
    QPS_PICK("r7", "r9", shift)                                                                                        \
    "stm r1!, {r4-r7}\n\t"
#define QPS_PICK_TWO(shift)                                                                                            \
    QPS_PICK("r4", "r2", shift)                                                                                        \
    QPS_PICK("r5", "r3", shift)                                                                                        \
    "stm lr!, {r4, r5}\n\t"

/* Longer lists, five rows at a time: into their middle for the r4 that are left, and on at 1 while there are five,
 * at 0 for what is left then. last is five rows early. */
#define QPS_INTO_FIVE                                                                                                  \
    "tbb [pc, r4]\n"                                                                                                   \
    "1:\n\t"                                                                                                           \
    ".byte 0, (5f-1b)/2, (4f-1b)/2, (3f-1b)/2, (2f-1b)/2, 0\n"
#define QPS_NEXT_FIVE(LOAD_LAST, last)                                                                                 \
    "6:\n\t"                                                                                                           \
    LOAD_LAST                                                                                                          \
    "subs r4, " last ", r1\n\t"                                                                                        \
    "bhs 1b\n\t"                                                                                                       \
    "adds r4, #10\n\t"                                                                                                 \
    "lsrs r4, #1\n\t"                                                                                                  \
    "bne 0b\n\t"

/* Of 32 channels: all codes in r6 and r12, the odd ones in r7 and lr. Where these go there is no register for two of
 * the eight sums, which are in the frame. */
#define QPS_KEEP_CRUMBS                                                                                                \
    QPS_LOWER_CRUMBS("r6", "r7")                                                                                       \
    QPS_LOWER_CRUMBS("r12", "lr")                                                                                      \
    "ldrd r4, r5, " QPS_AT_SPARE "\n\t"                                                                                \
    QPS_ADD_NIBBLES("r6", "r2", "r8")                                                                                  \
    QPS_ADD_NIBBLES("r7", "r3", "r9")                                                                                  \
    QPS_ADD_NIBBLES("r12", "r10", "r11")                                                                               \
    QPS_ADD_NIBBLES("lr", "r4", "r5")                                                                                  \
    "strd r4, r5, " QPS_AT_SPARE "\n\t"

QPS_LOOP(qps_blocks_2)
{
    __asm(QPS_ENTER
          QPS_IF_SHORT("r3", "r5")
          QPS_BEGIN_BLOCKS
          "ldr r11, " QPS_AT_END "\n\t"
          QPS_ADD_SHORT(QPS_FIRST_CRUMBS("r2", "r3", "r8", "r9"), QPS_NEXT_CRUMBS("r2", "r3", "r8", "r9"))
          QPS_LOWER_CRUMBS("r2", "r3")
          QPS_LOWER_CRUMBS("r8", "r9")
          "ldr r1, " QPS_AT_SUMS "\n\t"
          QPS_PICK_FOUR("0")
          QPS_PICK_FOUR("8")
          QPS_PICK_FOUR("4")
          QPS_PICK_FOUR("12")
          "adds r1, #192\n\t" /* of QPS_GROUP_SUMS, a pixel's QPS_PAIRS left out */
          QPS_NEXT_BLOCK
          QPS_LEAVE_BLOCKS
          "9:\n\t"
          QPS_END_OF_CHUNK("r4", "r3", "17 * 5", "r5") /* QPS_NIBBLE_ROWS of QPS_CRUMB_ROWS each */
          "subs r4, #10\n\t"
          "movs r7, #1\n\t"
          QPS_BEGIN_BLOCKS
          QPS_CLEAR_SIX
          "strd r2, r3, " QPS_AT_SPARE "\n\t"
          "b 6f\n"
          "0:\n\t" /* r4: how many rows are left, 1 to 4 */
          "movs r6, #0\n\t"
          "movs r7, #0\n\t"
          "mov r12, r6\n\t"
          "mov lr, r6\n\t"
          QPS_INTO_FIVE
          "1:\n\t" QPS_FIRST_CRUMBS("r6", "r7", "r12", "lr")
          "2:\n\t" QPS_NEXT_CRUMBS("r6", "r7", "r12", "lr")
          "3:\n\t" QPS_NEXT_CRUMBS("r6", "r7", "r12", "lr")
          "4:\n\t" QPS_NEXT_CRUMBS("r6", "r7", "r12", "lr")
          "5:\n\t" QPS_NEXT_CRUMBS("r6", "r7", "r12", "lr")
          QPS_KEEP_CRUMBS
          QPS_NEXT_FIVE("ldr r4, " QPS_AT_LAST "\n\t", "r4")
          "ldrd r12, lr, " QPS_AT_SPARE "\n\t"
          QPS_SPREAD_CHUNK
          QPS_NEXT_BLOCK
          QPS_NEXT_CHUNK("17 * 5", "adds r1, #10\n\t", "subs r3, #10\n\t"));
}

/* One word, or half of one: all codes in r6, the odd ones in r7. */
#define QPS_ADD_CRUMBS_OF_ONE(LOAD, shift, CLEAR, KEEP)                                                                \
    "9:\n\t"                                                                                                           \
    QPS_BEGIN_ALONE("17 * 5", "r5") /* QPS_NIBBLE_ROWS of QPS_CRUMB_ROWS each */                                       \
    "sub r12, r12, #10\n\t"                                                                                            \
    CLEAR                                                                                                              \
    "b 6f\n"                                                                                                           \
    "0:\n\t" /* r4: how many rows are left, 1 to 4 */                                                                  \
    "movs r6, #0\n\t"                                                                                                  \
    "movs r7, #0\n\t"                                                                                                  \
    QPS_INTO_FIVE                                                                                                      \
    "1:\n\t" QPS_FIRST_CRUMB(LOAD, shift, "r6", "r7")                                                                  \
    "2:\n\t" QPS_NEXT_CRUMB(LOAD, shift, "r6", "r7")                                                                   \
    "3:\n\t" QPS_NEXT_CRUMB(LOAD, shift, "r6", "r7")                                                                   \
    "4:\n\t" QPS_NEXT_CRUMB(LOAD, shift, "r6", "r7")                                                                   \
    "5:\n\t" QPS_NEXT_CRUMB(LOAD, shift, "r6", "r7")                                                                   \
    QPS_LOWER_CRUMBS("r6", "r7")                                                                                       \
    KEEP                                                                                                               \
    QPS_NEXT_FIVE("", "r12")

/* 16 channels. */
#define QPS_CLEAR_FOUR                                                                                                 \
    "movs r2, #0\n\t"                                                                                                  \
    "movs r3, #0\n\t"                                                                                                  \
    "mov r8, r2\n\t"                                                                                                   \
    "mov r9, r2\n\t"
#define QPS_KEEP_WORD                                                                                                  \
    QPS_ADD_NIBBLES("r6", "r2", "r8")                                                                                  \
    QPS_ADD_NIBBLES("r7", "r3", "r9")
QPS_LOOP(qps_words_2)
{
    __asm(QPS_ENTER_ALONE
          QPS_IF_SHORT("r1", "r11")
          QPS_ADD_SHORT(QPS_FIRST_CRUMB("ldr", "2", "r2", "r3"), QPS_NEXT_CRUMB("ldr", "2", "r2", "r3"))
          QPS_LOWER_CRUMBS("r2", "r3")
          QPS_PICK_TWO("0")
          QPS_PICK_TWO("8")
          QPS_PICK_TWO("4")
          QPS_PICK_TWO("12")
          QPS_LEAVE_ALONE
          QPS_ADD_CRUMBS_OF_ONE("ldr", "2", QPS_CLEAR_FOUR, QPS_KEEP_WORD)
          QPS_SPREAD_CHUNK_OF_TWO("r5")
          "add r1, r12, #10\n\t"
          QPS_NEXT_ALONE("r5"));
}

/* 8 channels: even codes become the lower half of a word and odd ones the upper, which is the order of their sums. */
#define QPS_JOIN_HALVES(even, odd) "orr " even ", " even ", " odd ", lsl #16\n\t"
#define QPS_CLEAR_TWO                                                                                                  \
    "movs r2, #0\n\t"                                                                                                  \
    "mov r8, r2\n\t"
#define QPS_KEEP_HALF                                                                                                  \
    QPS_JOIN_HALVES("r6", "r7")                                                                                        \
    QPS_ADD_NIBBLES("r6", "r2", "r8")
#define QPS_BYTES_OF_HALF(SPREAD, EVEN, ODD)                                                                           \
    SPREAD(EVEN, "r2", "r8")                                                                                           \
    SPREAD(ODD, "r2", "r8")
QPS_LOOP(qps_half_words_2)
{
    __asm(QPS_ENTER_ALONE
          QPS_IF_SHORT("r1", "r11")
          QPS_ADD_SHORT(QPS_FIRST_CRUMB("ldrh", "1", "r2", "r3"), QPS_NEXT_CRUMB("ldrh", "1", "r2", "r3"))
          QPS_LOWER_CRUMBS("r2", "r3")
          QPS_JOIN_HALVES("r2", "r3")
          QPS_PICK("r4", "r2", "0")
          QPS_PICK("r5", "r2", "4")
          QPS_PICK("r6", "r2", "8")
          QPS_PICK("r7", "r2", "12")
          "stm lr, {r4-r7}\n\t"
          QPS_LEAVE_ALONE
          QPS_ADD_CRUMBS_OF_ONE("ldrh", "1", QPS_CLEAR_TWO, QPS_KEEP_HALF)
          QPS_LOWER_NIBBLES("r2", "r8")
          QPS_SPREAD_ALONE("r5", QPS_BYTES_OF_HALF(QPS_SPREAD_TWO, QPS_EVEN, QPS_ODD),
                           QPS_BYTES_OF_HALF(QPS_ADD_SPREAD_TWO, QPS_ADD_EVEN, QPS_ADD_ODD))
          "add r1, r12, #10\n\t"
          QPS_NEXT_ALONE("r5"));
}

/* clang-format on */
#endif
