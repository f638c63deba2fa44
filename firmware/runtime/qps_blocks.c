/* Thumb-2: 13 registers and the link register, all of them taken, which is why this is not left to a compiler.
 *
 * Sums are in r2, r3 and r8 to lr; r0 and r1 hold codes and events, r4 to r7 what is read of a row. A chunk of rows is what lanes have
 * room for. */
#include "qps_blocks.h"

#include "qps_thumb.h"

#if QPS_BLOCKS && !QPS_HELIUM

/* An instruction a line. */
/* clang-format off */

/* All of it in assembly: blocks in r0. */
#define QPS_LOOP(name) __attribute__((naked)) void name(const qps_blocks_t *blocks __attribute__((unused)))

/* The frame: blocks, CODES and SUMS being those of one of them, COUNT the blocks that are left; and between, LAST: where the chunk ends;
 * FIRST: 0 from a block's second chunk on. */
#define CODES "[sp]" /* and EVENTS */
#define LAST "[sp, #8]"
#define END "[sp, #12]"
#define SUMS "[sp, #16]"
#define FIRST "[sp, #20]"
#define SIZE "[sp, #24]" /* and COUNT */
#define SPARE "[sp, #32]" /* two words */
#define QPS_ENTER                                                                                                      \
    "push {r4-r11, lr}\n\t"                                                                                            \
    "ldrd r2, r3, [r0]\n\t"                                                                                            \
    "ldrd r5, r6, [r0, #8]\n\t"                                                                                        \
    "ldrd r8, r9, [r0, #16]\n\t"                                                                                       \
    "movs r7, #0\n\t"                                                                                                  \
    "push {r2-r11}\n"                                                                                                  \
    "7:\n\t"                                                                                                           \
    "ldrd r0, r1, " CODES "\n\t"
/* On to the next block, or back. */
#define QPS_LEAVE                                                                                                      \
    "ldrd r4, r5, " SIZE "\n\t"                                                                                        \
    "ldr r0, " CODES "\n\t"                                                                                            \
    "add r0, r4\n\t"                                                                                                   \
    "str r0, " CODES "\n\t"                                                                                            \
    "subs r5, #1\n\t"                                                                                                  \
    "str r5, [sp, #28]\n\t"                                                                                            \
    "bne 7b\n\t"                                                                                                       \
    "add sp, #40\n\t"                                                                                                  \
    "pop {r4-r11, pc}\n"
/* r5: the end of the next chunk, so many events at most. */
#define QPS_BEGIN_CHUNK(events)                                                                                        \
    "str r1, " FIRST "\n"                                                                                              \
    "8:\n\t"                                                                                                           \
    "ldr r4, " END "\n\t"                                                                                              \
    "add r5, r1, #2 * " events "\n\t"                                                                                  \
    "cmp r5, r4\n\t"                                                                                                   \
    "it hi\n\t"                                                                                                        \
    "movhi r5, r4\n\t"
/* r1: the chunk's end, r4: that of all. */
#define QPS_END_CHUNKS                                                                                                 \
    "cmp r1, r4\n\t"                                                                                                   \
    "bne 9f\n\t"                                                                                                       \
    "ldr r1, " SUMS "\n\t"                                                                                             \
    "add r1, #256\n\t" /* of QPS_GROUP_SUMS */                                                                         \
    "str r1, " SUMS "\n\t"                                                                                             \
    QPS_LEAVE                                                                                                          \
    "9:\n\t"                                                                                                           \
    "movs r4, #0\n\t"                                                                                                  \
    "str r4, " FIRST "\n\t"                                                                                            \
    "ldr r0, " CODES "\n\t"                                                                                            \
    "b 8b"

/* Four words of a row. */
#define QPS_ADD_ROW(ADD_WORD)                                                                                          \
    "ldrh r4, [r1], #2\n\t"                                                                                            \
    "add r4, r0, r4, lsl #4\n\t"                                                                                       \
    "ldm r4, {r4-r7}\n\t"                                                                                              \
    ADD_WORD("r4", "r2", "r8")                                                                                         \
    ADD_WORD("r5", "r3", "r9")                                                                                         \
    ADD_WORD("r6", "r10", "r11")                                                                                       \
    ADD_WORD("r7", "r12", "lr")
