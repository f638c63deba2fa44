/* Helium: the words of four rows at a time are in the lanes of one register; what each lane has summed is added up
 * at the end. */
#include "qps_blocks.h"

#if QPS_HELIUM

/* An instruction a line. */
/* clang-format off */

/* All of it in assembly: codes in r1, events in r2, how many in r3, sums in r5. */
#define QPS_WORDS_LOOP(name) __attribute__((naked)) void name(const qps_blocks_t *words __attribute__((unused)))
#define QPS_PART_LOOP(name) __attribute__((naked)) static void name(const qps_blocks_t *rest __attribute__((unused)))
#define QPS_TAKE_WORDS                                                                                                 \
    "ldm r0, {r1-r3, r5}\n\t"                                                                                          \
    "subs r3, r3, r2\n\t"                                                                                              \
    "lsrs r3, r3, #1\n\t"

/* The word, or the bytes, of four events. */
#define QPS_LOAD_1(words, events) "vldrb.u32 " words ", [r1, " events "]\n\t"
#define QPS_LOAD_2(words, events) "vldrh.u32 " words ", [r1, " events ", uxtw #1]\n\t"
#define QPS_LOAD_4(words, events) "vldrw.u32 " words ", [r1, " events ", uxtw #2]\n\t"
/* r9: 3; r10, r11: codes of the second and the third byte; q4 is overwritten. */
#define QPS_TAKE_THIRDS                                                                                                \
    "movs r4, #3\n\t"                                                                                                  \
    "mov r9, r4\n\t"                                                                                                   \
    "add r10, r1, #1\n\t"                                                                                              \
    "add r11, r1, #2\n\t"
#define QPS_LOAD_3(words, events)                                                                                      \
    "vmul.i32 " events ", " events ", r9\n\t"                                                                          \
    "vldrb.u32 " words ", [r1, " events "]\n\t"                                                                        \
    "vldrb.u32 q4, [r10, " events "]\n\t"                                                                              \
    "vsli.32 " words ", q4, #8\n\t"                                                                                    \
    "vldrb.u32 q4, [r11, " events "]\n\t"                                                                              \
    "vsli.32 " words ", q4, #16\n\t"

/* So many events, four or eight at a time; the last round has as many lanes as there are left. */
#define QPS_EACH(count, events, load, add)                                                                             \
    "dlstp.32 lr, " count "\n"                                                                                         \
    "1:\n\t"                                                                                                           \
    "vldrh.u32 " events ", [r2], #8\n\t"                                                                               \
    load                                                                                                               \
    add                                                                                                                \
    "letp lr, 1b\n\t"
#define QPS_EACH_OF_EIGHT(count, events, load, add)                                                                    \
    "dlstp.16 lr, " count "\n"                                                                                         \
    "1:\n\t"                                                                                                           \
    "vldrh.u16 " events ", [r2], #16\n\t"                                                                              \
    load                                                                                                               \
    add                                                                                                                \
    "letp lr, 1b\n\t"

/* Bytes of all lanes: those of even places, and of odd ones, each pair of them in a register. */
#define QPS_ACROSS(lanes, even, odd, spare0, spare1, add)                                                              \
    "vmovlb.u8 " spare0 ", " lanes "\n\t"                                                                              \
    "vmovlt.u8 " spare1 ", " lanes "\n\t"                                                                              \
    add ".u32 " even ", " spare0 "\n\t"                                                                                \
    add ".u32 " odd ", " spare1 "\n\t"

/* 2 bits: as qps_blocks_helium.c has them, q0 to q3 are sums of bytes without their lowest 0 to 3 codes. Then r0,
 * r2, r8 and r10 have codes 0 to 3 of even bytes, and r4, r6, r12 and lr those of odd ones. More events than lanes
 * have room for come in parts, r9 of them. */
