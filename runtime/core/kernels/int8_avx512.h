/* The macros of both sets with AVX-512; see int8_body.h. */
#define WIDTH 16
#define ZERO TEXTGEN_INT8_LEVELS
#define WEIGHTS __m512i
#define INPUTS __m512i
#define LOAD_WEIGHTS(weights) _mm512_loadu_si512(weights)
#define LOAD_INPUTS(inputs) _mm512_set1_epi32(four_bytes(inputs))
#define TO_FLOATS(sums) ((vector)_mm512_cvtepi32_ps((__m512i)(sums)))
#define STORE_BYTES(to, x) _mm_storeu_si128((void *)(to), _mm512_cvtepi32_epi8((__m512i)(x)))
#define MINIMUM(a, b) ((vector)_mm512_min_ps((__m512)(a), (__m512)(b)))
#define MAXIMUM(a, b) ((vector)_mm512_max_ps((__m512)(a), (__m512)(b)))
#define VECTORS_ONE_LANE 4
#define VECTORS_MANY_LANES 4
#define CHAINS 2
#define AHEAD 0
