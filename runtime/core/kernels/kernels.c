/* Compiles layer_body.h once for each instruction set, and chooses a set at run time.
 *
 * The compilers' function multiversioning is not used, because only some systems have a loader for it.
 * Compilers without vector types get plain C. Extensions that only some processors of a kind have are used if
 * the compiler may use them everywhere, except on x86-64: ARM64's dot products (-march=armv8.2-a+dotprod; the
 * default for Apple's processors), and the SIMD of WebAssembly (-msimd128). */

#include "kernels.h"
#include "processor.h"

#include <string.h>

#if TEXTGEN_X86
#include <cpuid.h>
#include <immintrin.h>
#elif TEXTGEN_NEON
#include <arm_neon.h>
#elif TEXTGEN_VECTORS
#include <wasm_simd128.h>
#endif

#if TEXTGEN_AVX512
#define AVX512 "avx512f,avx512dq,avx512vl,avx512bw,fma"
#define NAME(x) x##_avx512vnni
#define WIDTH 16
#define VNNI
#define TARGET __attribute__((target(AVX512 ",avx512vnni")))
#include "layer_body.h"

#define NAME(x) x##_avx512
#define WIDTH 16
#define TARGET __attribute__((target(AVX512)))
#include "layer_body.h"
#endif

#if TEXTGEN_X86
#define NAME(x) x##_avx2
#define WIDTH 8
#define TARGET __attribute__((target("avx2,fma")))
#include "layer_body.h"
#endif

/* Vectors of four floats: SSE2 on x86-64, ARM64, WebAssembly. Others get plain C. */
#define NAME(x) x##_baseline
#define WIDTH (TEXTGEN_VECTORS ? 4 : 1)
#define TARGET
#include "layer_body.h"

#define KERNELS(name, set)                                                                                     \
    static const textgen_kernels kernels_##set = {name,         zero_##set,    quantize_##set, lstm_##set,     \
                                                  linear_##set, project_##set, sum_##set}

#if TEXTGEN_AVX512
KERNELS("avx512vnni", avx512vnni);
KERNELS("avx512", avx512);
#endif
#if TEXTGEN_X86
KERNELS("avx2", avx2);
#endif
#if defined(__wasm_relaxed_simd__)
KERNELS("relaxed-simd", baseline);
#else
KERNELS("baseline", baseline);
#endif

#if TEXTGEN_X86

/* CPUID is read directly, because the compilers' __builtin_cpu_supports needs a runtime library that some
 * toolchains lack. Sources: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, sections
 * 14.3 and 15.2 to 15.4; AMD64 Architecture Programmer's Manual, volume 3, appendix E. */

/* Registers that the operating system saves: bit 1 is SSE, bit 2 AVX, bits 5 to 7 AVX-512. */
#define AVX_STATE 0x06u
#define AVX512_STATE 0xe6u

#define LEAF1_C_FMA (1u << 12)
#define LEAF1_C_OSXSAVE (1u << 27)
#define LEAF7_B_AVX2 (1u << 5)
#define LEAF7_B_AVX512 (1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) /* F, DQ, BW, VL */
#define LEAF7_C_AVX512_VNNI (1u << 11)

/* Whether the processor has FMA and AVX2, and what is wanted of leaf 7, and the system saves the registers. */
static bool has(uint32_t wanted_b, uint32_t wanted_c, uint32_t state) {
    uint32_t a, b, c, d, saved, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & LEAF1_C_OSXSAVE) || !(c & LEAF1_C_FMA)) {
        return false;
    }
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    wanted_b |= LEAF7_B_AVX2;
    return (saved & state) == state && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & wanted_b) == wanted_b &&
           (c & wanted_c) == wanted_c;
}

bool textgen_has_avx2(void) { return has(0, 0, AVX_STATE); }

bool textgen_has_avx512(void) { return has(LEAF7_B_AVX512, 0, AVX512_STATE); }

#endif

int textgen_available_kernels(const textgen_kernels *kernels[TEXTGEN_MAX_KERNELS]) {
    int count = 0;
#if TEXTGEN_AVX512
    if (has(LEAF7_B_AVX512, LEAF7_C_AVX512_VNNI, AVX512_STATE)) {
        kernels[count++] = &kernels_avx512vnni;
    }
    if (textgen_has_avx512()) {
        kernels[count++] = &kernels_avx512;
    }
#endif
#if TEXTGEN_X86
    if (textgen_has_avx2()) {
        kernels[count++] = &kernels_avx2;
    }
#endif
    kernels[count++] = &kernels_baseline;
    return count;
}

const textgen_kernels *textgen_find_kernels(const char *name) {
    const textgen_kernels *found[TEXTGEN_MAX_KERNELS];
    const int count = textgen_available_kernels(found);
    for (int i = 0; i < count; i++) {
        if (!name || strcmp(found[i]->name, name) == 0) {
            return found[i];
        }
    }
    return NULL;
}