#define QPS_CRUMBS_ROOM "336" /* whole rounds, of four and of eight */
_Static_assert(336U <= 4U * QPS_NIBBLE_ROWS * QPS_CRUMB_ROWS, "events that lanes of words have room for");
#define QPS_SUM_2(EACH, across, store, clear, add)                                                                     \
    "push {r4-r10, lr}\n\t"                                                                                            \
    "vpush {d8-d11}\n\t"                                                                                               \
    QPS_TAKE_WORDS                                                                                                     \
    "cmp r3, #" QPS_CRUMBS_ROOM "\n\t"                                                                                 \
    "bhi 2f\n\t"                                                                                                       \
    QPS_PART_2(EACH("r3"), across)                                                                                     \
    store                                                                                                              \
    "vpop {d8-d11}\n\t"                                                                                                \
    "pop {r4-r10, pc}\n"                                                                                               \
    "2:\n\t"                                                                                                           \
    "movs r7, #0\n\t"                                                                                                  \
    clear                                                                                                              \
    "3:\n\t"                                                                                                           \
    "mov r9, r3\n\t"                                                                                                   \
    "cmp r3, #" QPS_CRUMBS_ROOM "\n\t"                                                                                 \
    "it hi\n\t"                                                                                                        \
    "movhi r9, #" QPS_CRUMBS_ROOM "\n\t"                                                                               \
    "subs r3, r3, r9\n\t"                                                                                              \
    QPS_PART_2(EACH("r9") "mov r9, r2\n\t", across)                                                                    \
    add                                                                                                                \
    "mov r2, r9\n\t"                                                                                                   \
    "cmp r3, #0\n\t"                                                                                                   \
    "bne 3b\n\t"                                                                                                       \
    "vpop {d8-d11}\n\t"                                                                                                \
    "pop {r4-r10, pc}"
#define QPS_PART_2(each, across)                                                                                       \
    "vmov.i32 q0, #0\n\t"                                                                                              \
    "vmov.i32 q1, #0\n\t"                                                                                              \
    "vmov.i32 q2, #0\n\t"                                                                                              \
    "vmov.i32 q3, #0\n\t"                                                                                              \
    each                                                                                                               \
    "mvn r7, #3\n\t"                                                                                                   \
    "vmla.u8 q0, q1, r7\n\t"                                                                                           \
    "vmla.u8 q1, q2, r7\n\t"                                                                                           \
    "vmla.u8 q2, q3, r7\n\t"                                                                                           \
    across
#define QPS_ADD_2                                                                                                      \
    "vadd.i8 q0, q0, q5\n\t"                                                                                           \
    "vshr.u8 q4, q5, #2\n\t"                                                                                           \
    "vadd.i8 q1, q1, q4\n\t"                                                                                           \
    "vshr.u8 q4, q5, #4\n\t"                                                                                           \
    "vadd.i8 q2, q2, q4\n\t"                                                                                           \
    "vshr.u8 q5, q5, #6\n\t"                                                                                           \
    "vadd.i8 q3, q3, q5\n\t"
#define QPS_CLEAR_STORED(place) "strd r7, r7, [r5, #" place "]\n\t"
#define QPS_ADD_STORED(place, sum)                                                                                     \
    "ldr r7, [r5, #" place "]\n\t"                                                                                     \
    "add r7, " sum "\n\t"                                                                                              \
    "str r7, [r5, #" place "]\n\t"
#define QPS_EACH_WORD_2(count) QPS_EACH(count, "q4", QPS_LOAD_4("q5", "q4"), QPS_ADD_2)
#define QPS_ACROSS_WORDS_2                                                                                             \
    QPS_ACROSS("q0", "r0", "r4", "q4", "q5", "vaddv")                                                                  \
    QPS_ACROSS("q1", "r2", "r6", "q4", "q5", "vaddv")                                                                  \
    QPS_ACROSS("q2", "r8", "r12", "q4", "q5", "vaddv")                                                                 \
    QPS_ACROSS("q3", "r10", "lr", "q4", "q5", "vaddv")
