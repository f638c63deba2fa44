/* Thumb-2: 13 registers and the link register, all of them taken, which is why this is not left to a compiler.
 *
 * Four words of a row are in r4 to r7; their sums are in the other registers but r0 and r1, which hold codes and events. Rows
 * are added four at a time, and the first round begins where it must for the last one to be whole. */
#include "qps_blocks.h"

#if QPS_BLOCKS && !QPS_HELIUM

/* All of it in assembly: codes in r0, events in r1, end in r2, sums in r3. */
#define QPS_LOOP(name)                                                                                                 \
    __attribute__((naked)) void name(                                                                                  \
        const uint8_t *codes __attribute__((unused)), const uint16_t *events __attribute__((unused)),                  \
        const uint16_t *end __attribute__((unused)), uint32_t *sums __attribute__((unused)))

/* The frame. */
#define CODES "[sp]"
#define LAST "[sp, #4]"
#define END "[sp, #8]"
#define SUMS "[sp, #12]"
#define FIRST "[sp, #16]"
#define START "[sp, #20]"
#define QPS_ENTER                                                                                                      \
    "push {r4-r11, lr}\n\t"                                                                                            \
    "sub sp, #24\n\t"                                                                                                  \
    "str r0, " CODES "\n\t"                                                                                            \
    "strd r2, r3, " END "\n\t"
#define QPS_LEAVE                                                                                                      \
    "add sp, #24\n\t"                                                                                                  \
    "pop {r4-r11, pc}"

#define QPS_CLEAR                                                                                                      \
    "movs r2, #0\n\t"                                                                                                  \
    "movs r3, #0\n\t"                                                                                                  \
    "mov r8, r2\n\t"                                                                                                   \
    "mov r9, r2\n\t"                                                                                                   \
    "mov r10, r2\n\t"                                                                                                  \
    "mov r11, r2\n\t"                                                                                                  \
    "mov r12, r2\n\t"                                                                                                  \
    "mov lr, r2\n\t"

/* From r1 to the event in r5, which LAST keeps. */
#define QPS_ADD_ROW(ADD_WORD)                                                                                          \
    "ldrh r4, [r1], #2\n\t"                                                                                            \
    "add r4, r0, r4, lsl #4\n\t"                                                                                       \
    "ldm r4, {r4-r7}\n\t" ADD_WORD("r4", "r2", "r8") ADD_WORD("r5", "r3", "r9") ADD_WORD("r6", "r10", "r11")           \
        ADD_WORD("r7", "r12", "lr")
#define QPS_ADD_ROWS(FIRST_WORD, ADD_WORD)                                                                             \
    "str r5, " LAST                                                                                                    \
    "\n\t" QPS_ADD_ROW(FIRST_WORD) "ldr r4, " LAST "\n\t"                                                              \
                                   "subs r4, r1, r4\n\t"                                                               \
                                   "beq 6f\n\t"                                                                        \
                                   "ubfx r4, r4, #1, #2\n\t"                                                           \
                                   "tbb [pc, r4]\n"                                                                    \
                                   "1:\n\t"                                                                            \
                                   ".byte (2f-1b)/2, (3f-1b)/2, (4f-1b)/2, (5f-1b)/2\n"                                \
                                   "2:\n\t" QPS_ADD_ROW(ADD_WORD) "3:\n\t" QPS_ADD_ROW(ADD_WORD) "4:\n\t" QPS_ADD_ROW( \
                                       ADD_WORD) "5:\n\t" QPS_ADD_ROW(ADD_WORD) "ldr r4, " LAST "\n\t"                 \
                                                                                "cmp r1, r4\n\t"                       \
                                                                                "bne 2b\n"                             \
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
/* What differs with the DSP extension. sum + the even or odd bytes of a word; r0 is free. */
#if QPS_DSP
#define QPS_ADD_EVEN(sum, word) "uxtab16 " sum ", " sum ", " word "\n\t"
#define QPS_ADD_ODD(sum, word) "uxtab16 " sum ", " sum ", " word ", ror #8\n\t"
#define QPS_EVEN(sum, word) "uxtb16 " sum ", " word "\n\t"
#define QPS_ODD(sum, word) "uxtb16 " sum ", " word ", ror #8\n\t"
#define QPS_FIRST_BYTES(word, all, odd) QPS_EVEN(all, word) QPS_ODD(odd, word)
#define QPS_ADD_BYTES(word, all, odd) QPS_ADD_EVEN(all, word) QPS_ADD_ODD(odd, word)
#define QPS_LOWER_BYTES(all, odd) ""
#else
#define QPS_ADD_EVEN(sum, word)                                                                                        \
    "bic r0, " word ", #0xFF00FF00\n\t"                                                                                \
    "add " sum ", r0\n\t"
