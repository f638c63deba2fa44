/* Frames of the serial protocol, version 1 (docs/protocol.md): packets with a CRC-32, made free of zeros by COBS,
 * between zeros. Receiving takes one byte at a time into a buffer of fixed size, whatever the bytes are. */
#ifndef QPS_FRAME_H
#define QPS_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#define QPS_HEADER_BYTES 4U /* version, type, sequence, status */
#define QPS_BODY_MAX 240U
#define QPS_CRC_BYTES 4U
#define QPS_PACKET_MAX (QPS_HEADER_BYTES + QPS_BODY_MAX + QPS_CRC_BYTES)

/* What an answer says of a frame. The order is the number on the wire. */
#define QPS_WIRE_STATUS_LIST(X)                                                                                        \
    X(OK)                                                                                                              \
    X(BAD_VERSION)  /* another version of the protocol */                                                              \
    X(UNKNOWN_TYPE) /* no such request */                                                                              \
    X(BAD_LENGTH)   /* this request has a body of another length */                                                    \
    X(OUT_OF_RANGE) /* an offset, index or kind beyond what there is */                                                \
    X(OTHER_INPUT)  /* the input in the device, or that of the last run, has another CRC */                            \
    X(NOT_TRACED)   /* the image was built without the trace hooks */                                                  \
    X(MODEL_ERROR)  /* the network's run function refused */                                                           \
    X(BAD_CRC)                                                                                                         \
    X(BAD_COBS)  /* the frame ends inside a block */                                                                   \
    X(TOO_LONG)  /* more than QPS_PACKET_MAX bytes */                                                                  \
    X(TOO_SHORT) /* less than a header and a CRC */                                                                    \
    X(FAULTED)   /* the processor has faulted; only a reset helps */

#define QPS_WIRE_STATUS_CODE(name) QPS_WIRE_##name,
typedef enum { QPS_WIRE_STATUS_LIST(QPS_WIRE_STATUS_CODE) QPS_WIRE_STATUS_COUNT } qps_wire_t;
#undef QPS_WIRE_STATUS_CODE

/* A frame as it arrives. All zeros is a good start. */
typedef struct {
    uint8_t packet[QPS_PACKET_MAX];
    uint16_t length; /* bytes of the packet so far; QPS_PACKET_MAX + 1 when there were more than fit */
    uint8_t left;    /* bytes of the current COBS block still to come */
    bool zero;       /* a zero stands before the next block: it is not the first */
    bool open;       /* there was a byte since the last zero on the wire */
} qps_frame_t;

/* Take one byte from the wire; true if it ends a frame, which is then in packet[0 .. length) until the next byte. */
bool qps_frame_push(qps_frame_t *frame, uint8_t byte);

/* What is wrong with a frame that has ended: OK, TOO_LONG, BAD_COBS, TOO_SHORT or BAD_CRC. */
qps_wire_t qps_frame_check(const qps_frame_t *frame);

/* Sends one byte. */
typedef void qps_write_fn(uint8_t byte);

/* Send packet[0 .. length) as a frame of its own. The CRC is put into the QPS_CRC_BYTES bytes behind it, which must
 * exist; length is at most QPS_PACKET_MAX - QPS_CRC_BYTES. */
void qps_frame_send(uint8_t *packet, uint32_t length, qps_write_fn *write);

/* CRC-32 as in zlib: crc is 0, or the result for the bytes before these. */
uint32_t qps_crc32(uint32_t crc, const void *data, uint32_t size);

/* Integers on the wire are little-endian, whatever the processor is. */
static inline uint32_t qps_load_u32(const uint8_t *at)
{
    return (uint32_t)at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) | ((uint32_t)at[3] << 24);
}

static inline void qps_store_u32(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value & 0xFFU);
    at[1] = (uint8_t)((value >> 8) & 0xFFU);
    at[2] = (uint8_t)((value >> 16) & 0xFFU);
    at[3] = (uint8_t)(value >> 24);
}

#endif
