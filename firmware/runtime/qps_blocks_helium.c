/* Helium: a row is one vector register, its sums are two or four others.
 *
 * Four events are taken at a time: four addresses are computed at once, then their rows are added one by one. The
 * first round begins in its middle, so that the last one is whole. */
#include "qps_blocks.h"

#if QPS_HELIUM

/* From group to group of sums, and from a group's first half to its second, as the assembler reads them. */
#define QPS_GROUP_BYTES "256"
#define QPS_HALF_BYTES "32"
_Static_assert(4U * QPS_GROUP_SUMS == 256U && 2U * QPS_PAIRS == 32U, "steps from block to block");

/* An instruction a line. */
/* clang-format off */

/* All of it in assembly: codes in r0, the first block's; events in r1, end in r2, sums in r3, size in r8, count in
 * r9. */
#define QPS_LOOP(name) __attribute__((naked)) void name(const qps_blocks_t *blocks __attribute__((unused)))
/* All registers that a caller keeps something in. */
#define QPS_ENTER_ALL                                                                                                  \
    "push {r4-r11, lr}\n\t"                                                                                            \
    "vpush {d8-d15}\n\t"
#define QPS_LEAVE_ALL                                                                                                  \
    "vpop {d8-d15}\n\t"                                                                                                \
    "pop {r4-r11, pc}\n\t"
#define QPS_TAKE_BLOCKS                                                                                                \
    "ldrd r8, r9, [r0, #16]\n\t"                                                                                       \
    "ldm r0, {r0-r3}\n\t"
/* Back to 6 for the next block, if there is one. */
#define QPS_NEXT_BLOCK                                                                                                 \
    "add r0, r8\n\t"                                                                                                   \
    "subs r9, #1\n\t"                                                                                                  \
    "bne 6b\n\t"

/* r11: rounds of four events; r2: how many of the first round are left out, 0 to 3; r1: before these; r10: end. */
#define QPS_ROUNDS                                                                                                     \
    "mov r10, r2\n\t"                                                                                                  \
    "subs r2, r1\n\t"                                                                                                  \
    "add r11, r2, #6\n\t"                                                                                              \
    "lsr r11, r11, #3\n\t"                                                                                             \
    "negs r2, r2\n\t"                                                                                                  \
    "sub r1, r10, r11, lsl #3\n\t"                                                                                     \
    "ubfx r2, r2, #1, #2\n\t"
/* Addresses of the next four rows, from r7 on, in r4 to r6 and r12; q2: bytes from row to row, in each lane. */
#define QPS_ADDRESSES                                                                                                  \
    "vldrh.u32 q3, [r7], #8\n\t"                                                                                       \
    "vmlas.u32 q3, q2, r0\n\t"                                                                                         \
    "vmov r4, r5, d6\n\t"                                                                                              \
    "vmov r6, r12, d7\n\t"
/* lr rounds of four rows. From 1 on all are whole; the code before has addresses, and goes to one of 2 to 5. */
#define QPS_ADD_ROWS(ADD_ROW, all, upper)                                                                              \
    "1:\n\t" QPS_ADDRESSES                                                                                             \
    "2:\n\t" ADD_ROW("r4", all, upper)                                                                                 \
    "3:\n\t" ADD_ROW("r5", all, upper)                                                                                 \
    "4:\n\t" ADD_ROW("r6", all, upper)                                                                                 \
    "5:\n\t" ADD_ROW("r12", all, upper)                                                                                \
    "le lr, 1b\n\t"
#define QPS_INTO_ROWS                                                                                                  \
    "tbb [pc, r2]\n"                                                                                                   \
    "7:\n\t"                                                                                                           \
    ".byte (2f-7b)/2, (3f-7b)/2, (4f-7b)/2, (5f-7b)/2\n"
#define QPS_CLEAR(first, second)                                                                                       \
    "vmov.i32 " first ", #0\n\t"                                                                                       \
    "vmov.i32 " second ", #0\n\t"

/* all += all bytes, upper += their upper halves. */
#define QPS_ADD_NIBBLES(row, all, upper)                                                                               \
    "vldrw.u32 q3, [" row "]\n\t"                                                                                      \
    "vadd.i8 " all ", " all ", q3\n\t"                                                                                 \
    "vshr.u8 q3, q3, #4\n\t"                                                                                           \
    "vadd.i8 " upper ", " upper ", q3\n\t"
