/* What an application may ask of any board, and what a board asks of the application.
 *
 * Every board is one folder beside this one; its board.c implements the first group of functions. startup.c and
 * faults.c are the same for all of them. */
#ifndef QPS_PORT_H
#define QPS_PORT_H

#include <stdint.h>

/* --- what a board implements */

/* Clock, UART (8N1 at the baud rate of board.toml) and counter. Called once, before main(). */
void qps_port_init(void);

/* The next received byte, or -1 when there is none. Does not wait. */
int32_t qps_port_read(void);

/* Send one byte; waits until the UART takes it. */
void qps_port_write(uint8_t byte);

/* Start the counter from 0, in the same phase of its clock every time: two runs of the same code count the same. */
void qps_port_counter_start(void);

/* Ticks since qps_port_counter_start(). Wraps after 2^32 of them, however narrow the hardware's own counter. */
uint32_t qps_port_counter(void);

/* --- what startup.c and faults.c give every board */

/* Bytes reserved for the stack. */
uint32_t qps_port_stack_size(void);

/* Bytes of it that were ever used since the start: all of it is painted before main(). */
uint32_t qps_port_stack_used(void);

typedef enum {
    QPS_FAULT_UNKNOWN,
    QPS_FAULT_STACK,    /* the stack grew beyond its end */
    QPS_FAULT_BUS,      /* an access that no memory answers, or that is not allowed */
    QPS_FAULT_USAGE,    /* an instruction the core does not have, an unaligned or divided-by-zero access */
    QPS_FAULT_ASSERT,   /* QPS_ASSERT() did not hold */
    QPS_FAULT_INTERRUPT /* an interrupt nobody handles */
} qps_fault_kind_t;

typedef struct {
    uint32_t kind;    /* qps_fault_kind_t */
    uint32_t pc;      /* where; 0 if the core could not say */
    uint32_t lr;      /* who called */
    uint32_t sp;      /* the stack pointer before the fault */
    uint32_t status;  /* CFSR, or 0 on cores without one */
    uint32_t address; /* of the access, if known; of an assertion its line */
} qps_fault_t;

/* Stop here, as a fault of the given kind. */
_Noreturn void qps_fault_raise(uint32_t kind, uint32_t address);

#define QPS_ASSERT(condition)                                                                                          \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            qps_fault_raise(QPS_FAULT_ASSERT, __LINE__);                                                               \
        }                                                                                                              \
    } while (0)

/* --- what the application implements */

/* Called on a fresh stack after any fault, with interrupts off. The port's read and write still work. */
_Noreturn void qps_on_fault(const qps_fault_t *fault);

/* The application's own. */
int main(void);

#endif
