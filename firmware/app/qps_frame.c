#include "qps_frame.h"

/* So COBS's one special case, a block of 254 bytes with no zero behind it, is never sent and always too long. */
_Static_assert(QPS_PACKET_MAX < 254U, "a packet must fit into one COBS block");

uint32_t qps_crc32(uint32_t crc, const void *data, uint32_t size)
{
    /* CRCs of the sixteen half bytes, reflected polynomial 0xEDB88320. */
    static const uint32_t table[16] = {
        0x00000000U, 0x1DB71064U, 0x3B6E20C8U, 0x26D930ACU, 0x76DC4190U, 0x6B6B51F4U, 0x4DB26158U, 0x5005713CU,
        0xEDB88320U, 0xF00F9344U, 0xD6D6A3E8U, 0xCB61B38CU, 0x9B64C2B0U, 0x86D3D2D4U, 0xA00AE278U, 0xBDBDF21CU,
    };
    const uint8_t *const bytes = (const uint8_t *)data;
    crc = ~crc;
    for (uint32_t i = 0U; i < size; i++) {
        crc ^= bytes[i];
        crc = (crc >> 4) ^ table[crc & 0xFU];
        crc = (crc >> 4) ^ table[crc & 0xFU];
    }
    return ~crc;
}

static void append(qps_frame_t *frame, uint8_t byte)
{
    if (frame->length < QPS_PACKET_MAX) {
        frame->packet[frame->length] = byte;
    }
    if (frame->length <= QPS_PACKET_MAX) {
        frame->length++;
    }
}

bool qps_frame_push(qps_frame_t *frame, uint8_t byte)
{
    if (byte == 0U) {
        const bool ended = frame->open;
        frame->open = false;
        return ended;
    }
    if (!frame->open) {
        frame->open = true;
        frame->length = 0U;
        frame->left = 0U;
        frame->zero = false;
    }
    if (frame->left == 0U) {
        if (frame->zero) {
            append(frame, 0U);
        }
        frame->left = (uint8_t)(byte - 1U);
        frame->zero = true;
    } else {
        frame->left--;
        append(frame, byte);
    }
    return false;
}

qps_wire_t qps_frame_check(const qps_frame_t *frame)
{
    if (frame->length > QPS_PACKET_MAX) {
        return QPS_WIRE_TOO_LONG;
    }
    if (frame->left != 0U) {
        return QPS_WIRE_BAD_COBS;
    }
    if (frame->length < QPS_HEADER_BYTES + QPS_CRC_BYTES) {
        return QPS_WIRE_TOO_SHORT;
    }
    const uint32_t covered = frame->length - QPS_CRC_BYTES;
    return qps_load_u32(&frame->packet[covered]) == qps_crc32(0U, frame->packet, covered) ? QPS_WIRE_OK
                                                                                          : QPS_WIRE_BAD_CRC;
}

void qps_frame_send(uint8_t *packet, uint32_t length, qps_write_fn *write)
{
    const uint32_t size = length + QPS_CRC_BYTES;
    qps_store_u32(&packet[length], qps_crc32(0U, packet, length));
    /* The first zero ends whatever the line's noise has begun. */
    write(0U);
    for (uint32_t start = 0U; start <= size; start++) {
        uint32_t end = start;
        while (end < size && packet[end] != 0U) {
            end++;
        }
        write((uint8_t)(end - start + 1U));
        for (; start < end; start++) {
            write(packet[start]);
        }
    }
    write(0U);
}
