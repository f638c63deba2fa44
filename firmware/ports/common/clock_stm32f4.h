/* Clock of the larger STM32F4 (F405, F446): 84 MHz from the internal oscillator, at 2.7 to 3.6 V.
 *
 *     16 MHz HSI / M 8 * N 168 / P 4 = 84 MHz core and APB2; APB1 and its USARTs 42 MHz, APB1's timers 84 MHz
 *
 * 84 MHz is what every part of these families can do in the voltage scale they reset to. */
#ifndef QPS_CLOCK_STM32F4_H
#define QPS_CLOCK_STM32F4_H

#include "qps_registers.h"

#define STM32F4_CORE_HZ 84000000U
#define STM32F4_APB1_HZ 42000000U
#define STM32F4_APB1_TIMER_HZ 84000000U /* twice APB1, as APB1 is divided */
#define STM32F4_APB2_HZ 84000000U

#define FLASH_ACR 0x40023C00U
#define FLASH_ACR_LATENCY (0xFU << 0)
#define FLASH_ACR_LATENCY_2 (2U << 0) /* 2 wait states: 60 to 90 MHz */
#define FLASH_ACR_PRFTEN (1U << 8)    /* prefetch */
#define FLASH_ACR_ICEN (1U << 9)      /* instruction cache */
#define FLASH_ACR_DCEN (1U << 10)     /* data cache */

#define RCC_CR 0x40023800U
#define RCC_CR_HSIRDY (1U << 1)
#define RCC_CR_PLLON (1U << 24)
#define RCC_CR_PLLRDY (1U << 25)
#define RCC_PLLCFGR 0x40023804U
#define RCC_PLLCFGR_FIELDS 0x0F437FFFU /* Q, SRC, P, N, M; other bits keep their reset values */
#define RCC_PLLCFGR_M_8 (8U << 0)
#define RCC_PLLCFGR_N_168 (168U << 6)
#define RCC_PLLCFGR_P_4 (1U << 16)
#define RCC_PLLCFGR_Q_7 (7U << 24) /* SRC, bit 22, 0: HSI */
#define RCC_CFGR 0x40023808U
#define RCC_CFGR_SW (3U << 0)
#define RCC_CFGR_SW_PLL (2U << 0)
#define RCC_CFGR_SWS (3U << 2)
#define RCC_CFGR_SWS_PLL (2U << 2)
#define RCC_CFGR_PPRE1 (7U << 10)
#define RCC_CFGR_PPRE1_2 (4U << 10) /* APB1 = core / 2 */
#define RCC_AHB1ENR 0x40023830U
#define RCC_AHB1ENR_GPIOA (1U << 0)
#define RCC_AHB1ENR_GPIOB (1U << 1)
#define RCC_APB1ENR 0x40023840U
#define RCC_APB1ENR_TIM2 (1U << 0)
#define RCC_APB1ENR_USART2 (1U << 17)
#define RCC_APB2ENR 0x40023844U
#define RCC_APB2ENR_USART1 (1U << 4)

static inline void qps_clock_stm32f4_init(void)
{
    /* The chip starts from HSI, so it is always ready; only QEMU, which has no clock controller, reads 0. */
    if ((qps_get(RCC_CR) & RCC_CR_HSIRDY) == 0U) {
        return;
    }
    const uint32_t flash = FLASH_ACR_LATENCY_2 | FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN;
    qps_put(FLASH_ACR, flash);
    qps_await(FLASH_ACR, FLASH_ACR_LATENCY, FLASH_ACR_LATENCY_2);
    qps_replace(RCC_PLLCFGR, RCC_PLLCFGR_FIELDS,
                RCC_PLLCFGR_Q_7 | RCC_PLLCFGR_P_4 | RCC_PLLCFGR_N_168 | RCC_PLLCFGR_M_8);
    qps_set(RCC_CR, RCC_CR_PLLON);
    qps_await(RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY);
    qps_replace(RCC_CFGR, RCC_CFGR_PPRE1, RCC_CFGR_PPRE1_2);
    qps_replace(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL);
    qps_await(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL);
}

#endif
