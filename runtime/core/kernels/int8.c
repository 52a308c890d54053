/* Compiles int8_body.h once for each instruction set. kernels.c chooses a set at run time.
 *
 * Extensions that only some processors of a kind have are used if the compiler may use them everywhere, except
 * on x86-64: ARM64's dot products (-march=armv8.2-a+dotprod; the default for Apple's processors), and the SIMD
 * of WebAssembly (-msimd128). */

#include "int8.h"
#include "processor.h"

#include <string.h>

#if TEXTGEN_X86
#include <immintrin.h>
#elif TEXTGEN_VECTORS && defined(__aarch64__) && !defined(__AARCH64EB__)
#define NEON 1
#include <arm_neon.h>
#elif TEXTGEN_VECTORS && defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#if TEXTGEN_X86 || defined(NEON) || (TEXTGEN_VECTORS && defined(__wasm_simd128__))
/* Load the bytes of four inputs as one number. */
INLINE int32_t four_bytes(const uint8_t *bytes) {
    int32_t number;
    memcpy(&number, bytes, sizeof number);
    return number;
}
#endif

#if TEXTGEN_X86
/* Store the low bytes of 4 integers below 256. */
INLINE void store_int8_bytes(uint8_t *to, __m128i integers) {
    const __m128i words = _mm_packs_epi32(integers, integers);
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    memcpy(to, &bytes, sizeof bytes);
}

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
#define VECTORS_ONE_LANE 8
#if defined(NEON)

/* Load 4 inputs, 4 times. */
INLINE int8x16_t load_int8_inputs(const uint8_t *inputs) {
    return vreinterpretq_s8_s32(vdupq_n_s32(four_bytes(inputs)));
}

/* The dot product extension has one instruction for this. Without it: products of 16 bits, which two neighbors
 * cannot overflow together, and their sums. */
INLINE int32x4_t add_int8_dots(int32x4_t sums, int8x16_t weights, int8x16_t inputs) {
#if defined(__ARM_FEATURE_DOTPROD)
    return vdotq_s32(sums, weights, inputs);
#else
    const int16x8_t low = vmull_s8(vget_low_s8(weights), vget_low_s8(inputs));
    const int16x8_t high = vmull_high_s8(weights, inputs);
    return vpadalq_s16(sums, vpaddq_s16(low, high));
#endif
}

/* Store the low bytes of 4 integers below 256. */
INLINE void store_int8_bytes(uint8_t *to, uint32x4_t integers) {
    const uint16x4_t words = vmovn_u32(integers);
    const uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
    const uint32_t four = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
    memcpy(to, &four, sizeof four);
}

#define WIDTH 4
#define ZERO 0
#define WEIGHTS int8x16_t
#define INPUTS int8x16_t
#define LOAD_WEIGHTS(weights) vld1q_s8(weights)
#define LOAD_INPUTS(inputs) load_int8_inputs(inputs)
#define ADD_DOTS(sums, weights, inputs) ((integers)add_int8_dots((int32x4_t)(sums), (weights), (inputs)))
#define TO_FLOATS(sums) ((vector)vcvtq_f32_s32((int32x4_t)(sums)))
#define STORE_BYTES(to, x) store_int8_bytes((to), (uint32x4_t)(x))
#define MINIMUM(a, b)                                                                                          \
    ((vector)vbslq_f32(vcltq_f32((float32x4_t)(a), (float32x4_t)(b)), (float32x4_t)(a), (float32x4_t)(b)))
#define MAXIMUM(a, b)                                                                                          \
    ((vector)vbslq_f32(vcgtq_f32((float32x4_t)(a), (float32x4_t)(b)), (float32x4_t)(a), (float32x4_t)(b)))
