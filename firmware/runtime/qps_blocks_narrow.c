/* Thumb: eight registers that everything can use, and six more that can be added to, which is what the sums need.
 *
 * Only adding rows is assembly; the sums of a chunk come back in memory. */
#include "qps_blocks.h"

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

/* r0: codes, r1: events, at least one, r2: their end, r3: where the sums go; first of all, there, the mask of odd lanes. */
#define QPS_ADD_ROWS(name, shift)                                                                                      \
    __attribute__((naked, noinline)) static void name(                                                                 \
        const uint8_t *codes __attribute__((unused)), const uint16_t *events __attribute__((unused)),                  \
        const uint16_t *end __attribute__((unused)), qps_narrow_block_t *block __attribute__((unused)))                \
    {                                                                                                                  \
        __asm(".syntax unified\n\t"                                                                                    \
              "push {r3-r7, lr}\n\t"                                                                                   \
              "mov r4, r8\n\t"                                                                                         \
              "mov r5, r9\n\t"                                                                                         \
              "mov r6, r10\n\t"                                                                                        \
              "mov r7, r11\n\t"                                                                                        \
              "push {r4-r7}\n\t"                                                                                       \
              "mov r4, r2\n\t"                                                                                         \
              "ldr r5, [r3]\n\t"                                                                                       \
              "movs r2, #0\n\t"                                                                                        \
              "movs r3, #0\n\t"                                                                                        \
              "mov r8, r2\n\t"                                                                                         \
              "mov r9, r2\n\t"                                                                                         \
              "mov r10, r2\n\t"                                                                                        \
              "mov r11, r2\n\t"                                                                                        \
              "mov r12, r2\n\t"                                                                                        \
              "mov lr, r2\n"                                                                                           \
              "1:\n\t"                                                                                                 \
              "ldrh r6, [r1]\n\t"                                                                                      \
              "adds r1, #2\n\t"                                                                                        \
              "lsls r6, r6, #4\n\t"                                                                                    \
              "add r6, r0\n\t" QPS_ADD_WORD("0", shift, "r2", "r3") QPS_ADD_WORD("4", shift, "r8", "r9")               \
                  QPS_ADD_WORD("8", shift, "r10", "r11")                                                               \
                      QPS_ADD_WORD("12", shift, "r12", "lr") "cmp r1, r4\n\t"                                          \
                                                             "bne 1b\n\t"                                              \
                                                             "ldr r0, [sp, #16]\n\t"                                   \
                                                             "mov r4, r8\n\t"                                          \
                                                             "mov r5, r10\n\t"                                         \
                                                             "mov r6, r12\n\t"                                         \
                                                             "stmia r0!, {r2, r4, r5, r6}\n\t"                         \
                                                             "mov r4, r9\n\t"                                          \
                                                             "mov r5, r11\n\t"                                         \
                                                             "mov r6, lr\n\t"                                          \
                                                             "stmia r0!, {r3, r4, r5, r6}\n\t"                         \
                                                             "pop {r4-r7}\n\t"                                         \
                                                             "mov r8, r4\n\t"                                          \
                                                             "mov r9, r5\n\t"                                          \
                                                             "mov r10, r6\n\t"                                         \
                                                             "mov r11, r7\n\t"                                         \
                                                             "pop {r3-r7, pc}\n");                                     \
    }

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

void qps_block_4(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums)
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

void qps_block_8(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums)
{
    qps_narrow_block_t block;
    block.all[0] = UINT32_C(0xFF00FF00);
    qps_add_byte_rows(codes, events, end, &block);
    for (uint32_t k = 0U; k < 4U; k++) {
        sums[k] = block.all[k] - (block.odd[k] << 8);
        sums[k + 4U] = block.odd[k];
    }
}

/* Up to QPS_CRUMB_ROWS rows of 2-bit codes: a row of 4-bit lanes, of the even and the odd codes of each word. */
static inline void qps_add_crumb_rows(const uint8_t *codes, const uint16_t *events, const uint16_t *last, uint32_t byte,
                                      uint32_t *all, uint32_t *odd)
{
    const uint32_t mask = UINT32_C(0xCCCCCCCC);
    uint32_t crumbs = 0U, upper = 0U;
    codes += byte;
    for (; events != last; events++) {
        const uint32_t word = qps_load_word(codes + ((uint32_t)*events << 3));
        crumbs += word;
        upper += (word & mask) >> 2;
    }
    qps_add_nibbles(crumbs - (upper << 2), &all[0], &odd[0]);
    qps_add_nibbles(upper, &all[1], &odd[1]);
}

void qps_block_2(const uint8_t *codes, const uint16_t *events, const uint16_t *end, uint32_t *sums)
{
    int first = 1;
    do {
        qps_narrow_block_t block = {{0U}, {0U}};
        for (uint32_t rows = 0U; rows < QPS_NIBBLE_ROWS && events != end; rows++) {
            const uint16_t *const last = end - events > (ptrdiff_t)QPS_CRUMB_ROWS ? events + QPS_CRUMB_ROWS : end;
            qps_add_crumb_rows(codes, events, last, 0U, &block.all[0], &block.odd[0]);
            qps_add_crumb_rows(codes, events, last, 4U, &block.all[2], &block.odd[2]);
            events = last;
        }
        for (uint32_t k = 0U; k < 4U; k++) {
            block.all[k] -= block.odd[k] << 4;
        }
        qps_spread(block.all, first, sums);
        qps_spread(block.odd, first, sums + 8);
        first = 0;
    } while (events != end);
}

#endif