/* Two words of a row, and one; r10: bytes from there to the next row. */
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
/* From r1 to last, four rows at a time; the first round begins where it must for the last one to be whole. */
#define QPS_ADD_ROWS(ADD_ROW, FIRST_WORD, ADD_WORD, last)                                                                       \
    ADD_ROW(FIRST_WORD)                                                                                            \
    "ldr r4, " last "\n\t"                                                                                             \
    "subs r4, r1, r4\n\t"                                                                                              \
    "beq 6f\n\t"                                                                                                       \
    "ubfx r4, r4, #1, #2\n\t"                                                                                          \
    "tbb [pc, r4]\n"                                                                                                   \
    "1:\n\t"                                                                                                           \
    ".byte (2f-1b)/2, (3f-1b)/2, (4f-1b)/2, (5f-1b)/2\n"                                                               \
    "2:\n\t" ADD_ROW(ADD_WORD)                                                                                     \
    "3:\n\t" ADD_ROW(ADD_WORD)                                                                                     \
    "4:\n\t" ADD_ROW(ADD_WORD)                                                                                     \
    "5:\n\t" ADD_ROW(ADD_WORD)                                                                                     \
    "ldr r4, " last "\n\t"                                                                                             \
    "cmp r1, r4\n\t"                                                                                                   \
    "bne 2b\n"                                                                                                         \
    "6:\n\t"

/* all = word, odd = its odd lanes; all += word; odd += its odd lanes */
#define QPS_FIRST_NIBBLES(word, all, odd)                                                                              \
    "mov " all ", " word "\n\t"                                                                                        \
    "and " odd ", " word ", #0xF0F0F0F0\n\t"                                                                           \
    "lsr " odd ", " odd ", #4\n\t"
#define QPS_ADD_NIBBLES(word, all, odd)                                                                                \
    "add " all ", " word "\n\t"                                                                                        \
    "and " word ", " word ", #0xF0F0F0F0\n\t"                                                                          \
    "add " odd ", " odd ", " word ", lsr #4\n\t"
/* What differs with the DSP extension. sum = or += the even or odd bytes of a word; r0 holds a mask, or is free where they are added. */
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

#define QPS_LOWER_NIBBLES(all, odd) "sub " all ", " all ", " odd ", lsl #4\n\t"

/* Bytes of four words to four pairs of sums at r1, which moves on. */
#define QPS_SPREAD(PART, word0, word1, word2, word3)                                                                   \
    PART("r4", word0)                                                                                                  \
    PART("r5", word1)                                                                                                  \
    PART("r6", word2)                                                                                                  \
    PART("r7", word3)                                                                                                  \
    "stm r1!, {r4-r7}\n\t"
#define QPS_ADD_SPREAD(PART, word0, word1, word2, word3)                                                               \
    "ldm r1, {r4-r7}\n\t"                                                                                              \
    QPS_SPREAD(PART, word0, word1, word2, word3)
/* A chunk's 4-bit lanes to 16 pairs. */
#define QPS_SPREAD_CHUNK                                                                                               \
    QPS_LOWER_NIBBLES("r2", "r8")                                                                                      \
    QPS_LOWER_NIBBLES("r3", "r9")                                                                                      \
    QPS_LOWER_NIBBLES("r10", "r11")                                                                                    \
    QPS_LOWER_NIBBLES("r12", "lr")                                                                                     \
    "ldrd r1, r4, " SUMS "\n\t" /* and FIRST */                                                                        \
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
    "ldrd r1, r4, " LAST "\n\t" /* and END */

/* Blocks of 32 channels. */
QPS_LOOP(qps_blocks_4)
{
    __asm(QPS_ENTER
          QPS_BEGIN_CHUNK("17") /* QPS_NIBBLE_ROWS */
          "str r5, " LAST "\n\t"
          QPS_ADD_ROWS(QPS_ADD_ROW, QPS_FIRST_NIBBLES, QPS_ADD_NIBBLES, LAST)
          QPS_SPREAD_CHUNK
          QPS_END_CHUNKS);
}