#define QPS_ADD_BYTES(row, all, upper)                                                                                 \
    "vldrw.u32 q3, [" row "]\n\t"                                                                                      \
    "vadd.i16 " all ", " all ", q3\n\t"                                                                                \
    "vshr.u16 q3, q3, #8\n\t"                                                                                          \
    "vadd.i16 " upper ", " upper ", q3\n\t"
/* Sums of two lanes each lose those of the upper one; minus: a register with -2^(bits of the lower one). */
#define QPS_LOWER(size, minus, all, upper) "vmla.u" size " " all ", " upper ", " minus "\n\t"
/* Four rows, the first of a chunk, and the next ones. */
#define QPS_FIRST_ROUND                                                                                                \
    QPS_ADDRESSES                                                                                                      \
    "vldrw.u32 q0, [r4]\n\t"                                                                                           \
    "vshr.u8 q1, q0, #4\n\t"                                                                                           \
    QPS_ADD_NIBBLES("r5", "q0", "q1")                                                                                  \
    QPS_ADD_NIBBLES("r6", "q0", "q1")                                                                                  \
    QPS_ADD_NIBBLES("r12", "q0", "q1")
#define QPS_NEXT_ROUND                                                                                                 \
    QPS_ADDRESSES                                                                                                      \
    QPS_ADD_NIBBLES("r4", "q0", "q1")                                                                                  \
    QPS_ADD_NIBBLES("r5", "q0", "q1")                                                                                  \
    QPS_ADD_NIBBLES("r6", "q0", "q1")                                                                                  \
    QPS_ADD_NIBBLES("r12", "q0", "q1")

/* 32 channels: four rounds at a time, which is what lanes of 8 bits have room for, first what is more than a
 * multiple of that. Of lower codes q4 sums the bytes and those above them together, modulo 2^16, and q5 those above;
 * q6 and q7 do of upper ones. */
#define QPS_ADD_LANES(lanes, both, odd)                                                                                \
    "vadd.i16 " both ", " both ", " lanes "\n\t"                                                                       \
    "vshr.u16 " lanes ", " lanes ", #8\n\t"                                                                            \
    "vadd.i16 " odd ", " odd ", " lanes "\n\t"
QPS_LOOP(qps_blocks_4)
{
    __asm(QPS_ENTER_ALL
          QPS_TAKE_BLOCKS
          QPS_ROUNDS
          "vmov.i32 q2, #16\n\t"
          "sub r11, #1\n\t"
          "and r11, r11, #3\n\t"
          "add r11, #1\n"
          "6:\n\t"
          "mov r7, r1\n\t"
          "dls lr, r11\n\t"
          QPS_CLEAR("q4", "q6")
          QPS_ADDRESSES
          QPS_INTO_ROWS
          QPS_ADD_ROWS(QPS_ADD_NIBBLES, "q4", "q6")
          "mvn lr, #15\n\t"
          QPS_LOWER("8", "lr", "q4", "q6")
          "vshr.u16 q5, q4, #8\n\t"
          "vshr.u16 q7, q6, #8\n\t"
          "cmp r7, r10\n\t"
          "beq 9f\n"
          "8:\n\t"
          QPS_FIRST_ROUND
          QPS_NEXT_ROUND
          QPS_NEXT_ROUND
          QPS_NEXT_ROUND
          QPS_LOWER("8", "lr", "q0", "q1")
          QPS_ADD_LANES("q0", "q4", "q5")
          QPS_ADD_LANES("q1", "q6", "q7")
          "cmp r7, r10\n\t"
          "bne 8b\n"
          "9:\n\t"
          "mvn lr, #255\n\t"
          QPS_LOWER("16", "lr", "q4", "q5")
          QPS_LOWER("16", "lr", "q6", "q7")
          "vstrw.u32 q5, [r3, #16]\n\t"
          "vstrw.u32 q6, [r3, #32]\n\t"
          "vstrw.u32 q7, [r3, #48]\n\t"
          "vstrw.u32 q4, [r3], #" QPS_GROUP_BYTES "\n\t"
          QPS_NEXT_BLOCK
          QPS_LEAVE_ALL);
}

