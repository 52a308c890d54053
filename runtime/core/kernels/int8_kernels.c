/* Compiles int8_body.h once for each instruction set. kernels.c chooses a set at run time.
 *
 * Extensions that only some processors of a kind have are used if the compiler may use them everywhere, except
 * on x86-64: ARM64's dot products (-march=armv8.2-a+dotprod; the default for Apple's processors), and the SIMD
 * of WebAssembly (-msimd128). */

#include "kernels.h"
#include "processor.h"
#include "unroll.h"

#include <string.h>

#if TEXTGEN_X86 ||                                                                                             \
    (TEXTGEN_VECTORS && ((defined(__aarch64__) && !defined(__AARCH64EB__)) || defined(__wasm_simd128__)))
/* Load the bytes of four inputs as one number. */
INLINE int32_t four_bytes(const uint8_t *bytes) {
    int32_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}
#endif

#if TEXTGEN_X86
#include <immintrin.h>

#include "int8_x86.h"

#if TEXTGEN_AVX512
#define NAME(x) x##_int8_avx512vnni
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx512vnni")))
#define ADD_DOTS(sums, weights, inputs) ((integers)_mm512_dpbusd_epi32((__m512i)(sums), (inputs), (weights)))
#define KERNELS textgen_int8_avx512vnni
#include "int8_avx512.h"
#include "int8_body.h"

#define NAME(x) x##_int8_avx512
#define TARGET __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw")))
#define ADD_DOTS(sums, weights, inputs)                                                                        \
    ((sums) + (integers)_mm512_madd_epi16(_mm512_maddubs_epi16((inputs), (weights)), _mm512_set1_epi16(1)))
#define KERNELS textgen_int8_avx512
#include "int8_avx512.h"
#include "int8_body.h"
#endif

#define NAME(x) x##_int8_avx2
#define TARGET __attribute__((target("avx2")))
#define KERNELS textgen_int8_avx2
#define WIDTH 8
#define ZERO TEXTGEN_INT8_LEVELS
#define WEIGHTS __m256i
#define INPUTS __m256i
#define LOAD_WEIGHTS(weights) _mm256_loadu_si256((const void *)(weights))
#define LOAD_INPUTS(inputs) _mm256_set1_epi32(four_bytes(inputs))
#define ADD_DOTS(sums, weights, inputs)                                                                        \
    ((sums) + (integers)_mm256_madd_epi16(_mm256_maddubs_epi16((inputs), (weights)), _mm256_set1_epi16(1)))
#define TO_FLOATS(sums) ((vector)_mm256_cvtepi32_ps((__m256i)(sums)))
#define STORE_BYTES(to, x)                                                                                     \
    (store_int8_bytes((to), _mm256_castsi256_si128((__m256i)(x))),                                             \
     store_int8_bytes((to) + 4, _mm256_extracti128_si256((__m256i)(x), 1)))
#define MINIMUM(a, b) ((vector)_mm256_min_ps((__m256)(a), (__m256)(b)))
#define MAXIMUM(a, b) ((vector)_mm256_max_ps((__m256)(a), (__m256)(b)))
#define VECTORS_ONE_LANE 8
#define VECTORS_MANY_LANES 2
#define GRU_VECTORS_ONE_LANE 6
#define GRU_VECTORS_MANY_LANES 2
#define CHAINS 1
#define AHEAD 1024
#include "int8_body.h"
#endif

/* Vectors of four integers: SSE2 on x86-64, ARM64, WebAssembly. Others get plain C. */
#define NAME(x) x##_int8_baseline
#define TARGET
#define KERNELS textgen_int8_baseline
#define CHAINS 1
#define AHEAD 0
#if TEXTGEN_X86
#define WIDTH 4
#define ZERO TEXTGEN_INT8_LEVELS
#define WEIGHTS int8_pairs
#define INPUTS int8_pairs
#define LOAD_WEIGHTS(weights) load_int8_weights(weights)
#define ADD_DOTS(sums, weights, inputs) ((integers)add_int8_dots((__m128i)(sums), (weights), (inputs)))
#define TO_FLOATS(sums) ((vector)_mm_cvtepi32_ps((__m128i)(sums)))
#define STORE_BYTES(to, x) store_int8_bytes((to), (__m128i)(x))
#define MINIMUM(a, b) ((vector)_mm_min_ps((__m128)(a), (__m128)(b)))
#define MAXIMUM(a, b) ((vector)_mm_max_ps((__m128)(a), (__m128)(b)))
#elif TEXTGEN_VECTORS && defined(__aarch64__) && !defined(__AARCH64EB__)
#include <arm_neon.h>

#include "int8_neon.h"
#elif TEXTGEN_VECTORS && defined(__wasm_simd128__)
#include <wasm_simd128.h>

#include "int8_wasm.h"
#else
#include "int8_plain.h"
#endif
#if WIDTH == 4
#define LOAD_INPUTS(inputs) load_int8_inputs(inputs)
#define VECTORS_ONE_LANE 8
#define VECTORS_MANY_LANES 1
#define GRU_VECTORS_ONE_LANE 6
#define GRU_VECTORS_MANY_LANES 1
#else
#define LOAD_INPUTS(inputs) (inputs)
#define VECTORS_ONE_LANE 8
#define VECTORS_MANY_LANES 2
#define GRU_VECTORS_ONE_LANE 8
#define GRU_VECTORS_MANY_LANES 2
#endif
#include "int8_body.h"
