/* Helpers of the sets for x86-64; see int8_kernels.c. */

/* Weights or inputs of 8 bits as pairs of 16 bits: the first and the third of four, the second and the fourth.
 */
typedef struct {
    __m128i even, odd;
} int8_pairs;

INLINE int8_pairs load_int8_weights(const int8_t *weights) {
    int8_pairs pairs;
    __m128i bytes;
    memcpy(&bytes, weights, sizeof bytes);
    pairs.even = _mm_srai_epi16(_mm_slli_epi16(bytes, 8), 8);
    pairs.odd = _mm_srai_epi16(bytes, 8);
    return pairs;
}

INLINE int8_pairs load_int8_inputs(const uint8_t *inputs) {
    const __m128i bytes = _mm_set1_epi32(four_bytes(inputs));
    int8_pairs pairs;
    pairs.even = _mm_and_si128(bytes, _mm_set1_epi16(255));
    pairs.odd = _mm_srli_epi16(bytes, 8);
    return pairs;
}

INLINE __m128i add_int8_dots(__m128i sums, int8_pairs weights, int8_pairs inputs) {
    sums = _mm_add_epi32(sums, _mm_madd_epi16(weights.even, inputs.even));
    return _mm_add_epi32(sums, _mm_madd_epi16(weights.odd, inputs.odd));
}

/* Store the low bytes of 4 integers below 256. */
INLINE void store_int8_bytes(uint8_t *to, __m128i integers) {
    const __m128i words = _mm_packs_epi32(integers, integers);
    const int32_t bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
    memcpy(to, &bytes, sizeof bytes);
}