/* 16 channels; 16 bits are enough for any number of rows. r10's steps from block to block, of bytes of sums, take
 * turns. */
QPS_LOOP(qps_blocks_8)
{
    __asm("push {r4-r11, lr}\n\t"
          QPS_TAKE_BLOCKS
          QPS_ROUNDS
          "vmov.i32 q2, #16\n\t"
          "movs r10, #" QPS_HALF_BYTES "\n"
          "6:\n\t"
          "mov r7, r1\n\t"
          "dls lr, r11\n\t"
          QPS_CLEAR("q0", "q1")
          QPS_ADDRESSES
          QPS_INTO_ROWS
          QPS_ADD_ROWS(QPS_ADD_BYTES, "q0", "q1")
          "mvn r4, #255\n\t"
          QPS_LOWER("16", "r4", "q0", "q1")
          "vstrw.u32 q0, [r3]\n\t"
          "vstrw.u32 q1, [r3, #16]\n\t"
          "add r3, r10\n\t"
          "rsb r10, r10, #" QPS_GROUP_BYTES "\n\t"
          QPS_NEXT_BLOCK
          "pop {r4-r11, pc}");
}

/* Two words of a row, byte by byte in lanes of 16 bits, in the order of the sums; q4: where they are. */
#define QPS_ENTER_HALVES                                                                                               \
    "push {r4-r11, lr}\n\t"                                                                                            \
    "vpush {d8-d9}\n\t"                                                                                                \
    QPS_TAKE_BLOCKS                                                                                                    \
    QPS_ROUNDS                                                                                                         \
    "vmov.i32 q2, #8\n\t"                                                                                              \
    "adr r7, 8f\n\t"                                                                                                   \
    "vldrb.u16 q4, [r7]\n\t"                                                                                           \
    "mov r7, r1\n\t"                                                                                                   \
    "dls lr, r11\n\t"                                                                                                  \
    QPS_CLEAR("q0", "q1")                                                                                              \
    QPS_ADDRESSES                                                                                                      \
    QPS_INTO_ROWS
#define QPS_LEAVE_HALVES                                                                                               \
    "vpop {d8-d9}\n\t"                                                                                                 \
    "pop {r4-r11, pc}\n\t"                                                                                             \
    ".balign 4\n"                                                                                                      \
    "8:\n\t"                                                                                                           \
    ".byte 0, 2, 4, 6, 1, 3, 5, 7"
#define QPS_ADD_HALF_NIBBLES(row, all, upper)                                                                          \
    "vldrb.u16 q3, [" row ", q4]\n\t"                                                                                  \
    "vadd.i16 " all ", " all ", q3\n\t"                                                                                \
    "vshr.u16 q3, q3, #4\n\t"                                                                                          \
    "vadd.i16 " upper ", " upper ", q3\n\t"
#define QPS_ADD_HALF_BYTES(row, all, upper)                                                                            \
    "vldrb.u16 q3, [" row ", q4]\n\t"                                                                                  \
    "vadd.i16 " all ", " all ", q3\n\t"

QPS_LOOP(qps_halves_4)
{
    __asm(QPS_ENTER_HALVES
          QPS_ADD_ROWS(QPS_ADD_HALF_NIBBLES, "q0", "q1")
          "mvn r4, #15\n\t"
          QPS_LOWER("16", "r4", "q0", "q1")
          "vstrw.u32 q0, [r3]\n\t"
          "vstrw.u32 q1, [r3, #16]\n\t"
          QPS_LEAVE_HALVES);
}

QPS_LOOP(qps_halves_8)
{
    __asm(QPS_ENTER_HALVES
          QPS_ADD_ROWS(QPS_ADD_HALF_BYTES, "q0", "q1")
          "vstrw.u32 q0, [r3]\n\t"
          QPS_LEAVE_HALVES);
}

/* 2-bit codes: a register holds rows of two events, and sums q0 to q3 are of its bytes without their lowest 0 to 3
 * codes. */
#define QPS_ADD_CRUMBS                                                                                                 \
    "vadd.i8 q0, q0, q5\n\t"                                                                                           \
    "vshr.u8 q6, q5, #2\n\t"                                                                                           \
    "vadd.i8 q1, q1, q6\n\t"                                                                                           \
    "vshr.u8 q6, q5, #4\n\t"                                                                                           \
    "vadd.i8 q2, q2, q6\n\t"                                                                                           \
    "vshr.u8 q5, q5, #6\n\t"                                                                                           \
    "vadd.i8 q3, q3, q5\n\t"