#define QPS_STORE_WORDS_2 "stm r5, {r0, r2, r4, r6, r8, r10, r12, lr}\n\t"
#define QPS_ADD_WORDS_2                                                                                                \
    QPS_ADD_STORED("0", "r0")                                                                                          \
    QPS_ADD_STORED("4", "r2")                                                                                          \
    QPS_ADD_STORED("8", "r4")                                                                                          \
    QPS_ADD_STORED("12", "r6")                                                                                         \
    QPS_ADD_STORED("16", "r8")                                                                                         \
    QPS_ADD_STORED("20", "r10")                                                                                        \
    QPS_ADD_STORED("24", "r12")                                                                                        \
    QPS_ADD_STORED("28", "lr")
/* Of two bytes: q4 and q5 pick the first and the second. */
#define QPS_EACH_TWO_BYTES_2(count)                                                                                    \
    QPS_EACH_OF_EIGHT(count, "q4", "vldrh.u16 q5, [r1, q4, uxtw #1]\n\t", QPS_ADD_2)
#define QPS_ACROSS_TWO(lanes, first, second)                                                                           \
    "vmladav.u8 " first ", " lanes ", q4\n\t"                                                                          \
    "vmladav.u8 " second ", " lanes ", q5\n\t"
#define QPS_ACROSS_TWO_BYTES_2                                                                                         \
    "vmov.i16 q4, #1\n\t"                                                                                              \
    "vmov.i16 q5, #256\n\t"                                                                                            \
    QPS_ACROSS_TWO("q0", "r0", "r4")                                                                                   \
    QPS_ACROSS_TWO("q1", "r2", "r6")                                                                                   \
    QPS_ACROSS_TWO("q2", "r8", "r12")                                                                                  \
    QPS_ACROSS_TWO("q3", "r10", "lr")                                                                                  \
    "orr r0, r0, r2, lsl #16\n\t"                                                                                      \
    "orr r2, r8, r10, lsl #16\n\t"                                                                                     \
    "orr r4, r4, r6, lsl #16\n\t"                                                                                      \
    "orr r6, r12, lr, lsl #16\n\t"
#define QPS_STORE_TWO_BYTES_2 "stm r5, {r0, r2, r4, r6}\n\t"
#define QPS_ADD_TWO_BYTES_2                                                                                            \
    QPS_ADD_STORED("0", "r0")                                                                                          \
    QPS_ADD_STORED("4", "r2")                                                                                          \
    QPS_ADD_STORED("8", "r4")                                                                                          \
    QPS_ADD_STORED("12", "r6")

/* 4 bits, in parts of as many events as lanes have room for: r0 and r6 have the lower and the upper code of even
 * bytes, r4 and r8 those of odd ones. */
#define QPS_NIBBLES_ROOM "68"
_Static_assert(4U * QPS_NIBBLE_ROWS == 68U, "events that lanes have room for");
#define QPS_SUM_4(take, load, store)                                                                                   \
    "push {r4-r11, lr}\n\t"                                                                                            \
    "vpush {d8-d9}\n\t"                                                                                                \
    QPS_TAKE_WORDS                                                                                                     \
    take                                                                                                               \
    "movs r0, #0\n\t"                                                                                                  \
    "movs r4, #0\n\t"                                                                                                  \
    "movs r6, #0\n\t"                                                                                                  \
    "mov r8, r0\n"                                                                                                     \
    "2:\n\t"                                                                                                           \
    "mov r7, r3\n\t"                                                                                                   \
    "cmp r3, #" QPS_NIBBLES_ROOM "\n\t"                                                                                \
    "it hi\n\t"                                                                                                        \
    "movhi r7, #" QPS_NIBBLES_ROOM "\n\t"                                                                              \
    "vmov.i32 q0, #0\n\t"                                                                                              \
    "vmov.i32 q1, #0\n\t"                                                                                              \
    QPS_EACH("r7", "q2", load("q3", "q2"), QPS_ADD_4)                                                                  \
    "mvn r12, #15\n\t"                                                                                                 \
    "vmla.u8 q0, q1, r12\n\t"                                                                                          \
    QPS_ACROSS("q0", "r0", "r4", "q2", "q3", "vaddva")                                                                 \
    QPS_ACROSS("q1", "r6", "r8", "q2", "q3", "vaddva")                                                                 \
    "subs r3, r3, r7\n\t"                                                                                              \
    "bne 2b\n\t"                                                                                                       \
    store                                                                                                              \
    "vpop {d8-d9}\n\t"                                                                                                 \
    "pop {r4-r11, pc}"
