/* Between startup.c, faults.c and the boards; applications need qps_port.h only. */
#ifndef QPS_STARTUP_H
#define QPS_STARTUP_H

#include <stdint.h>

/* v7-M and v8-M Mainline cores tell faults apart (CFSR) and can move the vector table; Cortex-M0 and M0+ cannot. */
#define QPS_MAINLINE (__ARM_ARCH_ISA_THUMB >= 2)

/* The stack limit is checked by the core (MSPLIM). Without it an MPU region below the stack does. */
#define QPS_STACK_LIMIT_REGISTER (QPS_MAINLINE && __ARM_ARCH >= 8)

/* Floating-point or Helium registers may be in use. */
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
#define QPS_FLOAT_REGISTERS 1
#else
#define QPS_FLOAT_REGISTERS 0
#endif

/* Bytes below the stack that the MPU guards. A larger frame than that jumps over it: then only the fact that no memory
 * lies below RAM stops it. */
#define QPS_STACK_GUARD_BYTES 1024U

/* From sections.ld. */
extern uint32_t __stack_limit[];
extern uint32_t __stack_top[];

/* --- hooks that a board may define */

/* First thing after reset. RAM must not be used, so it has to be naked assembly; only for chips whose RAM is not
 * ready yet. */
void qps_port_reset(void);

/* SysTick's interrupt; without a board's own it is a fault. */
void qps_port_systick(void);

/* --- faults.c */

/* The vector of all faults and of every interrupt that nobody handles. */
void qps_fault_entry(void);

#endif