/* lr rounds of four events: the first and the third, the second and the fourth. */
#define QPS_ADD_PAIRS                                                                                                  \
    "1:\n\t"                                                                                                           \
    "vldrh.u32 q4, [r1], #8\n\t"                                                                                       \
    "vldrd.u64 q5, [r0, q4, uxtw #3]\n\t"                                                                              \
    QPS_ADD_CRUMBS                                                                                                     \
    "vrev64.32 q6, q4\n\t"                                                                                             \
    "vldrd.u64 q5, [r0, q6, uxtw #3]\n\t"                                                                              \
    QPS_ADD_CRUMBS                                                                                                     \
    "le lr, 1b\n\t"
/* The first one to four events, r6, to sums that were not cleared. A load leaves 0 in lanes that are not wanted. */
#define QPS_FIRST_PAIRS                                                                                                \
    "vctp.32 r6\n\t"                                                                                                   \
    "vpst\n\t"                                                                                                         \
    "vldrht.u32 q4, [r1]\n\t"                                                                                          \
    "add r1, r1, r6, lsl #1\n\t"                                                                                       \
    "adds r5, r6, #1\n\t"                                                                                              \
    "lsrs r5, r5, #1\n\t"                                                                                              \
    "vctp.64 r5\n\t"                                                                                                   \
    "vpst\n\t"                                                                                                         \
    "vldrdt.u64 q0, [r0, q4, uxtw #3]\n\t"                                                                             \
    "vshr.u8 q1, q0, #2\n\t"                                                                                           \
    "vshr.u8 q2, q0, #4\n\t"                                                                                           \
    "vshr.u8 q3, q0, #6\n\t"                                                                                           \
    "vrev64.32 q6, q4\n\t"                                                                                             \
    "lsrs r6, r6, #1\n\t"                                                                                              \
    "vctp.64 r6\n\t"                                                                                                   \
    "vpst\n\t"                                                                                                         \
    "vldrdt.u64 q5, [r0, q6, uxtw #3]\n\t"                                                                             \
    QPS_ADD_CRUMBS
#define QPS_LOWER_CRUMBS                                                                                               \
    "mvn r5, #3\n\t"                                                                                                   \
    "vmla.u8 q0, q1, r5\n\t"                                                                                           \
    "vmla.u8 q1, q2, r5\n\t"                                                                                           \
    "vmla.u8 q2, q3, r5\n\t"
/* Sums of 8 bits, of even codes and of odd ones, word by word, first of one row and then of the other. */
#define QPS_PART_PAIRS(even, odd, place)                                                                               \
    "vst20.32 {" even ", " odd "}, [" place "]\n\t"                                                                    \
    "vst21.32 {" even ", " odd "}, [" place "]\n\t"                                                                    \
    "vldrw.u32 " even ", [" place "]\n\t"                                                                              \
    "vldrw.u32 " odd ", [" place ", #16]\n\t"
/* Of both rows: q0 has the first half of the block, q2 the second, by way of the place of the sums. */
#define QPS_JOIN_PAIRS                                                                                                 \
    QPS_PART_PAIRS("q2", "q3", "r3")                                                                                   \
    "vadd.i8 q2, q2, q3\n\t"                                                                                           \
    QPS_PART_PAIRS("q0", "q1", "r3")                                                                                   \
    "vadd.i8 q0, q0, q1\n\t"
#define QPS_ADD_SPREAD(part, spare, lanes, sums)                                                                       \
    "vmovl" part ".u8 " spare ", " lanes "\n\t"                                                                        \
    "vadd.i16 " sums ", " sums ", " spare "\n\t"

/* Two blocks at a time: of an event, the row of the first block is in one half of a register, that of the second in
 * the other; so none are to be added up in the end. q4: from one to the other, q7: 8 in each lane. */
#define QPS_TAKE_OFFSETS                                                                                               \
    "vmov.i32 q7, #8\n\t"                                                                                              \
    "vmov.i32 q4, #0\n\t"                                                                                              \
    "vmov.32 q4[2], r8\n\t"
