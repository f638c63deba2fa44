/* Arm MPS2+, AN505 image: Cortex-M33 at 20 MHz, in the Secure state, whose addresses have bit 28 set. */
#define CLOCK_HZ 20000000U
#define TIMER0 0x50000000U
#define UART0 0x50200000U

#include "board_mps2.h"
