/* Compiles kernel_body.h once for each instruction set, and chooses a set at run time.
 *
 * The compilers' function multiversioning is not used, because only some systems have a loader for it.
 * Compilers without vector types get plain C. */

#include "int8.h"
#include "processor.h"

#include <string.h>

#if TEXTGEN_X86
#include <cpuid.h>
#include <immintrin.h>

#if TEXTGEN_AVX512
#define NAME(x) x##_avx512
#define WIDTH 16
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,fma")))
#define MULTIPLY_ADD(a, b, c) ((vector)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define PRODUCT(a, b) ((a) * (b))
#define MAXIMUM(a, b) ((vector)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define MULTIPLY_ADD64(a, b, c) ((vector64)_mm512_fmadd_pd((__m512d)(a), (__m512d)(b), (__m512d)(c)))
#define VECTORS_ONE_LANE 4
#define VECTORS_MANY_LANES 4
#include "kernel_body.h"
#endif

#define NAME(x) x##_avx2
#define WIDTH 8
#define TARGET __attribute__((target("avx2,fma")))
#define MULTIPLY_ADD(a, b, c) ((vector)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define PRODUCT(a, b) ((a) * (b))
#define MAXIMUM(a, b) ((vector)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define MULTIPLY_ADD64(a, b, c) ((vector64)_mm256_fmadd_pd((__m256d)(a), (__m256d)(b), (__m256d)(c)))
#define VECTORS_ONE_LANE 8
#define VECTORS_MANY_LANES 2
#include "kernel_body.h"
#endif

/* Vectors of four floats: SSE2 on x86-64, NEON on ARM64, or what the compiler generates elsewhere.
 *
 * WebAssembly has fused multiply-adds if the compiler may use its relaxed SIMD (-mrelaxed-simd). Engines round
 * them twice on processors that have none, so results are those of this set with or without them. */
#define NAME(x) x##_baseline
#define BASELINE "baseline"
#if TEXTGEN_VECTORS
#define WIDTH 4
#else
#define WIDTH 1
#endif
#define TARGET
#if TEXTGEN_VECTORS && defined(__aarch64__)
#include <arm_neon.h>
#define MULTIPLY_ADD(a, b, c) ((vector)vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b)))
#define MULTIPLY_ADD64(a, b, c) ((vector64)vfmaq_f64((float64x2_t)(c), (float64x2_t)(a), (float64x2_t)(b)))
#define PRODUCT(a, b) ((a) * (b))
#elif TEXTGEN_VECTORS && defined(__wasm_relaxed_simd__)
#include <wasm_simd128.h>
#undef BASELINE
#define BASELINE "relaxed-simd"
#define MULTIPLY_ADD(a, b, c) ((vector)wasm_f32x4_relaxed_madd((v128_t)(a), (v128_t)(b), (v128_t)(c)))
#define MULTIPLY_ADD64(a, b, c) ((vector64)wasm_f64x2_relaxed_madd((v128_t)(a), (v128_t)(b), (v128_t)(c)))
#define PRODUCT(a, b) ((a) * (b))
/* Otherwise compilers use relaxed_max, whose result for NaN is any of the two. */
#define MAXIMUM(a, b) ((vector)wasm_f32x4_pmax((v128_t)(b), (v128_t)(a)))
#else
#define MULTIPLY_ADD(a, b, c) (PRODUCT(a, b) + (c))
#define MULTIPLY_ADD64(a, b, c) ((a) * (b) + (c))
#define PRODUCT(a, b) NAME(rounded)((a) * (b))
#endif
#define VECTORS_ONE_LANE 8
#define VECTORS_MANY_LANES 2
#include "kernel_body.h"

/* The kernels for float32 weights of one set, and those for 8-bit weights of another. */
#define KERNELS(name, set, int8_set) {name, lstm_##set, linear_##set, project_##set, &textgen_int8_##int8_set}

#if TEXTGEN_AVX512
static const textgen_kernels kernels_avx512vnni = KERNELS("avx512vnni", avx512, avx512vnni);
static const textgen_kernels kernels_avx512 = KERNELS("avx512", avx512, avx512);
#endif
#if TEXTGEN_X86
static const textgen_kernels kernels_avx2 = KERNELS("avx2", avx2, avx2);
#endif
static const textgen_kernels kernels_baseline = KERNELS(BASELINE, baseline, baseline);

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
