/* Thumb: blocks, words and halves of words of 2-bit codes, five rows of which fill lanes of 4 bits. */
#include "qps_narrow.h"

#if QPS_NARROW_BLOCKS

/* An instruction a line. */
/* clang-format off */

/* Of QPS_CRUMB_ROWS rows of two words, r6 and r7 have all lanes and the odd ones of the first word, r8 and r9 those of the second.
 * r3: a row, r4 and r5: masks of odd lanes; in QPS_AT_SPARE: five rows before the chunk's end. Of the 4-bit lanes, four sums are in
 * the frame and four in r10 to r12 and lr, where they belong in the end. */
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

/* Rounds of five rows, of so many bytes of code each, to 2; or into the middle of one for what is left of the last ones, and then to 4. */
#define QPS_BEGIN_ROUNDS                                                                                               \
    "subs r4, #10\n\t"                                                                                                 \
    "str r4, " QPS_AT_SPARE "\n\t"                                                                                     \
    "ldr r4, =0xCCCCCCCC\n\t"                                                                                          \
    "ldr r5, =0xF0F0F0F0\n\t"
#define QPS_NEXT_ROUND(CLEAR, clear_bytes, half_bytes)                                                                 \
    "3:\n\t"                                                                                                           \
    "ldr r3, " QPS_AT_SPARE "\n\t"                                                                                     \
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
          QPS_BEGIN_CHUNK("17 * 5") /* QPS_NIBBLE_ROWS of QPS_CRUMB_ROWS each */
          QPS_BEGIN_ROUNDS
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
#define QPS_CLEAR_CRUMB                                                                                                \
    "movs r6, #0\n\t"                                                                                                  \
    "movs r7, #0\n\t"
#define QPS_ADD_CRUMBS_OF_ONE(LOAD)                                                                                    \
    QPS_ENTER                                                                                                          \
    QPS_BEGIN_CHUNK("17 * 5") /* QPS_NIBBLE_ROWS of QPS_CRUMB_ROWS each */                                             \
    QPS_BEGIN_ROUNDS                                                                                                   \
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
    QPS_KEEP_NIBBLES("r6", QPS_INTO_HIGH, "r8", QPS_INTO_HIGH, "r9")                                                   \
    QPS_KEEP_NIBBLES("r7", QPS_INTO_HIGH, "r11", QPS_INTO_HIGH, "lr")                                                  \
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
