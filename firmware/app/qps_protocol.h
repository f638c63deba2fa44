/* The device's side of the serial protocol, version 1 (docs/protocol.md): one network, one input buffer, one answer to
 * every frame. Needs app/model.h, the port's functions, and nothing of the processor.
 *
 * The build names the board: QPS_BOARD_NAME and QPS_CORE_NAME are strings, QPS_COUNTER_HZ is the counter's ticks per
 * second. */
#ifndef QPS_PROTOCOL_H
#define QPS_PROTOCOL_H

#include "model.h"
#include "qps_frame.h"
#include "qps_port.h"
#include "../runtime/qps_trace.h"

#define QPS_PROTOCOL_VERSION 1U

/* Built with QPS_FAULT_TESTS defined to 1, an image has a request that provokes faults. For tests only. */
#ifndef QPS_FAULT_TESTS
#define QPS_FAULT_TESTS 0
#endif

typedef enum {
    QPS_REQUEST_HELLO = 0x01,
    QPS_REQUEST_WRITE = 0x02,
    QPS_REQUEST_RUN = 0x03,
    QPS_REQUEST_LOGITS = 0x04,
    QPS_REQUEST_PROFILE = 0x05,
    QPS_REQUEST_TRACE = 0x06,
    QPS_REQUEST_SPIKES = 0x07,
    QPS_REQUEST_ECHO = 0x08,
    QPS_REQUEST_STATS = 0x09,
    QPS_REQUEST_PROVOKE = 0x70,
    QPS_REQUEST_END = 0x7E, /* types from here on are no requests */
    QPS_ANSWER = 0x80,      /* added to a request's type */
    QPS_ANSWER_REJECT = 0xFE,
    QPS_ANSWER_FAULT = 0xFF
} qps_packet_type_t;

typedef struct {
    qps_frame_t frame; /* the request, and then its answer in the same place */
    uint32_t answered[QPS_WIRE_STATUS_COUNT];
    uint32_t runs;
    uint32_t calibration_instructions;
    uint32_t calibration_ticks;
    uint32_t logits_of; /* CRC of the input that logits[] belongs to ... */
    bool has_logits;    /* ... if there is any */
    int32_t logits[QPS_MODEL_CLASSES];
#if QPS_TRACE
    uint32_t ticks[QPS_MODEL_STAGES + 1U]; /* of each stage; see qps_add_time() */
#endif
    qps_model_t net;
    /* Last, so that a write beyond it is one beyond the whole object, which sanitizers see. The bytes on the wire
     * are these bytes: inputs wider than a byte are little-endian, as all supported processors are. */
    qps_model_input_t input[QPS_MODEL_INPUT_SIZE];
} qps_protocol_t;

/* Start: no input, nothing counted. What the calibration loop did is only passed on. */
void qps_protocol_init(qps_protocol_t *protocol, uint32_t calibration_instructions, uint32_t calibration_ticks);

/* Take one byte from the wire; if it ends a frame, answer it through qps_port_write() before returning. */
void qps_protocol_receive(qps_protocol_t *protocol, uint8_t byte);

/* Read from the port and answer, forever. */
_Noreturn void qps_protocol_serve(qps_protocol_t *protocol);

/* Report a fault, and report it again to every frame that arrives, forever. */
_Noreturn void qps_protocol_fault(const qps_fault_t *fault);

#if QPS_FAULT_TESTS
typedef enum {
    QPS_PROVOKE_STACK = 1,
    QPS_PROVOKE_BUS,
    QPS_PROVOKE_ASSERT,
    QPS_PROVOKE_SILENCE, /* no fault: two seconds without an answer */
    QPS_PROVOKE_END
} qps_provoke_t;

/* The application's: misbehave. Returns when the kind is no fault, or when the fault did not happen. */
void qps_provoke(qps_provoke_t kind);
#endif

#endif