#define QPS_ADD_4                                                                                                      \
    "vadd.i8 q0, q0, q3\n\t"                                                                                           \
    "vshr.u8 q3, q3, #4\n\t"                                                                                           \
    "vadd.i8 q1, q1, q3\n\t"
#define QPS_STORE_4 "stm r5, {r0, r4, r6, r8}\n\t"
#define QPS_STORE_BYTES_4                                                                                              \
    "pkhtb r7, r6, r0, asr #16\n\t"                                                                                    \
    "pkhbt r0, r0, r6, lsl #16\n\t"                                                                                    \
    "pkhbt r4, r4, r8, lsl #16\n\t"                                                                                    \
    "stm r5, {r0, r4, r7}\n\t"

/* 8 bits, halves of words for which 16 bits are enough: r0 has codes 0 and 2, r4 codes 1 and 3. */
#define QPS_SUM_8(take, load, store)                                                                                   \
    "push {r4-r11, lr}\n\t"                                                                                            \
    "vpush {d8-d9}\n\t"                                                                                                \
    QPS_TAKE_WORDS                                                                                                     \
    take                                                                                                               \
    "vmov.i32 q0, #0\n\t"                                                                                              \
    "vmov.i32 q1, #0\n\t"                                                                                              \
    QPS_EACH("r3", "q2", load("q3", "q2"), QPS_ADD_8)                                                                  \
    "mvn r7, #255\n\t"                                                                                                 \
    "vmla.u16 q0, q1, r7\n\t"                                                                                          \
    "vaddv.u32 r0, q0\n\t"                                                                                             \
    "vaddv.u32 r4, q1\n\t"                                                                                             \
    store                                                                                                              \
    "vpop {d8-d9}\n\t"                                                                                                 \
    "pop {r4-r11, pc}"
#define QPS_ADD_8                                                                                                      \
    "vadd.i16 q0, q0, q3\n\t"                                                                                          \
    "vshr.u16 q3, q3, #8\n\t"                                                                                          \
    "vadd.i16 q1, q1, q3\n\t"
#define QPS_STORE_8 "strd r0, r4, [r5]\n\t"
#define QPS_STORE_BYTES_8                                                                                              \
    "pkhbt r2, r0, r4, lsl #16\n\t"                                                                                    \
    "lsrs r0, r0, #16\n\t"                                                                                             \
    "strd r2, r0, [r5]\n\t"

QPS_WORDS_LOOP(qps_words_2)
{
    __asm(QPS_SUM_2(QPS_EACH_WORD_2, QPS_ACROSS_WORDS_2, QPS_STORE_WORDS_2,
                    QPS_CLEAR_STORED("0") QPS_CLEAR_STORED("8") QPS_CLEAR_STORED("16") QPS_CLEAR_STORED("24"),
                    QPS_ADD_WORDS_2));
}

QPS_WORDS_LOOP(qps_words_4)
{
    __asm(QPS_SUM_4("", QPS_LOAD_4, QPS_STORE_4));
}

QPS_WORDS_LOOP(qps_words_8)
{
    __asm(QPS_SUM_8("", QPS_LOAD_4, QPS_STORE_8));
}

QPS_PART_LOOP(qps_two_bytes_2)
{
    __asm(QPS_SUM_2(QPS_EACH_TWO_BYTES_2, QPS_ACROSS_TWO_BYTES_2, QPS_STORE_TWO_BYTES_2,
                    QPS_CLEAR_STORED("0") QPS_CLEAR_STORED("8"), QPS_ADD_TWO_BYTES_2));
}

QPS_PART_LOOP(qps_two_bytes_4)
{
    __asm(QPS_SUM_4("", QPS_LOAD_2, QPS_STORE_BYTES_4));
}

QPS_PART_LOOP(qps_three_bytes_4)
{
    __asm(QPS_SUM_4(QPS_TAKE_THIRDS, QPS_LOAD_3, QPS_STORE_BYTES_4));
}

