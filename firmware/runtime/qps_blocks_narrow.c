/* Thumb: eight registers that everything can use, and six more that can be added to, which is what the sums need.
 *
 * Only adding rows is assembly; the sums of a chunk come back in memory. */
#include "qps_blocks.h"

#include "qps_thumb.h"

#if QPS_NARROW_BLOCKS

/* The sums of four words: of all lanes, and of the odd ones. */
typedef struct {
    uint32_t all[4];
    uint32_t odd[4];
} qps_narrow_block_t;

#define QPS_ADD_WORD(offset, shift, all, odd)                                                                          \
    "ldr r7, [r6, #" offset "]\n\t"                                                                                    \
    "add " all ", r7\n\t"                                                                                              \
    "ands r7, r5\n\t"                                                                                                  \
    "lsrs r7, r7, #" shift "\n\t"                                                                                      \
    "add " odd ", r7\n\t"

/* clang-format off */

/* r0: codes, r1: events, at least one, r2: their end, r3: where the sums go; first of all, there, the mask of odd lanes. */
#define QPS_ADD_ROWS(name, shift)                                                                                      \
    __attribute__((naked, noinline)) static void name(                                                                 \
        const uint8_t *codes __attribute__((unused)), const uint16_t *events __attribute__((unused)),                  \
        const uint16_t *end __attribute__((unused)), qps_narrow_block_t *block __attribute__((unused)))                \
    {                                                                                                                  \
        __asm(".syntax unified\n\t"                                                                                    \
              "push {r3-r7, lr}\n\t"                                                                                   \
              QPS_PUSH_HIGH                                                                                            \
              "mov r4, r2\n\t"                                                                                         \
              "ldr r5, [r3]\n\t"                                                                                       \
              QPS_CLEAR_SUMS                                                                                           \
              "1:\n\t"                                                                                                 \
              "ldrh r6, [r1]\n\t"                                                                                      \
              "adds r1, #2\n\t"                                                                                        \
              "lsls r6, r6, #4\n\t"                                                                                    \
              "add r6, r0\n\t"                                                                                         \
              QPS_ADD_WORD("0", shift, "r2", "r3")                                                                     \
              QPS_ADD_WORD("4", shift, "r8", "r9")                                                                     \
              QPS_ADD_WORD("8", shift, "r10", "r11")                                                                   \
              QPS_ADD_WORD("12", shift, "r12", "lr")                                                                   \
              "cmp r1, r4\n\t"                                                                                         \
              "bne 1b\n\t"                                                                                             \
              "ldr r0, [sp, #16]\n\t"                                                                                  \
              "mov r4, r8\n\t"                                                                                         \
              "mov r5, r10\n\t"                                                                                        \
              "mov r6, r12\n\t"                                                                                        \
              "stmia r0!, {r2, r4, r5, r6}\n\t"                                                                        \
              "mov r4, r9\n\t"                                                                                         \
              "mov r5, r11\n\t"                                                                                        \
              "mov r6, lr\n\t"                                                                                         \
              "stmia r0!, {r3, r4, r5, r6}\n\t"                                                                        \
              QPS_POP_HIGH                                                                                             \
              "pop {r3-r7, pc}\n");                                                                                    \
    }

/* clang-format on */

QPS_ADD_ROWS(qps_add_nibble_rows, "4")
QPS_ADD_ROWS(qps_add_byte_rows, "8")

/* Bytes of four words to eight pairs of sums. */
static inline void qps_spread(const uint32_t *words, int first, uint32_t *sums)
{
    for (uint32_t k = 0U; k < 4U; k++) {
        const uint32_t even = qps_even_bytes(words[k]), odd = qps_odd_bytes(words[k]);
        sums[k] = first ? even : sums[k] + even;
        sums[k + 4U] = first ? odd : sums[k + 4U] + odd;
    }
}

static void qps_block_4(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums)
{
    int first = 1;
    do {
        const uint16_t *const last = end - events > (ptrdiff_t)QPS_NIBBLE_ROWS ? events + QPS_NIBBLE_ROWS : end;
        qps_narrow_block_t block;
        block.all[0] = UINT32_C(0xF0F0F0F0);
        qps_add_nibble_rows(codes, events, last, &block);
        for (uint32_t k = 0U; k < 4U; k++) {
            block.all[k] -= block.odd[k] << 4;
        }
        qps_spread(block.all, first, sums);
        qps_spread(block.odd, first, sums + 8);
        events = last;
        first = 0;
    } while (events != end);
}

static void qps_block_8(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums)
{
    qps_narrow_block_t block;
    block.all[0] = UINT32_C(0xFF00FF00);
    qps_add_byte_rows(codes, events, end, &block);
    for (uint32_t k = 0U; k < 4U; k++) {
        sums[k] = block.all[k] - (block.odd[k] << 8);
        sums[k + 4U] = block.odd[k];
    }
}

/* 2-bit codes: r6 and r7 have all lanes and the odd ones of the first word, r8 and r9 those of the second; r3: a row. */
#define QPS_ADD_CRUMBS(place)                                                                                          \
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
/* A word of 4-bit lanes to the sums in memory. */
#define QPS_KEEP_NIBBLES(word, all, odd)                                                                               \
    "ldr r2, [r3, #" all "]\n\t"                                                                                       \
    "adds r2, " word "\n\t"                                                                                            \
    "str r2, [r3, #" all "]\n\t"                                                                                       \
    "ands " word ", r5\n\t"                                                                                            \
    "lsrs " word ", " word ", #4\n\t"                                                                                  \
    "ldr r2, [r3, #" odd "]\n\t"                                                                                       \
    "adds r2, " word "\n\t"                                                                                            \
    "str r2, [r3, #" odd "]\n\t"