#define QPS_ADDRESSES_OF_8                                                                                             \
    "vldrh.u32 q6, [r7], #8\n\t"                                                                                       \
    "vmlas.u32 q6, q7, r0\n\t"                                                                                         \
    "vmov r4, r5, d12\n\t"                                                                                             \
    "vmov r6, r12, d13\n\t"
#define QPS_ADD_TWO_ROWS(row)                                                                                          \
    "vldrd.u64 q5, [" row ", q4]\n\t"                                                                                  \
    QPS_ADD_CRUMBS
/* Sums of one block are at place, those of the other a group on. */
#define QPS_STORE_BLOCKS(even, odd, place)                                                                             \
    QPS_PART_PAIRS(even, odd, place)                                                                                   \
    "vmovlb.u8 q5, " even "\n\t"                                                                                       \
    "vmovlt.u8 " even ", " even "\n\t"                                                                                 \
    "vmovlb.u8 q6, " odd "\n\t"                                                                                        \
    "vmovlt.u8 " odd ", " odd "\n\t"                                                                                   \
    "vstrw.u32 q5, [" place "]\n\t"                                                                                    \
    "vstrw.u32 " even ", [" place ", #16]\n\t"                                                                         \
    "vstrw.u32 q6, [" place ", #256]\n\t" /* QPS_GROUP_BYTES */                                                        \
    "vstrw.u32 " odd ", [" place ", #256 + 16]\n\t"
#define QPS_ADD_STORED_BLOCKS(even, odd, place)                                                                        \
    "vldrw.u32 q5, [" place "]\n\t"                                                                                    \
    "vldrw.u32 q6, [" place ", #16]\n\t"                                                                               \
    QPS_PART_PAIRS(even, odd, place)                                                                                   \
    QPS_ADD_SPREAD("b", "q4", even, "q5")                                                                              \
    QPS_ADD_SPREAD("t", "q4", even, "q6")                                                                              \
    "vstrw.u32 q5, [" place "]\n\t"                                                                                    \
    "vstrw.u32 q6, [" place ", #16]\n\t"                                                                               \
    "vldrw.u32 q5, [" place ", #256]\n\t"                                                                              \
    "vldrw.u32 q6, [" place ", #256 + 16]\n\t"                                                                         \
    QPS_ADD_SPREAD("b", "q4", odd, "q5")                                                                               \
    QPS_ADD_SPREAD("t", "q4", odd, "q6")                                                                               \
    "vstrw.u32 q5, [" place ", #256]\n\t"                                                                              \
    "vstrw.u32 q6, [" place ", #256 + 16]\n\t"