QPS_PART_LOOP(qps_byte_8)
{
    __asm(QPS_SUM_8("", QPS_LOAD_1, QPS_STORE_BYTES_8));
}

QPS_PART_LOOP(qps_two_bytes_8)
{
    __asm(QPS_SUM_8("", QPS_LOAD_2, QPS_STORE_BYTES_8));
}

QPS_PART_LOOP(qps_three_bytes_8)
{
    __asm(QPS_SUM_8(QPS_TAKE_THIRDS, QPS_LOAD_3, QPS_STORE_BYTES_8));
}

/* clang-format on */

/* A last byte of 4-bit codes: eight events at a time. */
QPS_ALONE static void qps_sum_byte_4(const qps_blocks_t *rest)
{
    const uint8_t *const codes = rest->codes;
    const uint16_t *events = rest->events;
    const uint32_t count = (uint32_t)(rest->end - events);
    uint32_t all = 0U, upper = 0U;
    __asm volatile("dlstp.16 lr, %[count]\n"
                   "1:\n\t"
                   "vldrh.u16 q0, [%[events]], #16\n\t"
                   "vldrb.u16 q1, [%[codes], q0]\n\t"
                   "vaddva.u16 %[all], q1\n\t"
                   "vshr.u16 q1, q1, #4\n\t"
                   "vaddva.u16 %[upper], q1\n\t"
                   "letp lr, 1b"
                   : [events] "+&r"(events), [all] "+&Te"(all), [upper] "+&Te"(upper)
                   : [codes] "r"(codes), [count] "r"(count)
                   : "q0", "q1", "lr", "memory");
    rest->sums[0] = (all - (upper << 4)) | upper << 16;
}

/* The same of 2-bit codes. */
QPS_ALONE static void qps_sum_byte_2(const qps_blocks_t *rest)
{
    const uint16_t *events = rest->events;
    const uint32_t count = (uint32_t)(rest->end - events);
    uint32_t all = 0U, once = 0U, twice = 0U, thrice = 0U;
    __asm volatile(
        "dlstp.16 lr, %[count]\n"
        "1:\n\t"
        "vldrh.u16 q0, [%[events]], #16\n\t"
        "vldrb.u16 q1, [%[codes], q0]\n\t"
        "vaddva.u16 %[all], q1\n\t"
        "vshr.u16 q1, q1, #2\n\t"
        "vaddva.u16 %[once], q1\n\t"
        "vshr.u16 q1, q1, #2\n\t"
        "vaddva.u16 %[twice], q1\n\t"
        "vshr.u16 q1, q1, #2\n\t"
        "vaddva.u16 %[thrice], q1\n\t"
        "letp lr, 1b"
        : [events] "+&r"(events), [all] "+&Te"(all), [once] "+&Te"(once), [twice] "+&Te"(twice), [thrice] "+&Te"(thrice)
        : [codes] "r"(rest->codes), [count] "r"(count)
        : "q0", "q1", "lr", "memory");
    rest->sums[0] = (all - (once << 2)) | (once - (twice << 2)) << 16;
    rest->sums[1] = (twice - (thrice << 2)) | thrice << 16;
}

void qps_rest_2(const qps_blocks_t *rest, uint32_t bits)
{
    if (bits == 4U) {
        qps_sum_byte_4(rest);
    } else if (rest->size == 2U) {
        qps_two_bytes_2(rest);
    } else {
        qps_sum_byte_2(rest);
    }
}

void qps_rest_4(const qps_blocks_t *rest, uint32_t bits)
{
    (void)bits;
    if (rest->size == 1U) {
        qps_sum_byte_4(rest);
    } else if (rest->size == 2U) {
        qps_two_bytes_4(rest);
    } else {
        qps_three_bytes_4(rest);
    }
}

void qps_rest_8(const qps_blocks_t *rest, uint32_t bits)
{
    (void)bits;
    if (rest->size == 1U) {
        qps_byte_8(rest);
    } else if (rest->size == 2U) {
        qps_two_bytes_8(rest);
    } else {
        qps_three_bytes_8(rest);
    }
}
#endif
