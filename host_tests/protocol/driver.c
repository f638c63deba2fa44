/* The device on standard input and output. Ends with 0 at the end of the input. */
#include <stdio.h>
#include <stdlib.h>

#include "../app/qps_protocol.h"

int32_t qps_port_read(void)
{
    static uint32_t calls;
    calls++;
    if (calls % 3U == 0U) {
        return -1; /* nothing has arrived yet */
    }
    const int byte = getchar();
    if (byte == EOF) {
        exit(fflush(stdout) == 0 ? 0 : 1);
    }
    return byte;
}

void qps_port_write(uint8_t byte)
{
    if (putchar(byte) == EOF) {
        exit(1);
    }
}

int main(void)
{
    static qps_protocol_t protocol;
    qps_protocol_init(&protocol, 524288U, 13107U);
    qps_protocol_serve(&protocol);
}