/* Two blocks at a time as long as there are two, then one. Lanes have room for 85 events: 21 rounds of four. */
QPS_LOOP(qps_blocks_2)
{
    __asm(QPS_ENTER_ALL
          "ldm r0, {r0-r3, r8, r9}\n\t"
          "cmp r9, #1\n\t"
          "bne 20f\n"

          /* One block. r6: events of the first round, r2: rounds of four that follow. */
          "10:\n\t"
          "subs r2, r2, r1\n\t"
          "subs r2, #2\n\t"
          "ubfx r6, r2, #1, #2\n\t"
          "adds r6, #1\n\t"
          "lsrs r2, r2, #3\n\t"
          "cmp r2, #20\n\t"
          "bhi 12f\n"
          "11:\n\t"
          QPS_FIRST_PAIRS
          "wls lr, r2, 2f\n\t"
          QPS_ADD_PAIRS
          "2:\n\t"
          QPS_LOWER_CRUMBS
          QPS_JOIN_PAIRS
          "vmovlb.u8 q1, q0\n\t"
          "vmovlt.u8 q0, q0\n\t"
          "vmovlb.u8 q3, q2\n\t"
          "vmovlt.u8 q2, q2\n\t"
          "vstrw.u32 q1, [r3]\n\t"
          "vstrw.u32 q0, [r3, #16]\n\t"
          "vstrw.u32 q3, [r3, #32]\n\t"
          "vstrw.u32 q2, [r3, #48]\n\t"
          QPS_LEAVE_ALL

          /* More than lanes have room for: the above returns here, and r1 is behind what it added up. r4: rounds
           * left. */
          "12:\n\t"
          "sub r4, r2, #20\n\t"
          "movs r2, #20\n\t"
          "bl 14f\n"
          "13:\n\t"
          "cmp r4, #21\n\t"
          "ite hi\n\t"
          "movhi r5, #21\n\t"
          "movls r5, r4\n\t"
          "dls lr, r5\n\t"
          "subs r4, r4, r5\n\t"
          QPS_CLEAR("q0", "q1")
          QPS_CLEAR("q2", "q3")
          QPS_ADD_PAIRS
          QPS_LOWER_CRUMBS
          "vldrw.u32 q4, [r3]\n\t"
          "vldrw.u32 q5, [r3, #16]\n\t"
          QPS_JOIN_PAIRS
          QPS_ADD_SPREAD("b", "q1", "q0", "q4")
          QPS_ADD_SPREAD("t", "q1", "q0", "q5")
          "vstrw.u32 q4, [r3]\n\t"
          "vstrw.u32 q5, [r3, #16]\n\t"
          "vldrw.u32 q4, [r3, #32]\n\t"
          "vldrw.u32 q5, [r3, #48]\n\t"
          QPS_ADD_SPREAD("b", "q1", "q2", "q4")
          QPS_ADD_SPREAD("t", "q1", "q2", "q5")
          "vstrw.u32 q4, [r3, #32]\n\t"
          "vstrw.u32 q5, [r3, #48]\n\t"
          "cmp r4, #0\n\t"
          "bne 13b\n\t"
          QPS_LEAVE_ALL
          "14:\n\t"
          QPS_ENTER_ALL
          "b 11b\n"

          /* Several. */
          "20:\n\t"
          QPS_ROUNDS
          "cmp r11, #21\n\t"
          "it hi\n\t"
          "movhi r11, #21\n\t"
          QPS_TAKE_OFFSETS
          "6:\n\t"
          "mov r7, r1\n\t"
          "dls lr, r11\n\t"
          QPS_CLEAR("q0", "q1")
          QPS_CLEAR("q2", "q3")
          QPS_ADDRESSES_OF_8
          QPS_INTO_ROWS
          "1:\n\t" QPS_ADDRESSES_OF_8
          "2:\n\t" QPS_ADD_TWO_ROWS("r4")
          "3:\n\t" QPS_ADD_TWO_ROWS("r5")
          "4:\n\t" QPS_ADD_TWO_ROWS("r6")
          "5:\n\t" QPS_ADD_TWO_ROWS("r12")
          "le lr, 1b\n\t"
          QPS_LOWER_CRUMBS
          "add r12, r3, #" QPS_HALF_BYTES "\n\t"
          QPS_STORE_BLOCKS("q0", "q1", "r3")
          QPS_STORE_BLOCKS("q2", "q3", "r12")
          "8:\n\t"
          "subs r4, r10, r7\n\t"
          "beq 9f\n\t"
          "lsrs r4, r4, #3\n\t"
          "cmp r4, #21\n\t"
          "it hi\n\t"
          "movhi r4, #21\n\t"
          "dls lr, r4\n\t"
          QPS_CLEAR("q0", "q1")
          QPS_CLEAR("q2", "q3")
          "1:\n\t" QPS_ADDRESSES_OF_8
          QPS_ADD_TWO_ROWS("r4")
          QPS_ADD_TWO_ROWS("r5")
          QPS_ADD_TWO_ROWS("r6")
          QPS_ADD_TWO_ROWS("r12")
          "le lr, 1b\n\t"
          QPS_LOWER_CRUMBS
          "add r12, r3, #" QPS_HALF_BYTES "\n\t"
          QPS_ADD_STORED_BLOCKS("q0", "q1", "r3")
          QPS_ADD_STORED_BLOCKS("q2", "q3", "r12")
          QPS_TAKE_OFFSETS
          "b 8b\n"
          "9:\n\t"
          "add r3, #2 * " QPS_GROUP_BYTES "\n\t"
          "add r0, r0, r8, lsl #1\n\t"
          "subs r9, #2\n\t"
          "cmp r9, #1\n\t"
          "bhi 6b\n\t"
          "add r1, r1, r2, lsl #1\n\t"
          "mov r2, r10\n\t"
          "beq 10b\n\t"
          QPS_LEAVE_ALL);
}

/* clang-format on */
#endif
