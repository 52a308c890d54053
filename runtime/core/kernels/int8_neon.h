/* Helpers of the set for ARM64; see int8_kernels.c. */

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
#define ADD_DOTS(sums, weights, inputs) ((integers)add_int8_dots((int32x4_t)(sums), (weights), (inputs)))
#define TO_FLOATS(sums) ((vector)vcvtq_f32_s32((int32x4_t)(sums)))
#define STORE_BYTES(to, x) store_int8_bytes((to), (uint32x4_t)(x))
#define MINIMUM(a, b)                                                                                          \
    ((vector)vbslq_f32(vcltq_f32((float32x4_t)(a), (float32x4_t)(b)), (float32x4_t)(a), (float32x4_t)(b)))
#define MAXIMUM(a, b)                                                                                          \
    ((vector)vbslq_f32(vcgtq_f32((float32x4_t)(a), (float32x4_t)(b)), (float32x4_t)(a), (float32x4_t)(b)))