#define QPS_ADD_ODD(sum, word)                                                                                         \
    "and r0, " word ", #0xFF00FF00\n\t"                                                                                \
    "add " sum ", " sum ", r0, lsr #8\n\t"
#define QPS_EVEN(sum, word) "bic " sum ", " word ", #0xFF00FF00\n\t"
#define QPS_ODD(sum, word)                                                                                             \
    "and " sum ", " word ", #0xFF00FF00\n\t"                                                                           \
    "lsr " sum ", " sum ", #8\n\t"
#define QPS_FIRST_BYTES(word, all, odd) "mov " all ", " word "\n\t" QPS_ODD(odd, word)
#define QPS_ADD_BYTES(word, all, odd)                                                                                  \
    "add " all ", " word "\n\t"                                                                                        \
    "and " word ", " word ", #0xFF00FF00\n\t"                                                                          \
    "add " odd ", " odd ", " word ", lsr #8\n\t"
#define QPS_LOWER_BYTES(all, odd) "sub " all ", " all ", " odd ", lsl #8\n\t"
#endif

#define QPS_LOWER_NIBBLES(all, odd) "sub " all ", " all ", " odd ", lsl #4\n\t"

/* Bytes of four words to four pairs of sums at r1, which moves on. */
#define QPS_SPREAD(PART, word0, word1, word2, word3)                                                                   \
    PART("r4", word0) PART("r5", word1) PART("r6", word2) PART("r7", word3) "stm r1!, {r4-r7}\n\t"
#define QPS_ADD_SPREAD(PART, word0, word1, word2, word3)                                                               \
    "ldm r1, {r4-r7}\n\t" QPS_SPREAD(PART, word0, word1, word2, word3)
/* A block of 4-bit lanes to 16 pairs; FIRST says if to add. */
#define QPS_SPREAD_BLOCK                                                                                               \
    QPS_LOWER_NIBBLES("r2", "r8")                                                                                      \
    QPS_LOWER_NIBBLES("r3", "r9")                                                                                      \
    QPS_LOWER_NIBBLES("r10", "r11")                                                                                    \
    QPS_LOWER_NIBBLES("r12", "lr")                                                                                     \
    "ldrd r1, r4, " SUMS "\n\t" /* and FIRST */                                                                        \
    "cbz r4, 6f\n\t" QPS_SPREAD(QPS_EVEN, "r2", "r3", "r10", "r12") QPS_SPREAD(QPS_ODD, "r2", "r3", "r10", "r12")      \
        QPS_SPREAD(QPS_EVEN, "r8", "r9", "r11", "lr")                                                                  \
            QPS_SPREAD(QPS_ODD, "r8", "r9", "r11",                                                                     \
                       "lr") "movs r4, #0\n\t"                                                                         \
                             "str r4, " FIRST "\n\t"                                                                   \
                             "b 7f\n"                                                                                  \
                             "6:\n\t" QPS_ADD_SPREAD(QPS_ADD_EVEN, "r2", "r3", "r10", "r12")                           \
                                 QPS_ADD_SPREAD(QPS_ADD_ODD, "r2", "r3", "r10", "r12")                                 \
                                     QPS_ADD_SPREAD(QPS_ADD_EVEN, "r8", "r9", "r11", "lr")                             \
                                         QPS_ADD_SPREAD(QPS_ADD_ODD, "r8", "r9", "r11", "lr") "7:\n\t"

/* 32 channels. */
QPS_LOOP(qps_block_4)
{
    __asm(QPS_ENTER "movs r4, #1\n\t"
                    "str r4, " FIRST "\n"
                    "8:\n\t"
                    "ldr r4, " END "\n\t"
                    "add r5, r1, #2 * 17\n\t" /* QPS_NIBBLE_ROWS */
                    "cmp r5, r4\n\t"
                    "it hi\n\t"
                    "movhi r5, r4\n\t" QPS_ADD_ROWS(QPS_FIRST_NIBBLES, QPS_ADD_NIBBLES) QPS_SPREAD_BLOCK
          "ldr r0, " CODES "\n\t"
          "ldrd r1, r4, " LAST "\n\t" /* and END */
          "cmp r1, r4\n\t"
          "bne 8b\n\t" QPS_LEAVE);
}

