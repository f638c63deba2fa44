@ Second-stage boot of the RP2040. The chip's ROM copies the first 256 bytes of flash to RAM and runs them if the last
@ four are the right checksum. This makes flash readable as memory, by the read command (03h) that every serial
@ flash has, and starts the program whose vector table follows at 0x10000100.
@
@ boot2.c holds the assembled bytes and the checksum; host_tests/target/test_ports.py assembles this anew and compares.

    .syntax unified
    .cpu cortex-m0plus
    .thumb

    .equ SSI, 0x18000000            @ the flash interface
    .equ SSI_CTRLR0, 0x00
    .equ SSI_CTRLR1, 0x04
    .equ SSI_SSIENR, 0x08
    .equ SSI_BAUDR, 0x14
    .equ SSI_SPI_CTRLR0, 0xF4
    .equ CLOCK_DIVIDER, 4           @ flash at 31.25 MHz when the core runs at 125 MHz
    .equ FRAME_32_BITS, 31 << 16
    .equ TRANSFER_READ, 3 << 8      @ send command and address, then receive
    .equ COMMAND_READ, 0x03 << 24
    .equ COMMAND_8_BITS, 2 << 8
    .equ ADDRESS_24_BITS, 6 << 2    @ all on one data line
    .equ PROGRAM, 0x10000100
    .equ VTOR, 0xE000ED08

    .text
    .global boot2
    .thumb_func
boot2:
    ldr r0, =SSI
    movs r1, #0
    str r1, [r0, #SSI_SSIENR]       @ off, so that it can be configured
    str r1, [r0, #SSI_CTRLR1]       @ one frame per read
    movs r1, #CLOCK_DIVIDER
    str r1, [r0, #SSI_BAUDR]
    ldr r1, =FRAME_32_BITS | TRANSFER_READ
    str r1, [r0, #SSI_CTRLR0]
    ldr r1, =COMMAND_READ | COMMAND_8_BITS | ADDRESS_24_BITS
    movs r2, #SSI_SPI_CTRLR0
    str r1, [r0, r2]
    movs r1, #1
    str r1, [r0, #SSI_SSIENR]

    ldr r0, =PROGRAM
    ldr r1, =VTOR
    str r0, [r1]
    ldm r0, {r0, r1}                @ initial stack pointer, reset
    msr msp, r0
    bx r1
    .ltorg
