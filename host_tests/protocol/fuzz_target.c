/* A libFuzzer target: whatever arrives, every frame gets one well-formed answer, and the next good request works.
 *
 * An input whose first byte is even is what arrives on the wire. Otherwise it is a list of packets, each a length
 * byte and so many bytes, which are framed with a right CRC: random bytes hardly ever get past the CRC by
 * themselves. */
#include <stdlib.h>
#include <string.h>

#include "../app/qps_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t answer[512]; /* the last frame the device sent, without its zeros */
static size_t answer_size;
static size_t answers;

int32_t qps_port_read(void)
{
    abort(); /* bytes are pushed */
}

void qps_port_write(uint8_t byte)
{
    static bool open;
    if (byte == 0U) {
        answers += open ? 1U : 0U;
        open = false;
        return;
    }
    if (!open) {
        answer_size = 0U;
        open = true;
    }
    if (answer_size == sizeof answer) {
        abort();
    }
    answer[answer_size++] = byte;
}

/* Bit by bit, not as the device does it. */
static uint32_t crc32(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xFFFFFFFFU;
    for (size_t i = 0U; i < 8U * size; i++) {
        const uint32_t bit = (crc ^ ((uint32_t)data[i / 8U] >> (i % 8U))) & 1U;
        crc = (crc >> 1) ^ (bit != 0U ? 0xEDB88320U : 0U);
    }
    return ~crc;
}

static qps_protocol_t protocol;
static bool sent_open;
static size_t sent; /* frames */

static void push(uint8_t byte)
{
    sent += byte == 0U && sent_open ? 1U : 0U;
    sent_open = byte != 0U;
    qps_protocol_receive(&protocol, byte);
    if (answers != sent) {
        abort();
    }
}

static void push_packet(const uint8_t *packet, size_t size)
{
    uint8_t bytes[256 + 4];
    const uint32_t crc = crc32(packet, size);
    memcpy(bytes, packet, size);
    for (size_t i = 0U; i < 4U; i++) {
        bytes[size + i] = (uint8_t)(crc >> (8U * i));
    }
    /* COBS from the front: as many bytes as there are up to a zero, at most 254. */
    push(0U);
    for (size_t start = 0U; start <= size + 4U;) {
        size_t count = 0U;
        while (start + count < size + 4U && bytes[start + count] != 0U && count < 254U) {
            count++;
        }
        push((uint8_t)(count + 1U));
        for (size_t i = 0U; i < count; i++) {
            push(bytes[start + i]);
        }
        start += count + (count < 254U ? 1U : 0U);
    }
    push(0U);
}

/* The last answer's packet, and whether it is well-formed. */
static size_t read_answer(uint8_t *packet)
{
    size_t size = 0U;
    for (size_t i = 0U; i < answer_size;) {
        const size_t code = answer[i];
        if (i + code > answer_size) {
            abort();
        }
        memcpy(&packet[size], &answer[i + 1U], code - 1U);
        size += code - 1U;
        i += code;
        if (i < answer_size) {
            packet[size++] = 0U;
        }
    }
    if (size < 8U || size > 248U || crc32(packet, size) != 0x2144DF1CU) {
        abort(); /* a CRC over data and its own CRC is this constant */
    }
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t echo[] = {1U, 8U, 77U, 0U, 'o', 'k', 0U, 1U};
    static const uint8_t echoed[] = {1U, 0x88U, 77U, 0U, 'o', 'k', 0U, 1U};
    uint8_t packet[sizeof answer];
    qps_protocol_init(&protocol, 2U, 1U);
    sent_open = false;
    sent = answers;
    if (size > 0U && data[0] % 2U == 0U) {
        for (size_t i = 1U; i < size; i++) {
            const size_t before = answers;
            push(data[i]);
            if (answers != before) {
                (void)read_answer(packet);
            }
        }
    } else {
        for (size_t i = 1U; i < size;) {
            const size_t left = size - i - 1U;
            const size_t count = data[i] < left ? data[i] : left;
            push_packet(&data[i + 1U], count);
            (void)read_answer(packet);
            i += 1U + count;
        }
    }
    push_packet(echo, sizeof echo);
    if (read_answer(packet) != sizeof echoed + 4U || memcmp(packet, echoed, sizeof echoed) != 0) {
        abort();
    }
    return 0;
}
