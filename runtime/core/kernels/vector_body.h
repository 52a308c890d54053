/* The vectors of one instruction set and its instructions. Each of the functions below has the same name in all
 * sets:
 *
 *   multiply_add   a * b + c, rounded once if the set has such an instruction
 *   product        a * b, never fused with a multiply_add
 *   minimum        a < b ? a : b, so b if one of them is NaN
 *   maximum        a > b ? a : b, so b if one of them is NaN
 *   dots           sums + the products of four weights with four inputs in each element, bytes. Weights are
 *                  signed. The byte of an input of 0 is `zero`: inputs are signed or not, as the set needs them
 *
 * Multiply-adds are explicit, and other products that are added to something are `rounded`, so the compiler
 * cannot fuse others. Results therefore depend only on the instruction set, not on the compiler or its flags.
 */

#if WIDTH == 1
typedef float NAME(vector);
typedef uint32_t NAME(integers);
typedef int32_t NAME(signs);
#else
typedef float NAME(vector) __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t NAME(integers) __attribute__((vector_size(4 * WIDTH)));
typedef int32_t NAME(signs) __attribute__((vector_size(4 * WIDTH)));
#endif

#define vector NAME(vector)
#define integers NAME(integers)

typedef union {
    vector floats;
    integers bits;
    NAME(signs) numbers;
} NAME(both);

#define both NAME(both)

/* memcpy, because arrays may be less aligned than vectors. It compiles to one instruction. */
TARGET INLINE vector NAME(load)(const float *from) {
    vector value;
    memcpy(&value, from, sizeof value);
    return value;
}

TARGET INLINE integers NAME(load_bytes)(const void *from) {
    integers value;
    memcpy(&value, from, sizeof value);
    return value;
}

/* Load the bytes of four inputs into each element. */
TARGET INLINE integers NAME(broadcast_bytes)(const uint8_t *from) {
    uint32_t four;
    memcpy(&four, from, sizeof four);
    return four - (integers){0};
}

TARGET INLINE void NAME(store)(float *to, vector value) { memcpy(to, &value, sizeof value); }

TARGET INLINE vector NAME(broadcast)(float value) { return value - (vector){0}; }

/* Return a product that the compiler cannot fuse with an addition. */
TARGET INLINE vector NAME(rounded)(vector product) {
    TEXTGEN_ROUND(product);
    return product;
}

/* Return the floats that are nearest to signed integers, ties to even. */
TARGET INLINE vector NAME(to_floats)(integers sums) {
    const both values = {.bits = sums};
#if WIDTH == 1
    return (float)values.numbers;
#else
    return __builtin_convertvector(values.numbers, vector);
#endif
}

#if WIDTH == 16

enum { NAME(zero) = TEXTGEN_INT8_LEVELS };

TARGET INLINE vector NAME(multiply_add)(vector a, vector b, vector c) {
    return (vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
TARGET INLINE vector NAME(product)(vector a, vector b) { return a * b; }
TARGET INLINE vector NAME(minimum)(vector a, vector b) { return (vector)_mm512_min_ps((__m512)a, (__m512)b); }
TARGET INLINE vector NAME(maximum)(vector a, vector b) { return (vector)_mm512_max_ps((__m512)a, (__m512)b); }
TARGET INLINE integers NAME(dots)(integers sums, integers weights, integers inputs) {
#ifdef VNNI
    return (integers)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)inputs, (__m512i)weights);
#else
    const __m512i pairs = _mm512_maddubs_epi16((__m512i)inputs, (__m512i)weights);
    return sums + (integers)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
#endif
}

#elif WIDTH == 8

enum { NAME(zero) = TEXTGEN_INT8_LEVELS };

