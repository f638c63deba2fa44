/* A program that shows what a port does, without any network: one letter asks, little-endian words answer. */
#include "qps_port.h"

#define SCB_ICSR 0xE000ED04U
#define SCB_ICSR_PENDSVSET (1U << 28) /* raises PendSV, which nobody handles */

static volatile uint32_t initialized = 0x12345678U;
static volatile uint32_t cleared;
static volatile uint32_t sink;

static uint8_t get(void)
{
    int32_t byte = -1;
    while (byte < 0) {
        byte = qps_port_read();
    }
    return (uint8_t)byte;
}

static uint32_t get_word(void)
{
    uint32_t word = 0U;
    for (uint32_t i = 0U; i < 4U; i++) {
        word |= (uint32_t)get() << (8U * i);
    }
    return word;
}

static void put_word(uint32_t word)
{
    for (uint32_t i = 0U; i < 4U; i++) {
        qps_port_write((uint8_t)(word >> (8U * i)));
    }
}

_Noreturn void qps_on_fault(const qps_fault_t *fault)
{
    put_word(fault->kind);
    put_word(fault->pc);
    put_word(fault->lr);
    put_word(fault->sp);
    put_word(fault->status);
    put_word(fault->address);
    for (;;) {
    }
}

/* 2 * count instructions. */
__attribute__((noinline)) static void loop(uint32_t count)
{
    __asm volatile(".syntax unified\n\t"
                   "1: subs %0, %0, #1\n\t"
                   "bne 1b"
                   : "+l"(count)
                   :
                   : "cc");
}

/* Uses at least 40 bytes of stack per level. */
__attribute__((noinline)) static uint32_t descend(uint32_t levels)
{
    volatile uint32_t room[8];
    room[levels & 7U] = levels;
    return levels == 0U ? 0U : descend(levels - 1U) + room[levels & 7U];
}

/* Likewise 600: more than an exception frame, less than the guard below the stack. */
__attribute__((noinline)) static uint32_t plunge(uint32_t levels)
{
    volatile uint32_t room[150];
    room[levels & 127U] = levels;
    return levels == 0U ? 0U : plunge(levels - 1U) + room[levels & 127U];
}

__attribute__((noinline)) static void assert_even(uint32_t number)
{
    QPS_ASSERT(number % 2U == 0U);
}

/* The fault may come a few instructions after its cause. */
__attribute__((noinline)) static void store(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)address = value;
    __asm volatile("dsb\n\tisb" ::: "memory");
}

__attribute__((noinline)) static void undefined(void)
{
    __asm volatile(".inst.n 0xde00");
}

__attribute__((noinline)) static void divide(uint32_t divisor)
{
    sink = 100U / divisor;
}

__attribute__((noinline)) static void answer(uint8_t request)
{
    uint32_t count;
    switch (request) {
    case 'e':
        qps_port_write(get());
        break;
    case 'd':
        put_word(initialized);
        put_word(cleared);
        break;
    case 'c':
        count = get_word();
        qps_port_counter_start();
        loop(count);
        put_word(qps_port_counter());
        break;
    case 's':
        put_word(qps_port_stack_size());
        put_word(qps_port_stack_used());
        break;
    case 'n':
        sink = descend(get_word());
        qps_port_write('n');
        break;
    case 'N':
        sink = plunge(get_word());
        qps_port_write('N');
        break;
    case 'f':
#ifdef __ARM_FP
        __asm volatile("vmov s0, %0" ::"r"(request) : "s0"); /* from now on a fault has to save such registers too */
#endif
        qps_port_write('f');
        break;
    case 'a':
        assert_even(get_word());
        break;
    case 'b':
        store(get_word(), 0U);
        qps_port_write('b');
        break;
    case 'u':
        undefined();
        break;
    case 'z':
        divide(get_word());
        qps_port_write('z');
        break;
    case 'i':
        store(SCB_ICSR, SCB_ICSR_PENDSVSET);
        break;
    default:
        qps_port_write('?');
        break;
    }
}

int main(void)
{
    cleared++;
    for (;;) {
        answer(get());
    }
}
