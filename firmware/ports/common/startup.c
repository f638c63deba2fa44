/* From reset to main(), the same on every board. */
#include "qps_port.h"
#include "qps_registers.h"
#include "qps_startup.h"

#define SCB_VTOR 0xE000ED08U /* vector table offset */
#define SCB_CCR 0xE000ED14U  /* configuration and control */
#define SCB_CCR_DIV_0_TRP (1U << 4)

#define MPU_TYPE 0xE000ED90U
#define MPU_TYPE_DREGION (0xFFU << 8) /* number of regions; 0 on chips without an MPU */
#define MPU_CTRL 0xE000ED94U
#define MPU_CTRL_ENABLE (1U << 0)
#define MPU_CTRL_PRIVDEFENA (1U << 2) /* what no region covers stays as it was */
#define MPU_RNR 0xE000ED98U           /* selects a region */
#define MPU_RBAR 0xE000ED9CU          /* its address, a multiple of its size */
#define MPU_RASR 0xE000EDA0U          /* its size and rights; AP = 0 means no access */
#define MPU_RASR_XN (1U << 28)
#define MPU_RASR_SIZE_1K (9U << 1)
#define MPU_RASR_ENABLE (1U << 0)

#define STACK_PAINT 0xC5C5C5C5U

/* From sections.ld. */
extern uint32_t __data_start[];
extern uint32_t __data_end[];
extern const uint32_t __data_image[];
extern uint32_t __bss_start[];
extern uint32_t __bss_end[];

typedef void qps_vector_t(void);

void qps_reset(void);
_Noreturn void qps_start(void);

/* --- the vector table */

#define FAULT_4 qps_fault_entry, qps_fault_entry, qps_fault_entry, qps_fault_entry
#define FAULT_16 FAULT_4, FAULT_4, FAULT_4, FAULT_4
#define FAULT_32 FAULT_16, FAULT_16

/* As many interrupts as the architecture allows; the table has to be aligned to its size. */
#if QPS_MAINLINE
#define INTERRUPTS 240
#define INTERRUPT_VECTORS FAULT_32, FAULT_32, FAULT_32, FAULT_32, FAULT_32, FAULT_32, FAULT_32, FAULT_16
#define TABLE_ALIGNMENT 1024
#else
#define INTERRUPTS 32
#define INTERRUPT_VECTORS FAULT_32
#define TABLE_ALIGNMENT 256
#endif

typedef struct {
    uint32_t *stack_top;
    qps_vector_t *reset;
    qps_vector_t *system[13]; /* exceptions 2 to 14 */
    qps_vector_t *systick;
    qps_vector_t *interrupts[INTERRUPTS];
} qps_vectors_t;

__attribute__((used, section(".vectors"), aligned(TABLE_ALIGNMENT))) static const qps_vectors_t vectors = {
    .stack_top = __stack_top,
    .reset = qps_reset,
    .system = {FAULT_4, FAULT_4, FAULT_4, qps_fault_entry},
    .systick = qps_port_systick,
    .interrupts = {INTERRUPT_VECTORS},
};

/* --- reset */

__attribute__((weak, naked)) void qps_port_reset(void)
{
    __asm volatile("bx lr");
}

/* In assembly: the compiler may use the stack and floating-point registers, and neither is ready yet. */
__attribute__((naked)) void qps_reset(void)
{
    __asm volatile(".syntax unified\n\t"
                   "ldr r0, =__stack_top\n\t"
                   "msr msp, r0\n\t"
                   "bl qps_port_reset\n\t"
#if QPS_FLOAT_REGISTERS
                   "ldr r0, =0xE000ED88\n\t" /* CPACR: full access to coprocessors 10 and 11 */
                   "ldr r1, [r0]\n\t"
                   "orr r1, r1, #0x00F00000\n\t"
                   "str r1, [r0]\n\t"
                   "dsb\n\t"
                   "isb\n\t"
#endif
                   "ldr r0, =__stack_limit\n\t"
#if QPS_STACK_LIMIT_REGISTER
                   "msr msplim, r0\n\t"
#endif
                   "ldr r1, =__stack_top\n\t"
                   "ldr r2, =0xC5C5C5C5\n\t" /* STACK_PAINT */
                   "1: str r2, [r0]\n\t"
                   "adds r0, r0, #4\n\t"
                   "cmp r0, r1\n\t"
                   "bne 1b\n\t"
                   "bl qps_start\n\t"
                   ".ltorg");
}

/* An access below the stack is a fault even where memory lies there. v6-M and v7-M have the same registers. */
static void guard_stack(void)
{
#if !QPS_STACK_LIMIT_REGISTER
    if ((qps_get(MPU_TYPE) & MPU_TYPE_DREGION) != 0U) {
        qps_put(MPU_RNR, 0U);
        qps_put(MPU_RBAR, (uint32_t)(uintptr_t)__stack_limit - QPS_STACK_GUARD_BYTES);
        qps_put(MPU_RASR, MPU_RASR_XN | MPU_RASR_SIZE_1K | MPU_RASR_ENABLE);
        qps_put(MPU_CTRL, MPU_CTRL_PRIVDEFENA | MPU_CTRL_ENABLE);
        qps_barrier();
    }
#endif
}

_Noreturn void qps_start(void)
{
    const uint32_t *image = __data_image;
    for (uint32_t *word = __data_start; word != __data_end; word++) {
        *word = *image++;
    }
    for (uint32_t *word = __bss_start; word != __bss_end; word++) {
        *word = 0U;
    }
#if QPS_MAINLINE
    qps_put(SCB_VTOR, (uint32_t)(uintptr_t)&vectors);
    qps_set(SCB_CCR, SCB_CCR_DIV_0_TRP);
#endif
    guard_stack();
    qps_port_init();
    (void)main();
    for (;;) {
    }
}

/* --- the stack */

uint32_t qps_port_stack_size(void)
{
    return (uint32_t)(uintptr_t)__stack_top - (uint32_t)(uintptr_t)__stack_limit;
}

uint32_t qps_port_stack_used(void)
{
    const volatile uint32_t *word = __stack_limit;
    while (word != __stack_top && *word == STACK_PAINT) {
        word++;
    }
    return (uint32_t)(uintptr_t)__stack_top - (uint32_t)(uintptr_t)word;
}
