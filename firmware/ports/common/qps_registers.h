/* Access to memory-mapped registers. */
#ifndef QPS_REGISTERS_H
#define QPS_REGISTERS_H

#include <stdint.h>

static inline uint32_t qps_get(uint32_t address)
{
    return *(volatile uint32_t *)(uintptr_t)address;
}

static inline void qps_put(uint32_t address, uint32_t value)
{
    *(volatile uint32_t *)(uintptr_t)address = value;
}

static inline void qps_set(uint32_t address, uint32_t bits)
{
    qps_put(address, qps_get(address) | bits);
}

static inline void qps_clear(uint32_t address, uint32_t bits)
{
    qps_put(address, qps_get(address) & ~bits);
}

/* Replace the bits of mask by those of value. */
static inline void qps_replace(uint32_t address, uint32_t mask, uint32_t value)
{
    qps_put(address, (qps_get(address) & ~mask) | value);
}

/* Wait until the bits of mask read as value. */
static inline void qps_await(uint32_t address, uint32_t mask, uint32_t value)
{
    while ((qps_get(address) & mask) != value) {
    }
}

/* What was written before takes effect before anything after it. */
static inline void qps_barrier(void)
{
    __asm volatile("dsb\n\tisb" ::: "memory");
}

#endif
