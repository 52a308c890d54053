/* The arithmetic of layers with 8-bit weights. A sum of products is an integer, so it is exact in any order.
 * All other operations are separate float32 operations in a fixed order, none of them fused. Results are
 * therefore equal to the bit in all instruction sets, on all processors. */

/* c + a * b, rounded after each operation. */
TARGET INLINE vector NAME(add_rounded)(vector c, vector a, vector b) { return NAME(rounded)(a * b) + c; }

/* Limit values to [-limit, limit]. NaN becomes `limit`. */
TARGET INLINE vector NAME(limit)(vector x, vector limit) {
    return NAME(maximum)(NAME(minimum)(x, limit), -limit);
}

/* Round values to levels: limit them to [-bound, bound], NaN to bound, multiply them by LEVELS / bound and
 * round to nearest, ties to even. count: a multiple of GROUP. */
TARGET static void NAME(quantize)(const float *values, ptrdiff_t count, float bound, uint8_t *bytes) {
    const vector zero = {0}, limit = zero + bound, factor = zero + TEXTGEN_INT8_LEVELS / bound;
    /* 1.5 * 2^23: adding it removes the fraction, and the low bits of the sum are the integer. */
    const vector round_by = zero + 12582912.0f;
    for (ptrdiff_t i = 0; i < count; i += TEXTGEN_GROUP) {
        uint32_t levels[TEXTGEN_GROUP];
        UNROLL for (ptrdiff_t v = 0; v < TEXTGEN_GROUP; v += WIDTH) {
            const vector limited = NAME(limit)(NAME(load)(values + i + v), limit);
            both shifted = {.floats = NAME(add_rounded)(round_by, limited, factor)};
            shifted.bits += NAME(zero);
            memcpy(levels + v, &shifted, sizeof shifted);
        }
        /* Without this, gcc moves each number by itself. */
        TEXTGEN_ROUND_ARRAY(levels);
        for (ptrdiff_t j = 0; j < TEXTGEN_GROUP; j++) {
            bytes[i + j] = (uint8_t)levels[j];
        }
    }
}

/* The activations are cheaper and less exact than those of float_body.h: the rounding of the weights changes
 * the logits more.
 *
 * tanh(x) is nearly x P(x^2) / Q(x^2) for |x| up to 5, and the value at 5 beyond: the rational function of
 * these degrees with the smallest maximum of the absolute error, which is below 5e-5. The result for NaN is
 * that for infinity. sigmoid(x) is 0.5 + 0.5 tanh(x / 2) with the factors of 0.5 in the constants, so its error
 * is below 3e-5. scale: 1, or 0.5 for the sigmoid. */
TARGET INLINE vector NAME(rational)(vector x, const float scale) {
    const vector zero = {0}, limited = NAME(limit)(x, zero + 5.0f / scale), square = limited * limited;
    const float second = scale * scale, fourth = second * second;
    vector p = NAME(add_rounded)(zero + 0.101587944f * fourth, square, zero + 6.514394e-4f * second * fourth);
    vector q = NAME(add_rounded)(zero + 0.4343434f * second, square, zero + 0.012600881f * fourth);
    p = NAME(add_rounded)(zero + 0.9997998f * second, square, p);
    q = NAME(add_rounded)(zero + 1.0f, square, q);
    return limited * p / q;
}

TARGET SHARED vector NAME(tanh_of)(vector x) { return NAME(rational)(x, 1.0f); }
TARGET SHARED vector NAME(sigmoid_of)(vector x) { return NAME(rational)(x, 0.5f) + 0.5f; }

/* How many lanes are summed at once. In one lane, an addition waits for the one before, so there may be a
 * second sum of alternate inputs, and AVX2 gains from prefetched weights, so many bytes ahead. */
#define LANE_GROUP 4
#define MANY_LANES_VECTORS (WIDTH == 16 ? 4 : WIDTH == 4 ? 1 : 2)
#define CHAINS (WIDTH == 16 ? 2 : 1)
#define AHEAD (WIDTH == 8 ? 1024 : 0)

/* sums[lane][BLOCK] += scales[lane] * factors * (offsets + inputs[lane][count] * weights[count / 4][BLOCK][4]),
 * for some of the block's vectors. scales: NULL for 1. The arguments after `count` are constants in all calls,
 * so that the compiler keeps the sums in registers. */