/* Bytes of two words, or of one, to a pair of sums each at r1, which moves on. */
#define QPS_SPREAD_TWO(PART, word0, word1)                                                                             \
    PART("r4", word0)                                                                                                  \
    PART("r5", word1)                                                                                                  \
    "stm r1!, {r4, r5}\n\t"
#define QPS_ADD_SPREAD_TWO(PART, word0, word1)                                                                         \
    "ldm r1, {r4, r5}\n\t"                                                                                             \
    QPS_SPREAD_TWO(PART, word0, word1)
#define QPS_SPREAD_ONE(PART, word)                                                                                     \
    PART("r4", word)                                                                                                   \
    "str r4, [r1], #4\n\t"
#define QPS_ADD_SPREAD_ONE(PART, word)                                                                                 \
    "ldr r4, [r1]\n\t"                                                                                                 \
    QPS_SPREAD_ONE(PART, word)
/* A chunk's 4-bit lanes of two words. */
#define QPS_SPREAD_CHUNK_OF_TWO                                                                                        \
    QPS_LOWER_NIBBLES("r2", "r8")                                                                                      \
    QPS_LOWER_NIBBLES("r3", "r9")                                                                                      \
    "ldrd r1, r4, " SUMS "\n\t" /* and FIRST */                                                                        \
    "cbz r4, 5f\n\t"                                                                                                   \
    QPS_LOAD_MASK                                                                                                      \
    QPS_SPREAD_TWO(QPS_EVEN, "r2", "r3")                                                                               \
    QPS_SPREAD_TWO(QPS_ODD, "r2", "r3")                                                                                \
    QPS_SPREAD_TWO(QPS_EVEN, "r8", "r9")                                                                               \
    QPS_SPREAD_TWO(QPS_ODD, "r8", "r9")                                                                                \
    "b 6f\n"                                                                                                           \
    "5:\n\t"                                                                                                           \
    QPS_ADD_SPREAD_TWO(QPS_ADD_EVEN, "r2", "r3")                                                                       \
    QPS_ADD_SPREAD_TWO(QPS_ADD_ODD, "r2", "r3")                                                                        \
    QPS_ADD_SPREAD_TWO(QPS_ADD_EVEN, "r8", "r9")                                                                       \
    QPS_ADD_SPREAD_TWO(QPS_ADD_ODD, "r8", "r9")                                                                        \
    "6:\n\t"

QPS_LOOP(qps_halves_4)
{
    __asm(QPS_ENTER
          QPS_BEGIN_CHUNK("17") /* QPS_NIBBLE_ROWS */
          "str r5, " LAST "\n\t"
          QPS_ADD_ROWS(QPS_ADD_HALF_ROW, QPS_FIRST_NIBBLES, QPS_ADD_NIBBLES, LAST)
          QPS_SPREAD_CHUNK_OF_TWO
          "ldrd r1, r4, " LAST "\n\t" /* and END */
          QPS_END_CHUNKS);
}

QPS_LOOP(qps_words_4)
{
    __asm(QPS_ENTER
          "mov r10, r8\n\t"
          QPS_BEGIN_CHUNK("17") /* QPS_NIBBLE_ROWS */
          "str r5, " LAST "\n\t"
          QPS_ADD_ROWS(QPS_ADD_WORD_OF_ROW, QPS_FIRST_NIBBLES, QPS_ADD_NIBBLES, LAST)
          QPS_LOWER_NIBBLES("r2", "r8")
          "ldrd r1, r4, " SUMS "\n\t" /* and FIRST */
          "cbz r4, 5f\n\t"
          QPS_LOAD_MASK
          QPS_SPREAD_ONE(QPS_EVEN, "r2")
          QPS_SPREAD_ONE(QPS_ODD, "r2")
          QPS_SPREAD_ONE(QPS_EVEN, "r8")
          QPS_SPREAD_ONE(QPS_ODD, "r8")
          "b 6f\n"
          "5:\n\t"
          QPS_ADD_SPREAD_ONE(QPS_ADD_EVEN, "r2")
          QPS_ADD_SPREAD_ONE(QPS_ADD_ODD, "r2")
          QPS_ADD_SPREAD_ONE(QPS_ADD_EVEN, "r8")
          QPS_ADD_SPREAD_ONE(QPS_ADD_ODD, "r8")
          "6:\n\t"
          "ldrd r1, r4, " LAST "\n\t" /* and END */
          QPS_END_CHUNKS);
}

