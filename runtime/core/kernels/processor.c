/* Reads CPUID directly, because the compilers' __builtin_cpu_supports needs a runtime library that some
 * toolchains lack. Sources: Intel 64 and IA-32 Architectures Software
 * Developer's Manual, volume 1, sections 14.3 and 15.2 to 15.4; AMD64 Architecture Programmer's Manual, volume
 * 3, appendix E. */

#include "processor.h"

#if TEXTGEN_X86

#include <cpuid.h>
#include <stdint.h>

/* Registers that the operating system saves: bit 1 is SSE, bit 2 AVX, bits 5 to 7 AVX-512. */
#define AVX_STATE 0x06u
#define AVX512_STATE 0xe6u

#define LEAF1_C_FMA (1u << 12)
#define LEAF1_C_OSXSAVE (1u << 27)
#define LEAF7_B_AVX2 (1u << 5)
#define LEAF7_B_AVX512 (1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) /* F, DQ, BW, VL */
#define LEAF7_C_AVX512_VNNI (1u << 11)

static uint32_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}

/* wanted_b, wanted_c: of leaf 7. */
static bool has(uint32_t wanted_b, uint32_t wanted_c, uint32_t state) {
    uint32_t a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && c & LEAF1_C_OSXSAVE && c & LEAF1_C_FMA &&
           (saved_registers() & state) == state && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b & wanted_b) == wanted_b && (c & wanted_c) == wanted_c;
}

bool textgen_has_avx2(void) { return has(LEAF7_B_AVX2, 0, AVX_STATE); }

bool textgen_has_avx512(void) { return has(LEAF7_B_AVX2 | LEAF7_B_AVX512, 0, AVX512_STATE); }

bool textgen_has_avx512vnni(void) {
    return has(LEAF7_B_AVX2 | LEAF7_B_AVX512, LEAF7_C_AVX512_VNNI, AVX512_STATE);
}

#else

/* C does not allow an empty file. */
typedef int textgen_no_processor_check;

#endif