TARGET INLINE void NAME(add_dot_vectors)(float *sums, const float *factors, const int32_t *offsets,
                                         const int8_t *weights, const uint8_t *inputs, const float *scales,
                                         ptrdiff_t count, const int lanes, const int vectors,
                                         const int chains) {
    integers dots[2 * LANE_GROUP * BLOCK_VECTORS], weight[BLOCK_VECTORS];
    /* This is never so. Compilers that know it keep the sums in the same registers. */
    if (count < 1) {
        return;
    }
    UNROLL for (int i = 0; i < chains * lanes * vectors; i++) {
        dots[i] = i < lanes * vectors ? NAME(load_bytes)(offsets + i % vectors * WIDTH) : (integers){0};
    }
    for (ptrdiff_t i = 0; i < count; i += 4 * chains) {
        UNROLL for (int chain = 0; chain < chains; chain++) {
            const int8_t *row = weights + (i + 4 * chain) * TEXTGEN_BLOCK;
            UNROLL for (int v = 0; v < vectors; v++) { weight[v] = NAME(load_bytes)(row + 4 * v * WIDTH); }
            if (lanes == 1 && AHEAD > 0) {
                UNROLL for (int v = 0; v < vectors; v += 16 / WIDTH) {
                    TEXTGEN_PREFETCH((uintptr_t)row + (uintptr_t)(4 * v * WIDTH + AHEAD));
                }
            }
            UNROLL for (int lane = 0; lane < lanes; lane++) {
                const integers input = NAME(broadcast_bytes)(inputs + lane * count + i + 4 * chain);
                UNROLL for (int v = 0; v < vectors; v++) {
                    const int at = (chain * lanes + lane) * vectors + v;
                    dots[at] = NAME(dots)(dots[at], weight[v], input);
                }
            }
        }
    }
    UNROLL for (int i = 0; i < lanes * vectors; i++) {
        const int lane = i / vectors, v = i % vectors;
        const integers total = chains == 2 ? dots[i] + dots[lanes * vectors + i] : dots[i];
        const vector scale = NAME(broadcast)(scales ? scales[lane] : 1.0f) * NAME(load)(factors + v * WIDTH);
        float *sum = sums + lane * TEXTGEN_BLOCK + v * WIDTH;
        NAME(store)(sum, NAME(add_rounded)(NAME(load)(sum), NAME(to_floats)(total), scale));
    }
}

/* The same for a complete block, for one lane or for LANE_GROUP lanes. A separate function, so that it can use
 * all registers. */
TARGET NOINLINE void NAME(add_dot_block)(float *sums, const float *factors, const int32_t *offsets,
                                         const int8_t *weights, const uint8_t *inputs, const float *scales,
                                         ptrdiff_t count, bool is_single) {
    for (int v = 0; is_single && v < BLOCK_VECTORS; v += ONE_LANE_VECTORS) {
        NAME(add_dot_vectors)(sums + v * WIDTH, factors + v * WIDTH, offsets + v * WIDTH,
                              weights + 4 * v * WIDTH, inputs, scales, count, 1, ONE_LANE_VECTORS, CHAINS);
    }
    for (int v = 0; !is_single && v < BLOCK_VECTORS; v += MANY_LANES_VECTORS) {
        NAME(add_dot_vectors)(sums + v * WIDTH, factors + v * WIDTH, offsets + v * WIDTH,
                              weights + 4 * v * WIDTH, inputs, scales, count, LANE_GROUP, MANY_LANES_VECTORS,
                              1);
    }
}

TARGET INLINE void NAME(add_dots)(float *sums, const float *factors, const int32_t *offsets,
                                  const int8_t *weights, const uint8_t *inputs, const float *scales,
                                  ptrdiff_t count, ptrdiff_t lanes) {
    ptrdiff_t at_once;
    for (ptrdiff_t lane = 0; lane < TEXTGEN_LANES(lanes); lane += at_once) {
        at_once = TEXTGEN_LANES(lanes) - lane < LANE_GROUP ? 1 : LANE_GROUP;
        NAME(add_dot_block)(sums + lane * TEXTGEN_BLOCK, factors, offsets, weights, inputs + lane * count,
                            scales ? scales + lane : NULL, count, at_once == 1);
    }
}

/* The same as in float_body.h. */
TARGET NOINLINE void NAME(update_int8)(float *gates, float *cell, float *hidden, ptrdiff_t stride,
                                       ptrdiff_t tiles) {
    for (ptrdiff_t tile = 0; tile < tiles; tile++) {
        float *gate = gates + tile * TEXTGEN_BLOCK;
        ptrdiff_t v = 0;
        for (; v < 3 * TEXTGEN_GROUP; v += WIDTH) {
            NAME(store)(gate + v, NAME(sigmoid_of)(NAME(load)(gate + v)));
        }
        for (; v < TEXTGEN_BLOCK; v += WIDTH) {
            NAME(store)(gate + v, NAME(tanh_of)(NAME(load)(gate + v)));
        }
    }
    for (ptrdiff_t tile = 0; tile < tiles; tile++) {
        for (ptrdiff_t v = 0; v < TEXTGEN_GROUP; v += WIDTH) {
            const float *gate = gates + tile * TEXTGEN_BLOCK + v;
            const vector input = NAME(load)(gate), output = NAME(load)(gate + TEXTGEN_GROUP);
            const vector forget = NAME(load)(gate + 2 * TEXTGEN_GROUP),
                         old = NAME(load)(cell + tile * stride + v);
            const vector kept = NAME(rounded)(forget * old);
            const vector next = NAME(add_rounded)(kept, input, NAME(load)(gate + 3 * TEXTGEN_GROUP));
            NAME(store)(cell + tile * stride + v, next);
            NAME(store)(hidden + tile * stride + v, output * NAME(tanh_of)(next));
        }
    }
}
