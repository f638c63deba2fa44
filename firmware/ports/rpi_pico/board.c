/* Raspberry Pi Pico: RP2040, Cortex-M0+ at 125 MHz; core 1 stays asleep.
 *
 *     12 MHz crystal * 125 / 6 / 2 = 125 MHz
 *
 * boot2.c has made flash readable before this runs. */
#include "counter_systick.h"
#include "qps_port.h"
#include "uart_pl011.h"

#define CLOCK_HZ 125000000U
#define UART0 0x40034000U
#define PIN_TRANSMIT 0U
#define PIN_RECEIVE 1U

#define RESETS_RESET 0x4000C000U
#define RESETS_RESET_DONE 0x4000C008U
#define RESETS_IO_BANK0 (1U << 5)
#define RESETS_PADS_BANK0 (1U << 8)
#define RESETS_PLL_SYS (1U << 12)
#define RESETS_UART0 (1U << 22)

#define XOSC_CTRL 0x40024000U
#define XOSC_CTRL_ENABLE_1_15MHZ 0x00FABAA0U
#define XOSC_STATUS 0x40024004U
#define XOSC_STATUS_STABLE (1U << 31)
#define XOSC_STARTUP 0x4002400CU
#define XOSC_STARTUP_DELAY 470U /* times 256 cycles: 10 ms */

#define CLK_REF_CTRL 0x40008030U
#define CLK_REF_CTRL_SRC (3U << 0)
#define CLK_REF_CTRL_SRC_XOSC (2U << 0)
#define CLK_REF_SELECTED 0x40008038U
#define CLK_REF_SELECTED_XOSC (1U << 2)
#define CLK_SYS_CTRL 0x4000803CU
#define CLK_SYS_CTRL_SRC_AUX (1U << 0) /* 0: the reference clock */
#define CLK_SYS_CTRL_AUXSRC (7U << 5)  /* 0: PLL_SYS */
#define CLK_SYS_SELECTED 0x40008044U
#define CLK_SYS_SELECTED_REF (1U << 0)
#define CLK_SYS_SELECTED_AUX (1U << 1)
#define CLK_PERI_CTRL 0x40008048U
#define CLK_PERI_CTRL_ENABLE (1U << 11) /* AUXSRC 0: the system clock */

#define PLL_SYS_CS 0x40028000U
#define PLL_SYS_CS_REFDIV_1 1U
#define PLL_SYS_CS_LOCK (1U << 31)
#define PLL_SYS_PWR 0x40028004U
#define PLL_SYS_PWR_PD (1U << 0)
#define PLL_SYS_PWR_POSTDIVPD (1U << 3)
#define PLL_SYS_PWR_VCOPD (1U << 5)
#define PLL_SYS_FBDIV_INT 0x40028008U
#define PLL_SYS_FBDIV_125 125U
#define PLL_SYS_PRIM 0x4002800CU
#define PLL_SYS_PRIM_DIV1_6 (6U << 16)
#define PLL_SYS_PRIM_DIV2_2 (2U << 12)

#define GPIO_CTRL(pin) (0x40014004U + 8U * (pin))
#define GPIO_CTRL_FUNCSEL_UART 2U

_Static_assert(QPS_COUNTER_HZ == CLOCK_HZ, "board.toml has another rate");

static void leave_reset(uint32_t blocks)
{
    qps_clear(RESETS_RESET, blocks);
    qps_await(RESETS_RESET_DONE, blocks, blocks);
}

/* A debugger's reset leaves the clocks as they were, so the PLL may be in use. */
static void start_clock(void)
{
    qps_clear(CLK_SYS_CTRL, CLK_SYS_CTRL_SRC_AUX);
    qps_await(CLK_SYS_SELECTED, CLK_SYS_SELECTED_REF, CLK_SYS_SELECTED_REF);
    qps_put(XOSC_STARTUP, XOSC_STARTUP_DELAY);
    qps_put(XOSC_CTRL, XOSC_CTRL_ENABLE_1_15MHZ);
    qps_await(XOSC_STATUS, XOSC_STATUS_STABLE, XOSC_STATUS_STABLE);
    qps_replace(CLK_REF_CTRL, CLK_REF_CTRL_SRC, CLK_REF_CTRL_SRC_XOSC);
    qps_await(CLK_REF_SELECTED, CLK_REF_SELECTED_XOSC, CLK_REF_SELECTED_XOSC);

    qps_set(RESETS_RESET, RESETS_PLL_SYS);
    leave_reset(RESETS_PLL_SYS);
    qps_put(PLL_SYS_CS, PLL_SYS_CS_REFDIV_1);
    qps_put(PLL_SYS_FBDIV_INT, PLL_SYS_FBDIV_125);
    qps_clear(PLL_SYS_PWR, PLL_SYS_PWR_PD | PLL_SYS_PWR_VCOPD);
    qps_await(PLL_SYS_CS, PLL_SYS_CS_LOCK, PLL_SYS_CS_LOCK);
    qps_put(PLL_SYS_PRIM, PLL_SYS_PRIM_DIV1_6 | PLL_SYS_PRIM_DIV2_2);
    qps_clear(PLL_SYS_PWR, PLL_SYS_PWR_POSTDIVPD);

    qps_clear(CLK_SYS_CTRL, CLK_SYS_CTRL_AUXSRC);
    qps_set(CLK_SYS_CTRL, CLK_SYS_CTRL_SRC_AUX);
    qps_await(CLK_SYS_SELECTED, CLK_SYS_SELECTED_AUX, CLK_SYS_SELECTED_AUX);
    qps_put(CLK_PERI_CTRL, CLK_PERI_CTRL_ENABLE);
}

void qps_port_init(void)
{
    start_clock();
    leave_reset(RESETS_IO_BANK0 | RESETS_PADS_BANK0 | RESETS_UART0);
    qps_put(GPIO_CTRL(PIN_TRANSMIT), GPIO_CTRL_FUNCSEL_UART);
    qps_put(GPIO_CTRL(PIN_RECEIVE), GPIO_CTRL_FUNCSEL_UART);
    qps_uart_pl011_init(UART0, CLOCK_HZ, QPS_SERIAL_BAUD);
}

int32_t qps_port_read(void)
{
    return qps_uart_pl011_read(UART0);
}

void qps_port_write(uint8_t byte)
{
    qps_uart_pl011_write(UART0, byte);
}

void qps_port_counter_start(void)
{
    qps_counter_systick_start();
}

uint32_t qps_port_counter(void)
{
    return qps_counter_systick_read();
}
