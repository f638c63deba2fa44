/* Faults: the core's own, interrupts that nobody handles, and QPS_ASSERT(). All end in qps_on_fault().
 *
 * Entries are in assembly and start the stack anew before any C: after a stack overflow C code would overflow again,
 * which a core answers by locking up. No fault is enabled on its own, so all of them arrive as HardFault. */
#include "qps_port.h"
#include "qps_registers.h"
#include "qps_startup.h"

#define SCB_CFSR 0xE000ED28U      /* configurable fault status: memory management, bus, usage */
#define SCB_MMFAR 0xE000ED34U     /* address of a memory management fault */
#define SCB_BFAR 0xE000ED38U      /* address of a bus fault */
#define SAU_SFSR 0xE000EDE4U      /* secure fault status */
#define SAU_SFAR 0xE000EDE8U      /* address of a secure fault */
#define CFSR_MEMORY 0x000000FFU   /* any memory management fault */
#define CFSR_MSTKERR (1U << 4)    /* stacking an exception hit the MPU */
#define CFSR_MMARVALID (1U << 7)  /* MMFAR holds an address */
#define CFSR_BUS 0x0000FF00U      /* any bus fault */
#define CFSR_STKERR (1U << 12)    /* stacking an exception hit no memory */
#define CFSR_BFARVALID (1U << 15) /* BFAR holds an address */
#define CFSR_USAGE 0xFFFF0000U    /* any usage fault */
#define CFSR_STKOF (1U << 20)     /* the stack pointer went below MSPLIM */
#define SFSR_SFARVALID (1U << 6)  /* SFAR holds an address */

/* What the core pushes on entry to an exception. */
enum { FRAME_R0, FRAME_R1, FRAME_R2, FRAME_R3, FRAME_R12, FRAME_LR, FRAME_PC, FRAME_XPSR, FRAME_WORDS };
#define FRAME_BYTES (4U * FRAME_WORDS)
#define FRAME_FLOAT_BYTES 72U          /* S0 to S15, FPSCR and one more */
#define XPSR_PADDED (1U << 9)          /* one word was left out for alignment */
#define EXC_RETURN_NO_FLOATS (1U << 4) /* 0: floating-point registers were pushed as well */
#define IPSR_EXCEPTION 0x1FFU          /* number of the exception being handled */
#define EXCEPTION_FIRST_FAULT 3U       /* HardFault; then MemManage, BusFault, UsageFault, */
#define EXCEPTION_LAST_FAULT 7U        /* SecureFault */
#define LARGEST_PUSH 36U /* bytes of push {r0-r7, lr} on v6-M, which leaves the stack pointer alone if it fails */
#define BL_BYTES 4U      /* length of the call to qps_fault_raise() */

/* A copy of the exception frame: the stack it lay on is used anew. */
uint32_t qps_fault_frame[FRAME_WORDS];

_Noreturn void qps_fault_report(uint32_t frame_address, uint32_t exc_return, uint32_t frame_bytes);
_Noreturn void qps_fault_raised(uint32_t kind, uint32_t address, uint32_t sp, uint32_t lr);

/* Keeps the frame if it lies inside the stack, and goes on at the stack's top. */
__attribute__((naked)) void qps_fault_entry(void)
{
    __asm volatile(".syntax unified\n\t"
                   "cpsid i\n\t"
                   "mrs r0, msp\n\t" /* the frame's address */
                   "mov r1, lr\n\t"  /* EXC_RETURN */
                   "movs r2, #0\n\t" /* bytes of the frame that were copied */
                   "ldr r3, =__stack_limit\n\t"
                   "ldr r4, =__stack_top\n\t"
#if QPS_FLOAT_REGISTERS
                   "ldr r5, =0xE000EF34\n\t" /* FPCCR: forget that floating-point registers are still to be pushed */
                   "ldr r6, [r5]\n\t"
                   "bic r6, r6, #1\n\t" /* LSPACT */
                   "str r6, [r5]\n\t"
#endif
                   "cmp r0, r3\n\t"
                   "blo 2f\n\t"
                   "movs r5, #32\n\t" /* FRAME_BYTES */
                   "adds r5, r0, r5\n\t"
                   "cmp r5, r4\n\t"
                   "bhi 2f\n\t"
                   "ldr r3, =qps_fault_frame\n\t"
                   "1: ldr r5, [r0, r2]\n\t"
                   "str r5, [r3, r2]\n\t"
                   "adds r2, r2, #4\n\t"
                   "cmp r2, #32\n\t"
                   "bne 1b\n\t"
                   "2: msr msp, r4\n\t"
                   "bl qps_fault_report\n\t"
                   ".ltorg");
}

/* Boards that count by SysTick have their own. */
__attribute__((weak, alias("qps_fault_entry"))) void qps_port_systick(void);

