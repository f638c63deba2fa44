/* ST NUCLEO-H743ZI2: STM32H743ZI, Cortex-M7 at 200 MHz, the most in the voltage scale it resets to (VOS3).
 *
 *     64 MHz HSI / M 4 * N 25 / P 2 = 200 MHz core; buses 100 MHz; APB1 to APB4 50 MHz
 *
 * Data and stack are in the AXI SRAM. */
#include "cache_m7.h"
#include "gpio_stm32.h"
#include "qps_startup.h"
#include "uart_stm32_v2.h"

#define UART 0x40004800U /* USART3 */
#include "board_nucleo.h"

#define CLOCK_HZ 200000000U
#define APB1_HZ 50000000U
#define GPIOD 0x58020C00U
#define PIN_TRANSMIT 8U /* to the ST-LINK */
#define PIN_RECEIVE 9U
#define FUNCTION_USART3 7U

#define FLASH_ACR 0x52002000U
#define FLASH_ACR_FIELDS 0x3FU
#define FLASH_ACR_LATENCY_2 (2U << 0)    /* 2 wait states and */
#define FLASH_ACR_WRHIGHFREQ_1 (1U << 4) /* this programming delay: 90 to 135 MHz bus in VOS3 */

#define RCC_CR 0x58024400U
#define RCC_CR_PLL1ON (1U << 24)
#define RCC_CR_PLL1RDY (1U << 25)
#define RCC_CFGR 0x58024410U
#define RCC_CFGR_SW (7U << 0)
#define RCC_CFGR_SW_PLL1 (3U << 0)
#define RCC_CFGR_SWS (7U << 3)
#define RCC_CFGR_SWS_PLL1 (3U << 3)
#define RCC_D1CFGR 0x58024418U
#define RCC_D1CFGR_HPRE_2 (8U << 0)   /* buses: core / 2 */
#define RCC_D1CFGR_D1PPRE_2 (4U << 4) /* APB3: buses / 2 */
#define RCC_D2CFGR 0x5802441CU
#define RCC_D2CFGR_D2PPRE1_2 (4U << 4) /* APB1 */
#define RCC_D2CFGR_D2PPRE2_2 (4U << 8) /* APB2 */
#define RCC_D3CFGR 0x58024420U
#define RCC_D3CFGR_D3PPRE_2 (4U << 4) /* APB4 */
#define RCC_PLLCKSELR 0x58024428U
#define RCC_PLLCKSELR_SRC_AND_M1 0x3F3U
#define RCC_PLLCKSELR_M1_4 (4U << 4) /* SRC 0: HSI */
#define RCC_PLLCFGR 0x5802442CU
#define RCC_PLLCFGR_PLL1 0x0007000FU
#define RCC_PLLCFGR_PLL1RGE_8_16 (3U << 2) /* its input is 8 to 16 MHz; VCOSEL 0: 192 to 836 MHz inside */
#define RCC_PLLCFGR_DIVP1EN (1U << 16)
#define RCC_PLL1DIVR 0x58024430U /* each field less one */
#define RCC_PLL1DIVR_N_25 (24U << 0)
#define RCC_PLL1DIVR_P_2 (1U << 9)
#define RCC_PLL1DIVR_Q_2 (1U << 16)
#define RCC_PLL1DIVR_R_2 (1U << 24)
#define RCC_AHB4ENR 0x580244E0U
#define RCC_AHB4ENR_GPIOD (1U << 3)
#define RCC_APB1LENR 0x580244E8U
#define RCC_APB1LENR_USART3 (1U << 18)

#define DBGMCU_IDCODE 0x5C001000U
#define DBGMCU_IDCODE_REVISION_X 0x20000000U
#define AXI_TARG7_FN_MOD 0x51008108U
#define AXI_FN_MOD_READ_ISS_OVERRIDE (1U << 0)

_Static_assert(QPS_COUNTER_HZ == CLOCK_HZ, "board.toml has another rate");

/* After power-on RAM must not be written before the supply is configured: PWR_CR3 = LDO, and then the voltage is
 * valid: ACTVOSRDY, bit 13 of PWR_CSR1. Until the next power-on PWR_CR3 ignores later writes. */
__attribute__((naked)) void qps_port_reset(void)
{
    __asm volatile(".syntax unified\n\t"
                   "ldr r0, =0x58024800\n\t" /* PWR */
                   "ldr r1, [r0, #0x0C]\n\t" /* CR3: */
                   "bic r1, r1, #0x07\n\t"   /* no BYPASS, SCUEN locked, */
                   "orr r1, r1, #0x02\n\t"   /* LDOEN */
                   "str r1, [r0, #0x0C]\n\t"
                   "1: ldr r1, [r0, #0x04]\n\t" /* CSR1 */
                   "tst r1, #0x2000\n\t"        /* ACTVOSRDY */
                   "beq 1b\n\t"
                   "bx lr\n\t"
                   ".ltorg");
}

static void start_clock(void)
{
    qps_replace(FLASH_ACR, FLASH_ACR_FIELDS, FLASH_ACR_WRHIGHFREQ_1 | FLASH_ACR_LATENCY_2);
    qps_await(FLASH_ACR, FLASH_ACR_FIELDS, FLASH_ACR_WRHIGHFREQ_1 | FLASH_ACR_LATENCY_2);
    qps_replace(RCC_PLLCKSELR, RCC_PLLCKSELR_SRC_AND_M1, RCC_PLLCKSELR_M1_4);
    qps_replace(RCC_PLLCFGR, RCC_PLLCFGR_PLL1, RCC_PLLCFGR_DIVP1EN | RCC_PLLCFGR_PLL1RGE_8_16);
    qps_put(RCC_PLL1DIVR, RCC_PLL1DIVR_R_2 | RCC_PLL1DIVR_Q_2 | RCC_PLL1DIVR_P_2 | RCC_PLL1DIVR_N_25);
    qps_set(RCC_CR, RCC_CR_PLL1ON);
    qps_await(RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY);
    qps_put(RCC_D1CFGR, RCC_D1CFGR_D1PPRE_2 | RCC_D1CFGR_HPRE_2);
    qps_put(RCC_D2CFGR, RCC_D2CFGR_D2PPRE2_2 | RCC_D2CFGR_D2PPRE1_2);
    qps_put(RCC_D3CFGR, RCC_D3CFGR_D3PPRE_2);
    qps_replace(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL1);
    qps_await(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL1);
}

/* Revision Y and older may read wrong data from the AXI SRAM unless reads are issued one at a time (errata sheet). */
static void override_read_issuing(void)
{
    if (qps_get(DBGMCU_IDCODE) < DBGMCU_IDCODE_REVISION_X) {
        qps_put(AXI_TARG7_FN_MOD, AXI_FN_MOD_READ_ISS_OVERRIDE);
    }
}

void qps_port_init(void)
{
    override_read_issuing();
    start_clock();
    qps_cache_m7_enable();
    qps_set(RCC_AHB4ENR, RCC_AHB4ENR_GPIOD);
    qps_set(RCC_APB1LENR, RCC_APB1LENR_USART3);
    qps_barrier(); /* an enabled clock takes two cycles to arrive */
    qps_gpio_stm32_alternate(GPIOD, PIN_TRANSMIT, FUNCTION_USART3);
    qps_gpio_stm32_alternate(GPIOD, PIN_RECEIVE, FUNCTION_USART3);
    qps_uart_stm32_init(UART, APB1_HZ, QPS_SERIAL_BAUD);
}
