#include "qps_protocol.h"

#include <string.h>

#include "qps_listeners.h"

#if !defined(QPS_BOARD_NAME) || !defined(QPS_CORE_NAME) || !defined(QPS_COUNTER_HZ)
#error "the build must define QPS_BOARD_NAME, QPS_CORE_NAME and QPS_COUNTER_HZ"
#endif

#define WORDS_MAX (QPS_BODY_MAX / 4U) /* 32-bit values of one answer */
#define INPUT_BYTES ((uint32_t)sizeof(((qps_protocol_t *)0)->input))

enum { AT_VERSION, AT_TYPE, AT_SEQUENCE, AT_STATUS, AT_BODY };
_Static_assert((unsigned)AT_BODY == QPS_HEADER_BYTES, "the header is four bytes");

#define HELLO_FIXED_BYTES 80U
_Static_assert(sizeof(QPS_MODEL_SHA256) == 65U, "a SHA-256 has 64 digits");
_Static_assert(HELLO_FIXED_BYTES + sizeof(QPS_MODEL_NAME) + sizeof(QPS_MODEL_TOOL_VERSION) + sizeof(QPS_BOARD_NAME) +
                       sizeof(QPS_CORE_NAME) <=
                   QPS_BODY_MAX,
               "the names are too long for one answer");
_Static_assert(QPS_MODEL_STAGES <= UINT16_MAX && QPS_MODEL_TRACE_LAYERS <= UINT16_MAX &&
                   QPS_MODEL_TIMESTEPS <= UINT16_MAX,
               "counts are sent as 16 bits");

/* Requests by type, with the least and the most bytes of their bodies. */
static const struct {
    uint8_t type, least, most;
} requests[] = {
    {QPS_REQUEST_HELLO, 0U, 0U},    {QPS_REQUEST_WRITE, 4U, QPS_BODY_MAX}, {QPS_REQUEST_RUN, 4U, 4U},
    {QPS_REQUEST_LOGITS, 8U, 8U},   {QPS_REQUEST_PROFILE, 8U, 8U},         {QPS_REQUEST_TRACE, 8U, 8U},
    {QPS_REQUEST_SPIKES, 16U, 16U}, {QPS_REQUEST_ECHO, 0U, QPS_BODY_MAX},  {QPS_REQUEST_STATS, 0U, 0U},
#if QPS_FAULT_TESTS
    {QPS_REQUEST_PROVOKE, 4U, 4U},
#endif
};

static uint8_t *put_u16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value & 0xFFU);
    at[1] = (uint8_t)((value >> 8) & 0xFFU);
    return at + 2;
}

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    qps_store_u32(at, value);
    return at + 4;
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    do {
        *at++ = (uint8_t)*text;
    } while (*text++ != '\0');
    return at;
}