TARGET INLINE vector NAME(multiply_add)(vector a, vector b, vector c) {
    return (vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
TARGET INLINE vector NAME(product)(vector a, vector b) { return a * b; }
TARGET INLINE vector NAME(minimum)(vector a, vector b) { return (vector)_mm256_min_ps((__m256)a, (__m256)b); }
TARGET INLINE vector NAME(maximum)(vector a, vector b) { return (vector)_mm256_max_ps((__m256)a, (__m256)b); }
TARGET INLINE integers NAME(dots)(integers sums, integers weights, integers inputs) {
    const __m256i pairs = _mm256_maddubs_epi16((__m256i)inputs, (__m256i)weights);
    return sums + (integers)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

#elif TEXTGEN_NEON

enum { NAME(zero) = 0 };

TARGET INLINE vector NAME(multiply_add)(vector a, vector b, vector c) {
    return (vector)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
TARGET INLINE vector NAME(product)(vector a, vector b) { return a * b; }
TARGET INLINE vector NAME(minimum)(vector a, vector b) {
    return (vector)vbslq_f32(vcltq_f32((float32x4_t)a, (float32x4_t)b), (float32x4_t)a, (float32x4_t)b);
}
TARGET INLINE vector NAME(maximum)(vector a, vector b) {
    return (vector)vbslq_f32(vcgtq_f32((float32x4_t)a, (float32x4_t)b), (float32x4_t)a, (float32x4_t)b);
}
/* Without the dot product extension: products of 16 bits, which two neighbors cannot overflow together, and
 * their sums. */
TARGET INLINE integers NAME(dots)(integers sums, integers weights, integers inputs) {
    const int8x16_t a = (int8x16_t)weights, b = (int8x16_t)inputs;
#if defined(__ARM_FEATURE_DOTPROD)
    return (integers)vdotq_s32((int32x4_t)sums, a, b);
#else
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b)), high = vmull_high_s8(a, b);
    return (integers)vpadalq_s16((int32x4_t)sums, vpaddq_s16(low, high));
#endif
}

#elif WIDTH == 4

enum { NAME(zero) = TEXTGEN_INT8_LEVELS };

#if TEXTGEN_X86
#define MULTIPLY_PAIRS(a, b) ((integers)_mm_madd_epi16((__m128i)(a), (__m128i)(b)))
TARGET INLINE vector NAME(minimum)(vector a, vector b) { return (vector)_mm_min_ps((__m128)a, (__m128)b); }
TARGET INLINE vector NAME(maximum)(vector a, vector b) { return (vector)_mm_max_ps((__m128)a, (__m128)b); }
#else
/* Otherwise compilers may use relaxed_max, whose result for NaN is any of the two. */
#define MULTIPLY_PAIRS(a, b) ((integers)wasm_i32x4_dot_i16x8((v128_t)(a), (v128_t)(b)))
TARGET INLINE vector NAME(minimum)(vector a, vector b) { return (vector)wasm_f32x4_pmin((v128_t)b, (v128_t)a); }
TARGET INLINE vector NAME(maximum)(vector a, vector b) { return (vector)wasm_f32x4_pmax((v128_t)b, (v128_t)a); }
#endif

/* WebAssembly has fused multiply-adds if the compiler may use its relaxed SIMD (-mrelaxed-simd). Engines round
 * them twice on processors that have none, so results are those of this set with or without them. */
#if defined(__wasm_relaxed_simd__)
TARGET INLINE vector NAME(product)(vector a, vector b) { return a * b; }
TARGET INLINE vector NAME(multiply_add)(vector a, vector b, vector c) {
    return (vector)wasm_f32x4_relaxed_madd((v128_t)a, (v128_t)b, (v128_t)c);
}
#else
TARGET INLINE vector NAME(product)(vector a, vector b) { return NAME(rounded)(a * b); }
TARGET INLINE vector NAME(multiply_add)(vector a, vector b, vector c) { return NAME(product)(a, b) + c; }
#endif

/* As pairs of 16 bits: the first and the third of four bytes, the second and the fourth. */
TARGET INLINE integers NAME(dots)(integers sums, integers weights, integers inputs) {
    typedef int16_t halves __attribute__((vector_size(16)));
    const halves even = (halves)weights << 8 >> 8, odd = (halves)weights >> 8;
    return sums + MULTIPLY_PAIRS(even, inputs & 0x00ff00ffu) + MULTIPLY_PAIRS(odd, inputs >> 8 & 0x00ff00ffu);
}

#else

enum { NAME(zero) = TEXTGEN_INT8_LEVELS };

TARGET INLINE vector NAME(product)(vector a, vector b) { return NAME(rounded)(a * b); }
TARGET INLINE vector NAME(multiply_add)(vector a, vector b, vector c) { return NAME(product)(a, b) + c; }
TARGET INLINE vector NAME(minimum)(vector a, vector b) { return a < b ? a : b; }
TARGET INLINE vector NAME(maximum)(vector a, vector b) { return a > b ? a : b; }
TARGET INLINE integers NAME(dots)(integers sums, integers weights, integers inputs) {
    for (int i = 0; i < 32; i += 8) {
        const uint32_t weight = weights >> i & 255;
        /* A byte above 127 is negative. */
        sums += (weight < 128 ? weight : weight - 256) * (inputs >> i & 255);
    }
    return sums;
}

#endif