/* r6: even codes, r7: odd ones. */
#define QPS_EVEN_CRUMBS                                                                                                \
    "lsls r2, r7, #2\n\t"                                                                                              \
    "subs r6, r2\n\t"

/* A byte in all bytes of a register; r2 is free. */
#define QPS_MASK(mask, byte)                                                                                           \
    "movs " mask ", #" byte "\n\t"                                                                                     \
    "lsls r2, " mask ", #8\n\t"                                                                                        \
    "orrs " mask ", r2\n\t"                                                                                            \
    "lsls r2, " mask ", #16\n\t"                                                                                       \
    "orrs " mask ", r2\n\t"

/* clang-format off */
/* Rows, QPS_CRUMB_ROWS or a multiple of them, added to a block. r0: codes, r1: events, r2: their end, r3: block. */
__attribute__((naked, noinline)) static void qps_add_crumb_rows(const uint8_t *codes __attribute__((unused)),
                                                                const uint16_t *events __attribute__((unused)),
                                                                const uint16_t *end __attribute__((unused)),
                                                                qps_narrow_block_t *block __attribute__((unused)))
{
    __asm(".syntax unified\n\t"
          "push {r4-r7, lr}\n\t"
          QPS_PUSH_HIGH
          "mov r10, r2\n\t"
          "mov r11, r3\n\t"
          QPS_MASK("r4", "0xCC")
          QPS_MASK("r5", "0xF0")
          "1:\n\t"
          "movs r6, #0\n\t"
          "movs r7, #0\n\t"
          "mov r8, r6\n\t"
          "mov r9, r6\n\t"
          QPS_ADD_CRUMBS("0")
          QPS_ADD_CRUMBS("2")
          QPS_ADD_CRUMBS("4")
          QPS_ADD_CRUMBS("6")
          QPS_ADD_CRUMBS("8")
          "mov r3, r11\n\t"
          QPS_EVEN_CRUMBS
          QPS_KEEP_NIBBLES("r6", "0", "16")
          QPS_KEEP_NIBBLES("r7", "4", "20")
          "mov r6, r8\n\t"
          "mov r7, r9\n\t"
          QPS_EVEN_CRUMBS
          QPS_KEEP_NIBBLES("r6", "8", "24")
          QPS_KEEP_NIBBLES("r7", "12", "28")
          "adds r1, #10\n\t"
          "cmp r1, r10\n\t"
          "bne 1b\n\t"
          QPS_POP_HIGH
          "pop {r4-r7, pc}");
}
/* clang-format on */

/* The rows that are left, less than that. */
static inline void qps_add_last_crumbs(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *all,
                                       uint32_t *odd)
{
    uint32_t crumbs = 0U, upper = 0U;
    for (; events != end; events++) {
        const uint32_t word = qps_load_word(codes + ((uint32_t)*events << 3));
        crumbs += word;
        upper += (word & UINT32_C(0xCCCCCCCC)) >> 2;
    }
    qps_add_nibbles(crumbs - (upper << 2), &all[0], &odd[0]);
    qps_add_nibbles(upper, &all[1], &odd[1]);
}

static void qps_block_2(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums)
{
    int first = 1;
    do {
        const uint32_t most = QPS_NIBBLE_ROWS * QPS_CRUMB_ROWS;
        const uint32_t left = (uint32_t)(end - events);
        const uint32_t rows = left < most ? left : most;
        const uint16_t *const last = events + rows;
        const uint16_t *const whole = last - rows % QPS_CRUMB_ROWS;
        qps_narrow_block_t block = {{0U}, {0U}};
        if (events != whole) {
            qps_add_crumb_rows(codes, events, whole, &block);
        }
        if (whole != last) {
            qps_add_last_crumbs(codes, whole, last, &block.all[0], &block.odd[0]);
            qps_add_last_crumbs(codes + 4, whole, last, &block.all[2], &block.odd[2]);
        }
        for (uint32_t k = 0U; k < 4U; k++) {
            block.all[k] -= block.odd[k] << 4;
        }
        qps_spread(block.all, first, sums);
        qps_spread(block.odd, first, sums + 8);
        events = last;
        first = 0;
    } while (events != end);
}

typedef void qps_block_sum_t(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums);

static inline void qps_narrow_blocks(const qps_blocks_t *blocks, qps_block_sum_t *sum)
{
    const uint8_t *codes = blocks->codes;
    uint32_t *sums = blocks->sums;
    for (uint32_t left = blocks->count; left > 0U; left--) {
        sum(codes, blocks->events, blocks->end, sums);
        codes += blocks->size;
        sums += QPS_GROUP_SUMS;
    }
}

void qps_blocks_2(const qps_blocks_t *blocks)
{
    qps_narrow_blocks(blocks, qps_block_2);
}

void qps_blocks_4(const qps_blocks_t *blocks)
{
    qps_narrow_blocks(blocks, qps_block_4);
}

void qps_blocks_8(const qps_blocks_t *blocks)
{
    const uint8_t *codes = blocks->codes;
    for (uint32_t k = 0U; k < blocks->count; k++) {
        qps_block_8(codes, blocks->events, blocks->end, qps_block_sums(8U, k, blocks->sums));
        codes += blocks->size;
    }
}

#endif
