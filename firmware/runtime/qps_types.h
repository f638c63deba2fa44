/* Types every kernel and every generated model share: status codes, maps, exact shifts. */
#ifndef QPS_TYPES_H
#define QPS_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* A generated model refuses to compile against another runtime than the one it was generated with. */
#define QPS_RUNTIME_VERSION 1

#ifdef __cplusplus
#define QPS_STATIC_ASSERT(condition, message) static_assert(condition, message)
extern "C" {
#else
#define QPS_STATIC_ASSERT(condition, message) _Static_assert(condition, message)
#endif

/* Where weights go: define it to, say, __attribute__((section(".external_flash"))) to move them. */
#ifndef QPS_WEIGHTS_SECTION
#define QPS_WEIGHTS_SECTION
#endif

/* One list makes the codes and their texts, so that they cannot drift apart. */
#define QPS_STATUS_LIST(X)                                                                                             \
    X(QPS_OK, "ok")                                                                                                    \
    X(QPS_ERROR_NULL, "null pointer argument")

#define QPS_STATUS_CODE(code, text) code,
typedef enum { QPS_STATUS_LIST(QPS_STATUS_CODE) QPS_STATUS_COUNT } qps_status_t;
#undef QPS_STATUS_CODE

/* The text of a status; "unknown status" for a value outside the list. Never NULL. */
const char *qps_status_string(qps_status_t status);

/* How the integers of a map lie in memory. */
typedef enum {
    QPS_MAP_SPIKES,  /* [t][y][x] groups of 32-bit words, one bit per channel, channel c = bit c % 32 of word c / 32 */
    QPS_MAP_SPIKES8, /* [t][y][x] groups of bytes, channel c = bit c % 8 of byte c / 8; kernels that take them say so */
    QPS_MAP_COUNTS8, /* [t][y][x][c] unsigned bytes */
    QPS_MAP_COUNTS16, /* [t][y][x][c] unsigned 16-bit, native byte order */
    QPS_MAP_IMAGE_U8, /* [c][y][x] unsigned bytes, the same at every timestep */
    QPS_MAP_IMAGE_S8, /* [c][y][x] signed bytes, likewise */
    QPS_MAP_IMAGE_S16 /* [c][y][x] signed 16-bit, native byte order, likewise */
} qps_map_format_t;

typedef struct {
    uint16_t channels;
    uint16_t height;
    uint16_t width;
    uint16_t timesteps; /* frames stored: 1 for an image */
    uint16_t rows;      /* of a frame that are in memory: all of them, or the latest, row y in the place y % rows */
    qps_map_format_t format;
} qps_map_t;

/* A window that slides over a map: of a convolution or of a pool. */
typedef struct {
    uint16_t kernel_height, kernel_width;
    uint16_t stride_height, stride_width;
    uint16_t padding_height, padding_width;
    uint16_t dilation_height, dilation_width;
} qps_window_t;

/* Place of the lowest bit that is set; one is. */
static inline uint32_t qps_lowest_bit(uint32_t word)
{
#if defined(__GNUC__) && (!defined(__thumb__) || defined(__thumb2__))
    return (uint32_t)__builtin_ctz(word);
#else
    uint32_t bit = 0U;
    for (; (word & 0xFFU) == 0U; word >>= 8) {
        bit += 8U;
    }
    for (; (word & 1U) == 0U; word >>= 1) {
        bit++;
    }
    return bit;
#endif
}

/* floor(value / 2^bits) for bits < 32, also for negative values, where C leaves >> to the compiler. */
static inline int32_t qps_shift_right(int32_t value, uint32_t bits)
{
    return value < 0 ? ~(~value >> bits) : value >> bits;
}

/* The same for 64 bits, bits < 64. */
static inline int64_t qps_shift_right_64(int64_t value, uint32_t bits)
{
    return value < 0 ? ~(~value >> bits) : value >> bits;
}

/* value * 2^bits; the caller has proven that the result fits. A left shift of a negative value is undefined in C. */
static inline int32_t qps_scale_up(int32_t value, uint32_t bits)
{
    return value * (int32_t)(UINT32_C(1) << bits);
}

#ifdef __cplusplus
}
#endif
#endif
