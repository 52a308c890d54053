/* Helpers of the set for WebAssembly with SIMD; see int8_kernels.c. */

/* Weights or inputs of 8 bits as pairs of 16 bits: the first and the third of four, the second and the fourth.
 */
typedef struct {
    v128_t even, odd;
} int8_pairs;

INLINE int8_pairs load_int8_weights(const int8_t *weights) {
    const v128_t bytes = wasm_v128_load(weights);
    int8_pairs pairs;
    pairs.even = wasm_i16x8_shr(wasm_i16x8_shl(bytes, 8), 8);
    pairs.odd = wasm_i16x8_shr(bytes, 8);
    return pairs;
}

INLINE int8_pairs load_int8_inputs(const uint8_t *inputs) {
    const v128_t bytes = wasm_i32x4_splat(four_bytes(inputs));
    int8_pairs pairs;
    pairs.even = wasm_v128_and(bytes, wasm_i16x8_const_splat(255));
    pairs.odd = wasm_u16x8_shr(bytes, 8);
    return pairs;
}

INLINE v128_t add_int8_dots(v128_t sums, int8_pairs weights, int8_pairs inputs) {
    sums = wasm_i32x4_add(sums, wasm_i32x4_dot_i16x8(weights.even, inputs.even));
    return wasm_i32x4_add(sums, wasm_i32x4_dot_i16x8(weights.odd, inputs.odd));
}

/* Store the low bytes of 4 integers below 256. */
INLINE void store_int8_bytes(uint8_t *to, v128_t integers) {
    const v128_t words = wasm_i16x8_narrow_i32x4(integers, integers);
    wasm_v128_store32_lane(to, wasm_u8x16_narrow_i16x8(words, words), 0);
}

#define WIDTH 4
#define ZERO TEXTGEN_INT8_LEVELS
#define WEIGHTS int8_pairs
#define INPUTS int8_pairs
#define LOAD_WEIGHTS(weights) load_int8_weights(weights)
#define ADD_DOTS(sums, weights, inputs) ((integers)add_int8_dots((v128_t)(sums), (weights), (inputs)))
#define TO_FLOATS(sums) ((vector)wasm_f32x4_convert_i32x4((v128_t)(sums)))
#define STORE_BYTES(to, x) store_int8_bytes((to), (v128_t)(x))
#define MINIMUM(a, b) ((vector)wasm_f32x4_pmin((v128_t)(b), (v128_t)(a)))
#define MAXIMUM(a, b) ((vector)wasm_f32x4_pmax((v128_t)(b), (v128_t)(a)))
