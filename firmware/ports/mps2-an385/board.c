/* Arm MPS2+, AN385 image: Cortex-M3 at 25 MHz. */
#define CLOCK_HZ 25000000U
#define TIMER0 0x40000000U
#define UART0 0x40004000U

#include "board_mps2.h"