static uint32_t hex_digit(char digit)
{
    return (uint32_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* How many of total things an answer carries that begins at first and has room for most of them; 0 if first is no such
 * thing. */
static uint32_t count_from(uint32_t first, uint32_t total, uint32_t most)
{
    const uint32_t count = first < total ? total - first : 0U;
    return count < most ? count : most;
}

/* --- the requests: each reads its body, writes its answer over it and sets *size from that one's bytes to its own */

static qps_wire_t answer_hello(const qps_protocol_t *protocol, uint8_t *body, uint32_t *size)
{
    static const char digest[] = QPS_MODEL_SHA256;
    uint8_t *at = body;
    at = put_u16(at, QPS_BODY_MAX);
    at = put_u16(at, QPS_MODEL_TRACE_LAYERS);
    at = put_u16(at, QPS_MODEL_TIMESTEPS);
    at = put_u16(at, QPS_MODEL_STAGES);
    at = put_u32(at, INPUT_BYTES);
    at = put_u32(at, QPS_MODEL_CLASSES);
    at = put_u32(at, QPS_MODEL_ARENA_BYTES);
    at = put_u32(at, QPS_MODEL_WEIGHT_BYTES);
    at = put_u32(at, QPS_MODEL_CONSTANT_BYTES);
    at = put_u32(at, qps_port_stack_size());
    at = put_u32(at, QPS_COUNTER_HZ);
    at = put_u32(at, protocol->calibration_instructions);
    at = put_u32(at, protocol->calibration_ticks);
    at = put_u32(at, (QPS_TRACE ? 1U : 0U) | (QPS_FAULT_TESTS ? 2U : 0U));
    for (uint32_t i = 0U; i < sizeof digest - 1U; i += 2U) {
        *at++ = (uint8_t)((hex_digit(digest[i]) << 4) | hex_digit(digest[i + 1U]));
    }
    at = put_text(at, QPS_MODEL_NAME);
    at = put_text(at, QPS_MODEL_TOOL_VERSION);
    at = put_text(at, QPS_BOARD_NAME);
    at = put_text(at, QPS_CORE_NAME);
    *size = (uint32_t)(at - body);
    return QPS_WIRE_OK;
}

static qps_wire_t answer_write(qps_protocol_t *protocol, const uint8_t *body, uint32_t *size)
{
    const uint32_t offset = qps_load_u32(body);
    const uint32_t count = *size - 4U;
    if (offset > INPUT_BYTES || count > INPUT_BYTES - offset) {
        return QPS_WIRE_OUT_OF_RANGE;
    }
    memcpy((uint8_t *)protocol->input + offset, body + 4, count);
    *size = 0U;
    return QPS_WIRE_OK;
}

/* Run the network on the input, if that is the one with this CRC. */
static qps_wire_t run(qps_protocol_t *protocol, uint32_t crc, uint32_t *ticks)
{
    if (qps_crc32(0U, protocol->input, INPUT_BYTES) != crc) {
        return QPS_WIRE_OTHER_INPUT;
    }
    qps_port_counter_start();
    const qps_status_t status = qps_model_run(&protocol->net, protocol->input, protocol->logits);
    *ticks = qps_port_counter();
    protocol->runs++;
    protocol->logits_of = crc;
    protocol->has_logits = status == QPS_OK;
    return status == QPS_OK ? QPS_WIRE_OK : QPS_WIRE_MODEL_ERROR;
}

static qps_wire_t answer_run(qps_protocol_t *protocol, uint8_t *body, uint32_t *size)
{
    uint32_t ticks = 0U;
    uint32_t best = 0U;
    const qps_wire_t status = run(protocol, qps_load_u32(body), &ticks);
    for (uint32_t k = 1U; k < QPS_MODEL_CLASSES; k++) {
        if (protocol->logits[k] > protocol->logits[best]) {
            best = k;
        }
    }
    qps_store_u32(body, best);
    qps_store_u32(body + 4, ticks);
    qps_store_u32(body + 8, qps_port_stack_used());
    *size = 12U;
    return status;
}

static qps_wire_t answer_logits(const qps_protocol_t *protocol, uint8_t *body, uint32_t *size)
{
    const uint32_t first = qps_load_u32(body + 4);
    const uint32_t count = count_from(first, QPS_MODEL_CLASSES, WORDS_MAX);
    if (count == 0U) {
        return QPS_WIRE_OUT_OF_RANGE;
    }
    if (!protocol->has_logits || protocol->logits_of != qps_load_u32(body)) {
        return QPS_WIRE_OTHER_INPUT;
    }
    for (uint32_t i = 0U; i < count; i++) {
        qps_store_u32(body + 4U * i, (uint32_t)protocol->logits[first + i]);
    }
    *size = 4U * count;
    return QPS_WIRE_OK;
}

#if QPS_TRACE
/* run() while sink listens. */
static qps_wire_t run_traced(qps_protocol_t *protocol, uint32_t crc, const qps_trace_sink_t *sink)
{
    uint32_t ticks;
    qps_trace_sink = sink;
    const qps_wire_t status = run(protocol, crc, &ticks);
    qps_trace_sink = NULL;
    return status;
}

static qps_wire_t answer_profile(qps_protocol_t *protocol, uint8_t *body, uint32_t *size)
{
    const uint32_t crc = qps_load_u32(body);
    const uint32_t first = qps_load_u32(body + 4);
    const uint32_t count = count_from(first, QPS_MODEL_STAGES, WORDS_MAX / 2U);
    qps_listener_t listener = {.values = body, .first = first, .count = count};
    const qps_trace_sink_t timing = {.stage = qps_add_time, .context = protocol->ticks};
    const qps_trace_sink_t counting = {
        .stage = qps_keep_stage, .operations = qps_count_operations, .context = &listener};
    if (count == 0U) {
        return QPS_WIRE_OUT_OF_RANGE;
    }
    memset(protocol->ticks, 0, sizeof protocol->ticks);
    protocol->ticks[QPS_MODEL_STAGES] = QPS_MODEL_STAGES;
    qps_wire_t status = run_traced(protocol, crc, &timing);
    if (status != QPS_WIRE_OK) {
        return status;
    }
    for (uint32_t i = 0U; i < count; i++) {
        qps_store_u32(body + 8U * i, protocol->ticks[first + i]);
        qps_store_u32(body + 8U * i + 4U, 0U);
    }
    status = run_traced(protocol, crc, &counting);
    *size = 8U * count;
    return status;
}

static qps_wire_t answer_trace(qps_protocol_t *protocol, uint8_t *body, uint32_t *size)
{
    const uint32_t crc = qps_load_u32(body);
    const uint32_t first = qps_load_u32(body + 4);
    const uint32_t count = count_from(first, QPS_MODEL_TRACE_LAYERS * QPS_MODEL_TIMESTEPS, WORDS_MAX);
    qps_listener_t listener = {.values = body, .first = first, .count = count};
    const qps_trace_sink_t sink = {.spikes = qps_digest_spikes, .context = &listener};
    if (count == 0U) {
        return QPS_WIRE_OUT_OF_RANGE;
    }
    *size = 4U * count;
    memset(body, 0, *size);
    return run_traced(protocol, crc, &sink);
}

static qps_wire_t answer_spikes(qps_protocol_t *protocol, uint8_t *body, uint32_t *size)
{
    const uint32_t crc = qps_load_u32(body);
    const uint32_t layer = qps_load_u32(body + 4);
    const uint32_t t = qps_load_u32(body + 8);
    const uint32_t first = qps_load_u32(body + 12);
    const uint32_t known = count_from(layer, QPS_MODEL_TRACE_LAYERS, 1U) * count_from(t, QPS_MODEL_TIMESTEPS, 1U);
    const qps_model_trace_t *const map = &qps_trace_table[known != 0U ? layer : QPS_MODEL_TRACE_LAYERS];
    const uint32_t count = count_from(first, map->height * map->width * map->words, WORDS_MAX);
    qps_listener_t listener = {.values = body, .first = first, .count = count, .layer = layer, .t = t};
    const qps_trace_sink_t sink = {.spikes = qps_keep_spikes, .context = &listener};
    if (count == 0U) {
        return QPS_WIRE_OUT_OF_RANGE;
    }
    *size = 4U * count;
    return run_traced(protocol, crc, &sink);
}
#endif

static qps_wire_t answer_stats(const qps_protocol_t *protocol, uint8_t *body, uint32_t *size)
{
    const uint32_t *const answered = protocol->answered;
    uint8_t *at = body;
    at = put_u32(at, answered[QPS_WIRE_OK] + answered[QPS_WIRE_OTHER_INPUT] + answered[QPS_WIRE_NOT_TRACED] +
                         answered[QPS_WIRE_MODEL_ERROR]);
    at = put_u32(at, answered[QPS_WIRE_BAD_CRC]);
    at = put_u32(at, answered[QPS_WIRE_BAD_COBS]);
    at = put_u32(at, answered[QPS_WIRE_TOO_LONG]);
    at = put_u32(at, answered[QPS_WIRE_TOO_SHORT]);
    at = put_u32(at, answered[QPS_WIRE_BAD_VERSION]);
    at = put_u32(at, answered[QPS_WIRE_UNKNOWN_TYPE]);
    at = put_u32(at, answered[QPS_WIRE_BAD_LENGTH] + answered[QPS_WIRE_OUT_OF_RANGE]);
    at = put_u32(at, protocol->runs);
    at = put_u32(at, qps_port_stack_used());
    *size = (uint32_t)(at - body);
    return QPS_WIRE_OK;
}

#if QPS_FAULT_TESTS
static qps_wire_t answer_provoke(const uint8_t *body, uint32_t *size)
{
    const uint32_t kind = qps_load_u32(body);
    if (kind == 0U || kind >= QPS_PROVOKE_END) {
        return QPS_WIRE_OUT_OF_RANGE;
    }
    qps_provoke((qps_provoke_t)kind);
    *size = 0U;
    return QPS_WIRE_OK;
}
#endif

/* --- dispatch */

static qps_wire_t check_request(const uint8_t *packet, uint32_t size)
{
    if (packet[AT_VERSION] != QPS_PROTOCOL_VERSION) {
        return QPS_WIRE_BAD_VERSION;
    }
    for (uint32_t i = 0U; i < sizeof requests / sizeof requests[0]; i++) {
        if (requests[i].type == packet[AT_TYPE]) {
            return size >= requests[i].least && size <= requests[i].most ? QPS_WIRE_OK : QPS_WIRE_BAD_LENGTH;
        }
    }
    return QPS_WIRE_UNKNOWN_TYPE;
}

static qps_wire_t answer(qps_protocol_t *protocol, uint8_t *packet, uint32_t *size)
{
    uint8_t *const body = &packet[AT_BODY];
    const qps_wire_t status = check_request(packet, *size);
    if (status != QPS_WIRE_OK) {
        return status;
    }
    switch (packet[AT_TYPE]) {
    case QPS_REQUEST_HELLO:
        return answer_hello(protocol, body, size);
    case QPS_REQUEST_WRITE:
        return answer_write(protocol, body, size);
    case QPS_REQUEST_RUN:
        return answer_run(protocol, body, size);
    case QPS_REQUEST_LOGITS:
        return answer_logits(protocol, body, size);
#if QPS_TRACE
    case QPS_REQUEST_PROFILE:
        return answer_profile(protocol, body, size);
    case QPS_REQUEST_TRACE:
        return answer_trace(protocol, body, size);
    case QPS_REQUEST_SPIKES:
        return answer_spikes(protocol, body, size);
#endif
    case QPS_REQUEST_ECHO:
        return QPS_WIRE_OK;
    case QPS_REQUEST_STATS:
        return answer_stats(protocol, body, size);
#if QPS_FAULT_TESTS
    case QPS_REQUEST_PROVOKE:
        return answer_provoke(body, size);
#endif
    default:
        return QPS_WIRE_NOT_TRACED; /* of all requests only the traced ones can be missing here */
    }
}

void qps_protocol_init(qps_protocol_t *protocol, uint32_t calibration_instructions, uint32_t calibration_ticks)
{
    memset(protocol, 0, sizeof *protocol);
    qps_model_init(&protocol->net);
    protocol->calibration_instructions = calibration_instructions;
    protocol->calibration_ticks = calibration_ticks;
}

void qps_protocol_receive(qps_protocol_t *protocol, uint8_t byte)
{
    uint8_t *const packet = protocol->frame.packet;
    uint32_t size = 0U;
    if (!qps_frame_push(&protocol->frame, byte)) {
        return;
    }
    qps_wire_t status = qps_frame_check(&protocol->frame);
    if (status == QPS_WIRE_OK && packet[AT_TYPE] < QPS_REQUEST_END) {
        size = protocol->frame.length - QPS_HEADER_BYTES - QPS_CRC_BYTES;
        status = answer(protocol, packet, &size);
        packet[AT_TYPE] |= QPS_ANSWER;
    } else {
        status = status == QPS_WIRE_OK ? check_request(packet, 0U) : status;
        packet[AT_TYPE] = QPS_ANSWER_REJECT;
        packet[AT_SEQUENCE] = 0U;
    }
    packet[AT_VERSION] = QPS_PROTOCOL_VERSION;
    packet[AT_STATUS] = (uint8_t)status;
    protocol->answered[status]++;
    qps_frame_send(packet, QPS_HEADER_BYTES + (status == QPS_WIRE_OK ? size : 0U), qps_port_write);
}

_Noreturn void qps_protocol_serve(qps_protocol_t *protocol)
{
    for (;;) {
        const int32_t byte = qps_port_read();
        if (byte >= 0) {
            qps_protocol_receive(protocol, (uint8_t)byte);
        }
    }
}

_Noreturn void qps_protocol_fault(const qps_fault_t *fault)
{
    uint8_t packet[QPS_HEADER_BYTES + 24U + QPS_CRC_BYTES] = {QPS_PROTOCOL_VERSION, QPS_ANSWER_FAULT, 0U,
                                                              QPS_WIRE_FAULTED};
    bool open = false;
    bool ended = true;
    uint8_t *at = &packet[AT_BODY];
    at = put_u32(at, fault->kind);
    at = put_u32(at, fault->pc);
    at = put_u32(at, fault->lr);
    at = put_u32(at, fault->sp);
    at = put_u32(at, fault->status);
    at = put_u32(at, fault->address);
    for (;;) {
        if (ended) {
            qps_frame_send(packet, (uint32_t)(at - packet), qps_port_write);
        }
        const int32_t byte = qps_port_read();
        ended = byte == 0 && open;
        open = byte < 0 ? open : byte != 0;
    }
}