__attribute__((naked)) _Noreturn void qps_fault_raise(__attribute__((unused)) uint32_t kind,
                                                      __attribute__((unused)) uint32_t address)
{
    __asm volatile(".syntax unified\n\t"
                   "cpsid i\n\t"
                   "mov r2, sp\n\t"
                   "mov r3, lr\n\t"
                   "ldr r4, =__stack_top\n\t"
                   "mov sp, r4\n\t"
                   "bl qps_fault_raised\n\t"
                   ".ltorg");
}

_Noreturn void qps_fault_raised(uint32_t kind, uint32_t address, uint32_t sp, uint32_t lr)
{
    const qps_fault_t fault = {
        .kind = kind,
        .pc = (lr & ~1U) - BL_BYTES,
        .lr = 0U,
        .sp = sp,
        .status = 0U,
        .address = address,
    };
    qps_on_fault(&fault);
}

static uint32_t exception_number(void)
{
    uint32_t ipsr;
    __asm volatile("mrs %0, ipsr" : "=r"(ipsr));
    return ipsr & IPSR_EXCEPTION;
}

/* What the core says about the fault: status, address, and the kind as far as it follows from them. */
static void read_status(qps_fault_t *fault)
{
#if QPS_MAINLINE
    fault->status = qps_get(SCB_CFSR);
    if ((fault->status & (CFSR_MSTKERR | CFSR_STKERR)) != 0U) {
        fault->kind = QPS_FAULT_STACK;
    } else if ((fault->status & (CFSR_MEMORY | CFSR_BUS)) != 0U) {
        fault->kind = QPS_FAULT_BUS;
    } else if ((fault->status & CFSR_USAGE) != 0U) {
        fault->kind = QPS_FAULT_USAGE;
    } else {
        fault->kind = QPS_FAULT_UNKNOWN;
    }
    if ((fault->status & CFSR_MMARVALID) != 0U) {
        fault->address = qps_get(SCB_MMFAR);
    } else if ((fault->status & CFSR_BFARVALID) != 0U) {
        fault->address = qps_get(SCB_BFAR);
    } else {
        /* unknown */
    }
#if QPS_STACK_LIMIT_REGISTER
    if ((fault->status & CFSR_STKOF) != 0U) {
        fault->kind = QPS_FAULT_STACK;
    }
    const uint32_t secure = qps_get(SAU_SFSR);
    if (fault->status == 0U && secure != 0U) {
        fault->kind = QPS_FAULT_BUS;
        fault->address = (secure & SFSR_SFARVALID) != 0U ? qps_get(SAU_SFAR) : 0U;
    }
#endif
#else
    fault->kind = QPS_FAULT_UNKNOWN;
#endif
}

/* Whether stack pointer or address say that the stack's end was passed. */
static uint32_t stack_passed(const qps_fault_t *fault)
{
    const uint32_t limit = (uint32_t)(uintptr_t)__stack_limit;
    const uint32_t guard = limit - QPS_STACK_GUARD_BYTES;
#if QPS_MAINLINE
    const uint32_t needed = limit;
#else
    const uint32_t needed = limit + LARGEST_PUSH; /* the core does not say which address it was */
#endif
    return fault->sp < needed || (fault->address >= guard && fault->address < limit) ? 1U : 0U;
}

/* Whether the core could push the frame; what lies there otherwise is something else. */
static uint32_t frame_pushed(const qps_fault_t *fault, uint32_t frame_address, uint32_t frame_bytes)
{
#if QPS_STACK_LIMIT_REGISTER
    /* The core then leaves the stack pointer at the limit, as if a frame began there. */
    if ((fault->status & CFSR_STKOF) != 0U && frame_address == (uint32_t)(uintptr_t)__stack_limit) {
        return 0U;
    }
#else
    (void)frame_address;
#endif
    return (fault->status & (CFSR_MSTKERR | CFSR_STKERR)) == 0U && frame_bytes == FRAME_BYTES ? 1U : 0U;
}

_Noreturn void qps_fault_report(uint32_t frame_address, uint32_t exc_return, uint32_t frame_bytes)
{
    qps_fault_t fault = {.sp = frame_address + FRAME_BYTES};
    const uint32_t exception = exception_number();
    if (exception < EXCEPTION_FIRST_FAULT || exception > EXCEPTION_LAST_FAULT) {
        fault.kind = QPS_FAULT_INTERRUPT;
        fault.address = exception;
    } else {
        read_status(&fault);
    }
    if ((exc_return & EXC_RETURN_NO_FLOATS) == 0U) {
        fault.sp += FRAME_FLOAT_BYTES;
    }
    if (frame_pushed(&fault, frame_address, frame_bytes) != 0U) {
        fault.pc = qps_fault_frame[FRAME_PC];
        fault.lr = qps_fault_frame[FRAME_LR];
        if ((qps_fault_frame[FRAME_XPSR] & XPSR_PADDED) != 0U) {
            fault.sp += sizeof(uint32_t);
        }
    }
    if (fault.kind != QPS_FAULT_INTERRUPT && stack_passed(&fault) != 0U) {
        fault.kind = QPS_FAULT_STACK;
    }
    qps_on_fault(&fault);
}
