/* Lanes: several small unsigned numbers in one 32-bit register, and the few operations that differ from core to core.
 *
 * A word of weight codes holds 32 / bits of them. Added up as a whole, carries run from lane to lane; subtracting
 * every other lane, summed apart, takes them out again, exactly, because all of it is arithmetic modulo 2^32. */
#ifndef QPS_LANES_H
#define QPS_LANES_H

#include <string.h>

#include "qps_types.h"

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "lanes are read back as halves of a word: little-endian cores only"
#endif

/* Cores with the DSP extension widen and add in one instruction. */
#if defined(__ARM_FEATURE_SIMD32) && !defined(QPS_NO_DSP)
#define QPS_DSP 1
#else
#define QPS_DSP 0
#endif

/* Thumb-2 cores have registers enough for four words of lanes at once. */
#if defined(__thumb__) && !defined(__thumb2__)
#define QPS_NARROW_CORE 1
#else
#define QPS_NARROW_CORE 0
#endif

/* Cores with Helium, the M-profile vector extension: registers of 16 bytes. */
#if defined(__GNUC__) && defined(__ARM_FEATURE_MVE) && !defined(QPS_NO_HELIUM)
#define QPS_HELIUM 1
#else
#define QPS_HELIUM 0
#endif

/* Where blocks of rows are added up by loops of their own: qps_blocks.c, qps_blocks_helium.c, and
 * qps_blocks_narrow.c for cores without Thumb-2. */
#if defined(__GNUC__) && defined(__thumb2__)
#define QPS_BLOCKS 1
#else
#define QPS_BLOCKS 0
#endif
#if defined(__GNUC__) && QPS_NARROW_CORE
#define QPS_NARROW_BLOCKS 1
#else
#define QPS_NARROW_BLOCKS 0
#endif

/* Whether a word may be read from any address. */
#if defined(__arm__) && !defined(__ARM_FEATURE_UNALIGNED)
#define QPS_UNALIGNED 0
#else
#define QPS_UNALIGNED 1
#endif

/* Keep a value in a register as it is: stops the compiler from merging it into an expression that costs more. */
#if defined(__GNUC__) && defined(__arm__)
#define QPS_KEEP(value) __asm("" : "+r"(value))
#else
#define QPS_KEEP(value) ((void)0)
#endif

/* For loops that need all registers for themselves. */
#if defined(__GNUC__)
#define QPS_ALONE __attribute__((noinline))
#else
#define QPS_ALONE
#endif

/* For functions that take others, constants all of them, to be made one loop of. */
#if defined(__GNUC__)
#define QPS_MERGED static inline __attribute__((always_inline))
#else
#define QPS_MERGED static inline
#endif

/* Half a word that is also used as a whole. */
#if defined(__GNUC__)
typedef uint16_t __attribute__((may_alias)) qps_half_t;
#else
typedef uint16_t qps_half_t;
#endif

/* Set words to 0: a loop, since libraries for small cores clear byte by byte. */
static inline void qps_clear_words(uint32_t *words, uint32_t count)
{
    for (; count >= 8U; count -= 8U, words += 8) {
        words[0] = 0U;
        words[1] = 0U;
        words[2] = 0U;
        words[3] = 0U;
        words[4] = 0U;
        words[5] = 0U;
        words[6] = 0U;
        words[7] = 0U;
        QPS_KEEP(words);
    }
    for (; count > 0U; count--, words++) {
        *words = 0U;
        QPS_KEEP(words);
    }
}

/* A word of a row; rows are 4-byte aligned. */
static inline uint32_t qps_load_word(const uint8_t *bytes)
{
#if defined(__GNUC__)
    const uint8_t *const aligned = (const uint8_t *)__builtin_assume_aligned(bytes, 4);
#else
    const uint8_t *const aligned = bytes;
#endif
    uint32_t word;
    memcpy(&word, aligned, sizeof word);
    return word;
}

/* Four bytes at the address of a word if aligned, else anywhere: which is slow on cores that cannot read words
 * there. */
static inline uint32_t qps_load_four(const uint8_t *bytes, int aligned)
{
    uint32_t word;
    if (!QPS_UNALIGNED && aligned) {
        return qps_load_word(bytes);
    }
    memcpy(&word, bytes, sizeof word);
    return word;
}

