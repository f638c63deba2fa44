/* After a byte has arrived, loads a word from an odd address; sends 'A' if that is allowed, 'F' for a fault. */
#include "qps_port.h"

static uint8_t bytes[8];

int main(void)
{
    uint32_t word;
    while (qps_port_read() < 0) {
    }
    __asm volatile("ldr %0, [%1]" : "=l"(word) : "l"(&bytes[1]) : "memory");
    qps_port_write((uint8_t)('A' + (word & 1U)));
    for (;;) {
    }
}

_Noreturn void qps_on_fault(const qps_fault_t *fault)
{
    (void)fault;
    for (;;) {
        qps_port_write('F');
    }
}