/* Of 16 channels, two of them a group; 16 bits are enough for any number of rows. In FIRST is what comes behind a block's sums. */
QPS_LOOP(qps_blocks_8)
{
    __asm(QPS_ENTER
          QPS_ADD_ROWS(QPS_ADD_ROW, QPS_FIRST_BYTES, QPS_ADD_BYTES, END)
          QPS_LOWER_BYTES("r2", "r8")
          QPS_LOWER_BYTES("r3", "r9")
          QPS_LOWER_BYTES("r10", "r11")
          QPS_LOWER_BYTES("r12", "lr")
          "ldrd r1, r4, " SUMS "\n\t"
          "stm r1!, {r2, r3, r10, r12}\n\t"
          "stm r1!, {r8, r9, r11, lr}\n\t"
          "add r1, r4\n\t"
          "eor r4, r4, #192\n\t" /* of QPS_GROUP_SUMS, a pixel's QPS_PAIRS left out */
          "strd r1, r4, " SUMS "\n\t"
          QPS_LEAVE);
}

QPS_LOOP(qps_halves_8)
{
    __asm(QPS_ENTER
          QPS_ADD_ROWS(QPS_ADD_HALF_ROW, QPS_FIRST_BYTES, QPS_ADD_BYTES, END)
          QPS_LOWER_BYTES("r2", "r8")
          QPS_LOWER_BYTES("r3", "r9")
          "ldr r1, " SUMS "\n\t"
          "stm r1!, {r2, r3, r8, r9}\n\t"
          QPS_LEAVE);
}

/* 2-bit codes: QPS_CRUMB_ROWS rows of two words are added up to words of 4-bit lanes, all codes in r6 and r12, the odd ones in r7 and
 * lr. Where these go there is no register for two of the eight sums, which are SPARE. */
#define QPS_LOAD_CRUMBS(word0, word1)                                                                                  \
    "ldrh r4, [r1], #2\n\t"                                                                                            \
    "add r4, r0, r4, lsl #3\n\t"                                                                                       \
    "ldm r4, {" word0 ", " word1 "}\n\t"
#define QPS_FIRST_CRUMBS                                                                                               \
    QPS_LOAD_CRUMBS("r6", "r12")                                                                                       \
    "and r7, r6, #0xCCCCCCCC\n\t"                                                                                      \
    "and lr, r12, #0xCCCCCCCC\n\t"                                                                                     \
    "lsrs r7, r7, #2\n\t"                                                                                              \
    "lsr lr, lr, #2\n\t"
#define QPS_NEXT_CRUMBS                                                                                                \
    QPS_LOAD_CRUMBS("r4", "r5")                                                                                        \
    "add r6, r4\n\t"                                                                                                   \
    "add r12, r5\n\t"                                                                                                  \
    "and r4, r4, #0xCCCCCCCC\n\t"                                                                                      \
    "and r5, r5, #0xCCCCCCCC\n\t"                                                                                      \
    "add r7, r7, r4, lsr #2\n\t"                                                                                       \
    "add lr, lr, r5, lsr #2\n\t"
#define QPS_KEEP_CRUMBS                                                                                                \
    "sub r6, r6, r7, lsl #2\n\t"                                                                                       \
    "sub r12, r12, lr, lsl #2\n\t"                                                                                     \
    "ldrd r4, r5, " SPARE "\n\t"                                                                                       \
    QPS_ADD_NIBBLES("r6", "r2", "r8")                                                                                  \
    QPS_ADD_NIBBLES("r7", "r3", "r9")                                                                                  \
    QPS_ADD_NIBBLES("r12", "r10", "r11")                                                                               \
    QPS_ADD_NIBBLES("lr", "r4", "r5")                                                                                  \
    "strd r4, r5, " SPARE "\n\t"

/* Five rows at a time: into their middle for the r4 that are left, and on at 1 while there are five, at 0 for what is left then. */
#define QPS_INTO_FIVE                                                                                                  \
    "tbb [pc, r4]\n"                                                                                                   \
    "1:\n\t"                                                                                                           \
    ".byte 0, (5f-1b)/2, (4f-1b)/2, (3f-1b)/2, (2f-1b)/2, 0\n"