/* One to three bytes of a word; the others are 0. */
static inline uint32_t qps_load_bytes(const uint8_t *bytes, uint32_t count)
{
    uint32_t word = bytes[0];
    if (count > 1U) {
        word |= (uint32_t)bytes[1] << 8;
    }
    if (count > 2U) {
        word |= (uint32_t)bytes[2] << 16;
    }
    return word;
}

static inline void qps_store_four(uint8_t *bytes, int aligned, uint32_t word)
{
    if (!QPS_UNALIGNED && aligned) {
        *(uint32_t *)(void *)bytes = word;
    } else {
        memcpy(bytes, &word, sizeof word);
    }
}

/* Bytes 0 and 2 of a word as two 16-bit lanes. */
static inline uint32_t qps_even_bytes(uint32_t word)
{
#if QPS_DSP
    uint32_t lanes;
    __asm("uxtb16 %0, %1" : "=r"(lanes) : "r"(word));
    return lanes;
#else
    return word & UINT32_C(0x00FF00FF);
#endif
}

/* Bytes 1 and 3. */
static inline uint32_t qps_odd_bytes(uint32_t word)
{
#if QPS_DSP
    uint32_t lanes;
    __asm("uxtb16 %0, %1, ror #8" : "=r"(lanes) : "r"(word));
    return lanes;
#else
    return (word >> 8) & UINT32_C(0x00FF00FF);
#endif
}

/* sums + the same, lane by lane. */
static inline uint32_t qps_add_even_bytes(uint32_t sums, uint32_t word)
{
#if QPS_DSP
    uint32_t lanes;
    __asm("uxtab16 %0, %1, %2" : "=r"(lanes) : "r"(sums), "r"(word));
    return lanes;
#else
    return sums + qps_even_bytes(word);
#endif
}

static inline uint32_t qps_add_odd_bytes(uint32_t sums, uint32_t word)
{
#if QPS_DSP
    uint32_t lanes;
    __asm("uxtab16 %0, %1, %2, ror #8" : "=r"(lanes) : "r"(sums), "r"(word));
    return lanes;
#else
    return sums + qps_odd_bytes(word);
#endif
}

/* Add the eight 4-bit lanes of a word to lanes of 8 bits: all of them to all, every other one to upper as well, which
 * qps_lower_nibbles() takes out again. */
static inline void qps_add_nibbles(uint32_t word, uint32_t *all, uint32_t *upper)
{
    uint32_t odd = word & UINT32_C(0xF0F0F0F0);
    QPS_KEEP(odd);
    *all += word;
    *upper += odd >> 4;
}

/* Add the four bytes of a word to 16-bit lanes: the odd ones to odd, and to even the even ones, or all of them where
 * that is one instruction less; qps_even_lanes() then takes the odd ones out again. */
static inline void qps_add_bytes(uint32_t word, uint32_t *even, uint32_t *odd)
{
#if QPS_DSP
    *even = qps_add_even_bytes(*even, word);
#else
    *even += word;
#endif
    *odd = qps_add_odd_bytes(*odd, word);
}

static inline uint32_t qps_even_lanes(uint32_t even, uint32_t odd)
{
#if QPS_DSP
    (void)odd;
    return even;
#else
    return even - (odd << 8);
#endif
}

/* Two sums of products in one: of the codes at bits 0 to 7 and 24 to 31 of a word. Cores that multiply to 64 bits
 * hold both in one sum, the others apart. */
#if QPS_NARROW_CORE
typedef struct {
    uint32_t low, high;
} qps_pair_sum_t;
#define QPS_NO_PAIR_SUM {0U, 0U}
#else
typedef uint64_t qps_pair_sum_t;
#define QPS_NO_PAIR_SUM 0U
#endif

static inline qps_pair_sum_t qps_pair_multiply(qps_pair_sum_t sum, uint32_t codes, uint32_t value)
{
#if QPS_NARROW_CORE
    sum.low += (codes & 0xFFU) * value;
    sum.high += (codes >> 24) * value;
    return sum;
#else
    return sum + (uint64_t)codes * value;
#endif
}

static inline void qps_pair_split(qps_pair_sum_t sum, uint32_t *sums)
{
#if QPS_NARROW_CORE
    sums[0] = sum.low;
    sums[1] = sum.high;
#else
    sums[0] = (uint32_t)sum & UINT32_C(0x00FFFFFF);
    sums[1] = (uint32_t)(sum >> 24);
#endif
}

#endif