#define VECTORS_MANY_LANES 1
#elif TEXTGEN_X86 || (TEXTGEN_VECTORS && defined(__wasm_simd128__))
#if TEXTGEN_X86
#define MULTIPLY_PAIRS(a, b) ((int8_sums)_mm_madd_epi16((__m128i)(a), (__m128i)(b)))
#define TO_FLOATS(sums) ((vector)_mm_cvtepi32_ps((__m128i)(sums)))
#define STORE_BYTES(to, x) store_int8_bytes((to), (__m128i)(x))
#define MINIMUM(a, b) ((vector)_mm_min_ps((__m128)(a), (__m128)(b)))
#define MAXIMUM(a, b) ((vector)_mm_max_ps((__m128)(a), (__m128)(b)))
#else
#define MULTIPLY_PAIRS(a, b) ((int8_sums)wasm_i32x4_dot_i16x8((v128_t)(a), (v128_t)(b)))
#define TO_FLOATS(sums) ((vector)wasm_f32x4_convert_i32x4((v128_t)(sums)))
#define STORE_BYTES(to, x) store_int8_bytes((to), (v128_t)(x))
#define MINIMUM(a, b) ((vector)wasm_f32x4_pmin((v128_t)(b), (v128_t)(a)))
#define MAXIMUM(a, b) ((vector)wasm_f32x4_pmax((v128_t)(b), (v128_t)(a)))

/* Store the low bytes of 4 integers below 256. */
INLINE void store_int8_bytes(uint8_t *to, v128_t integers) {
    const v128_t words = wasm_i16x8_narrow_i32x4(integers, integers);
    wasm_v128_store32_lane(to, wasm_u8x16_narrow_i16x8(words, words), 0);
}
#endif

/* Weights or inputs of 8 bits as pairs of 16 bits: the first and the third of four, the second and the fourth.
 */
typedef int16_t int8_halves __attribute__((vector_size(16)));
typedef uint32_t int8_sums __attribute__((vector_size(16)));
typedef struct {
    int8_halves even, odd;
} int8_pairs;

INLINE int8_pairs load_int8_weights(const int8_t *weights) {
    int8_halves bytes;
    memcpy(&bytes, weights, sizeof bytes);
    const int8_pairs pairs = {bytes << 8 >> 8, bytes >> 8};
    return pairs;
}

INLINE int8_pairs load_int8_inputs(const uint8_t *inputs) {
    const int32_t four = four_bytes(inputs);
    const int8_sums bytes = {(uint32_t)four, (uint32_t)four, (uint32_t)four, (uint32_t)four};
    const int8_pairs pairs = {(int8_halves)(bytes & 0x00ff00ffu), (int8_halves)(bytes >> 8 & 0x00ff00ffu)};
    return pairs;
}

#define WIDTH 4
#define ZERO TEXTGEN_INT8_LEVELS
#define WEIGHTS int8_pairs
#define INPUTS int8_pairs
#define LOAD_WEIGHTS(weights) load_int8_weights(weights)
#define LOAD_INPUTS(inputs) load_int8_inputs(inputs)
#define ADD_DOTS(sums, weights, inputs)                                                                        \
    ((integers)((int8_sums)(sums) + MULTIPLY_PAIRS((weights).even, (inputs).even) +                            \
                MULTIPLY_PAIRS((weights).odd, (inputs).odd)))
#define VECTORS_MANY_LANES 1
#else
/* Sums are unsigned, because these may wrap around. */
INLINE uint32_t add_int8_dots(uint32_t sum, const int8_t *weights, const uint8_t *inputs) {
    int dot = 0;
    for (int i = 0; i < 4; i++) {
        /* A byte above 127 is negative. */
        dot += weights[i] * (inputs[i] < 128 ? inputs[i] : inputs[i] - 256);
    }
    return sum + (uint32_t)dot;
}

INLINE int32_t signed_int8_sum(uint32_t sum) {
    int32_t value;
    memcpy(&value, &sum, sizeof value);
    return value;
}

#define WIDTH 1
#define ZERO 0
#define WEIGHTS const int8_t *
#define INPUTS const uint8_t *
#define LOAD_WEIGHTS(weights) (weights)
#define LOAD_INPUTS(inputs) (inputs)
#define ADD_DOTS(sums, weights, inputs) add_int8_dots((sums), (weights), (inputs))
#define TO_FLOATS(sums) ((float)signed_int8_sum(sums))
#define STORE_BYTES(to, x) (*(to) = (uint8_t)(x))
#define MINIMUM(a, b) ((a) < (b) ? (a) : (b))
#define MAXIMUM(a, b) ((a) > (b) ? (a) : (b))
#define VECTORS_MANY_LANES 2
#endif
#include "int8_body.h"