#define QPS_NEXT_FIVE                                                                                                  \
    "6:\n\t"                                                                                                           \
    "ldr r4, " LAST "\n\t"                                                                                             \
    "subs r4, r1\n\t"                                                                                                  \
    "bhs 1b\n\t"                                                                                                       \
    "adds r4, #10\n\t"                                                                                                 \
    "lsrs r4, #1\n\t"                                                                                                  \
    "bne 0b\n\t"

/* Of 32 channels. LAST is five rows early. */
QPS_LOOP(qps_blocks_2)
{
    __asm(QPS_ENTER
          QPS_BEGIN_CHUNK("17 * 5") /* QPS_NIBBLE_ROWS of QPS_CRUMB_ROWS each */
          "subs r5, #10\n\t"
          "str r5, " LAST "\n\t"
          QPS_CLEAR_SIX
          "strd r2, r3, " SPARE "\n\t"
          "b 6f\n"
          "0:\n\t" /* r4: how many rows are left, 1 to 4 */
          "movs r6, #0\n\t"
          "movs r7, #0\n\t"
          "mov r12, r6\n\t"
          "mov lr, r6\n\t"
          QPS_INTO_FIVE
          "1:\n\t" QPS_FIRST_CRUMBS
          "2:\n\t" QPS_NEXT_CRUMBS
          "3:\n\t" QPS_NEXT_CRUMBS
          "4:\n\t" QPS_NEXT_CRUMBS
          "5:\n\t" QPS_NEXT_CRUMBS
          QPS_KEEP_CRUMBS
          QPS_NEXT_FIVE
          "ldrd r12, lr, " SPARE "\n\t"
          QPS_SPREAD_CHUNK
          "adds r1, #10\n\t"
          QPS_END_CHUNKS);
}

/* One word: all codes in r6, the odd ones in r7; nothing is spared. */
#define QPS_LOAD_CRUMB(word)                                                                                           \
    "ldrh r4, [r1], #2\n\t"                                                                                            \
    "mul r4, r4, r10\n\t"                                                                                              \
    "ldr " word ", [r0, r4]\n\t"
#define QPS_NEXT_CRUMB                                                                                                 \
    QPS_LOAD_CRUMB("r4")                                                                                               \
    "add r6, r4\n\t"                                                                                                   \
    "and r4, r4, #0xCCCCCCCC\n\t"                                                                                      \
    "add r7, r7, r4, lsr #2\n\t"

/* 16 channels. LAST is five rows early. */
QPS_LOOP(qps_words_2)
{
    __asm(QPS_ENTER
          "mov r10, r8\n\t"
          QPS_BEGIN_CHUNK("17 * 5") /* QPS_NIBBLE_ROWS of QPS_CRUMB_ROWS each */
          "subs r5, #10\n\t"
          "str r5, " LAST "\n\t"
          "movs r2, #0\n\t"
          "movs r3, #0\n\t"
          "mov r8, r2\n\t"
          "mov r9, r2\n\t"
          "b 6f\n"
          "0:\n\t" /* r4: how many rows are left, 1 to 4 */
          "movs r6, #0\n\t"
          "movs r7, #0\n\t"
          QPS_INTO_FIVE
          "1:\n\t"
          QPS_LOAD_CRUMB("r6")
          "and r7, r6, #0xCCCCCCCC\n\t"
          "lsrs r7, r7, #2\n"
          "2:\n\t" QPS_NEXT_CRUMB
          "3:\n\t" QPS_NEXT_CRUMB
          "4:\n\t" QPS_NEXT_CRUMB
          "5:\n\t" QPS_NEXT_CRUMB
          "sub r6, r6, r7, lsl #2\n\t"
          QPS_ADD_NIBBLES("r6", "r2", "r8")
          QPS_ADD_NIBBLES("r7", "r3", "r9")
          QPS_NEXT_FIVE
          QPS_SPREAD_CHUNK_OF_TWO
          "ldrd r1, r4, " LAST "\n\t" /* and END */
          "adds r1, #10\n\t"
          QPS_END_CHUNKS);
}

/* clang-format on */
#endif
