/* The rounded inputs and the sums of one instruction set; see int8_body.h. */

/* sums[lane][BLOCK] = offsets + inputs[lane][count] * weights[count / 4][block][4], for some of the block's
 * vectors. The arguments after `count` are constants in all calls, so that the compiler keeps the sums in
 * registers. The sums of a lane begin TEXTGEN_BLOCK apart for each size of a block: they are tiles of
 * int8_body.h. */
TARGET INLINE void NAME(dot_vectors)(uint32_t *sums, const int32_t *offsets, const int8_t *weights,
                                     const uint8_t *inputs, ptrdiff_t stride, ptrdiff_t count, const int block,
                                     const int lanes, const int vectors, const int chains) {
    integers sum[2 * LANE_GROUP * VECTORS];
    WEIGHTS weight[VECTORS];
    UNROLL for (int lane = 0; lane < lanes; lane++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            memcpy(&sum[lane * vectors + v], offsets + v * WIDTH, sizeof *sum);
            if (chains == 2) {
                sum[vectors + v] = (integers){0};
            }
        }
    }
    for (ptrdiff_t i = 0; i < count; i += 4 * chains) {
        UNROLL for (int chain = 0; chain < chains; chain++) {
            const int8_t *row = weights + (i + 4 * chain) * block;
            UNROLL for (int v = 0; v < vectors; v++) { weight[v] = LOAD_WEIGHTS(row + 4 * v * WIDTH); }
            if (lanes == 1 && AHEAD > 0) {
                UNROLL for (int v = 0; v < vectors; v += 16 / WIDTH) {
                    TEXTGEN_PREFETCH((uintptr_t)row + (uintptr_t)(4 * v * WIDTH + AHEAD));
                }
            }
            UNROLL for (int lane = 0; lane < lanes; lane++) {
                INPUTS input = LOAD_INPUTS(inputs + lane * stride + i + 4 * chain);
                UNROLL for (int v = 0; v < vectors; v++) {
                    const int at = (chain + lane) * vectors + v;
                    sum[at] = ADD_DOTS(sum[at], weight[v], input);
                }
            }
        }
    }
    UNROLL for (int lane = 0; lane < lanes; lane++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            integers total = sum[lane * vectors + v];
            if (chains == 2) {
                total += sum[vectors + v];
            }
            memcpy(sums + lane * TEXTGEN_BLOCK + v * WIDTH, &total, sizeof total);
        }
    }
}

/* The same for a block of `size` sums, for one lane or for LANE_GROUP lanes. */
TARGET INLINE void NAME(dot_parts)(uint32_t *sums, const int32_t *offsets, const int8_t *weights,
                                   const uint8_t *inputs, ptrdiff_t stride, ptrdiff_t count, ptrdiff_t lanes,
                                   const int size, const int one_lane, const int many_lanes) {
    if (lanes == LANE_GROUP) {
        for (int v = 0; v < size / WIDTH; v += many_lanes) {
            NAME(dot_vectors)(sums + v * WIDTH, offsets + v * WIDTH, weights + 4 * v * WIDTH, inputs, stride,
                              count, size, LANE_GROUP, many_lanes, 1);
        }
    } else {
        for (int v = 0; v < size / WIDTH; v += one_lane) {
            NAME(dot_vectors)(sums + v * WIDTH, offsets + v * WIDTH, weights + 4 * v * WIDTH, inputs, 0, count,
                              size, 1, one_lane, CHAINS);
        }
    }
}

/* The same for a complete block of BLOCK sums. Separate functions, so that each can use all registers. */
TARGET NOINLINE void NAME(dot_full_block)(uint32_t *sums, const int32_t *offsets, const int8_t *weights,
                                          const uint8_t *inputs, ptrdiff_t stride, ptrdiff_t count,
                                          ptrdiff_t lanes) {
    NAME(dot_parts)(sums, offsets, weights, inputs, stride, count, lanes, TEXTGEN_BLOCK, VECTORS_ONE_LANE,
                    VECTORS_MANY_LANES);
}

/* The same for a block of GRU_BLOCK sums. */
TARGET NOINLINE void NAME(dot_gru_block)(uint32_t *sums, const int32_t *offsets, const int8_t *weights,
                                         const uint8_t *inputs, ptrdiff_t stride, ptrdiff_t count,
                                         ptrdiff_t lanes) {
    NAME(dot_parts)(sums, offsets, weights, inputs, stride, count, lanes, TEXTGEN_GRU_BLOCK,
                    GRU_VECTORS_ONE_LANE, GRU_VECTORS_MANY_LANES);
}

TARGET INLINE void NAME(dot_block)(uint32_t *sums, const int32_t *offsets, const int8_t *weights,
                                   const uint8_t *inputs, ptrdiff_t stride, ptrdiff_t count, ptrdiff_t lanes,
                                   const int size) {
    if (size == TEXTGEN_BLOCK) {
        NAME(dot_full_block)(sums, offsets, weights, inputs, stride, count, lanes);
    } else {
        NAME(dot_gru_block)(sums, offsets, weights, inputs, stride, count, lanes);
    }
}

TARGET INLINE ptrdiff_t NAME(lanes_at_once)(ptrdiff_t left) {
    return TEXTGEN_LANES(left) >= LANE_GROUP ? LANE_GROUP : 1;
}

/* Return start + sums * scales. */
TARGET INLINE vector NAME(scaled)(const float *start, const uint32_t *sums, const float *scales) {
    integers sum;
    memcpy(&sum, sums, sizeof sum);
    return NAME(load)(start) + NAME(rounded)(TO_FLOATS(sum) * NAME(load)(scales));
}

/* outputs = start + sums * (input_scale * scales). */
TARGET INLINE void NAME(scale_sums)(const float *start, const uint32_t *sums, const float *scales,
                                    float input_scale, float *outputs, ptrdiff_t count) {
    for (ptrdiff_t v = 0; v < count; v += WIDTH) {
        const vector scale = ((vector){0} + input_scale) * NAME(load)(scales + v);
        integers sum;
        memcpy(&sum, sums + v, sizeof sum);
        NAME(store)(outputs + v, NAME(load)(start + v) + NAME(rounded)(TO_FLOATS(sum) * scale));
    }
}

TARGET static void NAME(quantize)(const float *values, ptrdiff_t count, float bound, uint8_t *bytes) {
    const vector zero = {0}, limit = zero + bound, factor = zero + TEXTGEN_INT8_LEVELS / bound;
    /* 1.5 * 2^23: adding it removes the fraction, and the low bits of the sum are the integer. */
    const vector round_by = zero + 12582912.0f;
    for (ptrdiff_t i = 0; i < count; i += WIDTH) {
        both shifted;
        shifted.floats = NAME(multiply_add)(NAME(limit)(NAME(load)(values + i), limit), factor, round_by);
        STORE_BYTES(bytes + i, (shifted.bits + ZERO) & 0xffu);
    }
}