/* 16 channels. */
QPS_LOOP(qps_block_8)
{
    __asm(QPS_ENTER "mov r5, r2\n\t" QPS_ADD_ROWS(
        QPS_FIRST_BYTES, QPS_ADD_BYTES) "ldr r1, " SUMS "\n\t" QPS_LOWER_BYTES("r2", "r8") QPS_LOWER_BYTES("r3", "r9")
              QPS_LOWER_BYTES("r10", "r11") QPS_LOWER_BYTES("r12", "lr") "stm r1!, {r2, r3, r10, r12}\n\t"
                                                                         "stm r1!, {r8, r9, r11, lr}\n\t" QPS_LEAVE);
}

/* 2-bit codes: of each word, QPS_CRUMB_ROWS rows are added up to two words of 4-bit lanes, those of its even and of its odd codes. */
/* r5: all codes, r6: the odd ones */
#define QPS_FIRST_CRUMBS(base)                                                                                         \
    "ldrh r4, [r1], #2\n\t"                                                                                            \
    "ldr r5, [" base ", r4, lsl #3]\n\t"                                                                               \
    "and r6, r5, #0xCCCCCCCC\n\t"                                                                                      \
    "lsrs r6, #2\n\t"
#define QPS_NEXT_CRUMBS(base)                                                                                          \
    "ldrh r4, [r1], #2\n\t"                                                                                            \
    "ldr r4, [" base ", r4, lsl #3]\n\t"                                                                               \
    "add r5, r4\n\t"                                                                                                   \
    "and r4, r4, #0xCCCCCCCC\n\t"                                                                                      \
    "add r6, r6, r4, lsr #2\n\t"
#define QPS_KEEP_CRUMBS(all_even, odd_even, all_odd, odd_odd)                                                          \
    "sub r5, r5, r6, lsl #2\n\t" QPS_ADD_NIBBLES("r5", all_even, odd_even) QPS_ADD_NIBBLES("r6", all_odd, odd_odd)
/* Five rows of a word. */
#define QPS_FIVE_CRUMBS(base)                                                                                          \
    QPS_FIRST_CRUMBS(base)                                                                                             \
    QPS_NEXT_CRUMBS(base) QPS_NEXT_CRUMBS(base) QPS_NEXT_CRUMBS(base) QPS_NEXT_CRUMBS(base)
/* As many as are left up to LAST, one at least. */
#define QPS_LAST_CRUMBS(base)                                                                                          \
    "movs r5, #0\n\t"                                                                                                  \
    "movs r6, #0\n"                                                                                                    \
    "1:\n\t" QPS_NEXT_CRUMBS(base) "ldr r4, " LAST "\n\t"                                                              \
                                   "cmp r1, r4\n\t"                                                                    \
                                   "bne 1b\n\t"

/* 32 channels. */
QPS_LOOP(qps_block_2)
{
    __asm(QPS_ENTER
          "movs r4, #1\n\t"
          "str r4, " FIRST "\n"
          "8:\n\t"
          "ldr r4, " END "\n\t"
          "add r5, r1, #2 * 17 * 5\n\t" /* QPS_NIBBLE_ROWS of QPS_CRUMB_ROWS each */
          "cmp r5, r4\n\t"
          "it hi\n\t"
          "movhi r5, r4\n\t"
          "str r5, " LAST "\n\t"
          "add r7, r0, #4\n\t" QPS_CLEAR "b 3f\n"
          "2:\n\t" QPS_FIVE_CRUMBS("r0")
              QPS_KEEP_CRUMBS("r2", "r8", "r3", "r9") "subs r1, #10\n\t" QPS_FIVE_CRUMBS("r7") QPS_KEEP_CRUMBS(
                  "r10", "r11", "r12",
                  "lr") "ldr r5, " LAST "\n"
                        "3:\n\t"
                        "subs r4, r5, r1\n\t"
                        "cmp r4, #10\n\t"
                        "bhs 2b\n\t"
                        "cbz r4, 4f\n\t"
                        "str r1, " START "\n\t" QPS_LAST_CRUMBS("r0")
                            QPS_KEEP_CRUMBS("r2", "r8", "r3", "r9") "ldr r1, " START "\n\t" QPS_LAST_CRUMBS("r7")
                                QPS_KEEP_CRUMBS("r10", "r11", "r12", "lr") "4:\n\t" QPS_SPREAD_BLOCK "ldr r0, " CODES
                                                                           "\n\t"
                                                                           "ldrd r1, r4, " LAST "\n\t" /* and END */
                                                                           "cmp r1, r4\n\t"
                                                                           "bne 8b\n\t" QPS_LEAVE);
}

#endif
