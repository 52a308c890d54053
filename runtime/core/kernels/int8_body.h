/* The kernels for 8-bit weights of one instruction set. int8.c includes this file for each set and
 * defines
 *
 *   KERNELS               the name of the table of the kernels
 *   NAME(x)               the name x, with a suffix for the set
 *   WIDTH                 32-bit elements in a vector: 16, 8, 4, or 1 for plain C
 *   TARGET                the function attribute that selects the set
 *   ZERO                  the byte of an input of 0, 127 or 0: see textgen_int8_kernels
 *   WEIGHTS, INPUTS       the types of 4 * WIDTH weights and of 4 inputs
 *   LOAD_WEIGHTS(weights) loads the weights of WIDTH sums for 4 inputs, [WIDTH][4]
 *   LOAD_INPUTS(inputs)   loads 4 inputs
 *   ADD_DOTS(sums, w, i)  adds the products of such weights and inputs to WIDTH sums
 *   TO_FLOATS(sums)       converts signed integers to the nearest floats, ties to even
 *   STORE_BYTES(to, x)    stores the low bytes of integers below 256
 *   MINIMUM, MAXIMUM      a < b ? a : b, and a > b ? a : b, so b if one of them is NaN
 *   VECTORS_ONE_LANE, VECTORS_MANY_LANES see kernel_body.h
 *   CHAINS                how many sums of alternate inputs are computed for each sum of one lane, 1 or 2. With
 *                         a second one, an addition does not wait for the one before it
 *   AHEAD                 how many bytes before their use the weights of one lane are prefetched, or 0
 */

#include "vector_body.h"

/* The activations are cheaper and less exact than those of kernel_body.h: the rounding of the weights changes
 * the logits more. All operations are separate, so that results are equal to the bit in all instruction sets.
 */

/* a * b + c, rounded after each operation. */
TARGET INLINE vector NAME(multiply_add)(vector a, vector b, vector c) { return NAME(rounded)(a * b) + c; }

/* Limit values to [-limit, limit]. NaN becomes `limit`. */
TARGET INLINE vector NAME(limit)(vector x, vector limit) { return MAXIMUM(MINIMUM(x, limit), -limit); }

/* tanh(x) is nearly x P(x^2) / Q(x^2) for |x| up to 5, and the value at 5 beyond: the rational function of
 * these degrees with the smallest maximum of the absolute error, which is below 5e-5. The result for NaN is
 * that for infinity. */
#define TANH_LIMIT 5.0f
#define TANH_P0 0.9997998f
#define TANH_P1 0.101587944f
#define TANH_P2 6.514394e-4f
#define TANH_Q1 0.4343434f
#define TANH_Q2 0.012600881f

TARGET SHARED vector NAME(tanh_of)(vector x) {
    const vector zero = {0}, limited = NAME(limit)(x, zero + TANH_LIMIT), square = limited * limited;
    vector p = NAME(multiply_add)(square, zero + TANH_P2, zero + TANH_P1);
    vector q = NAME(multiply_add)(square, zero + TANH_Q2, zero + TANH_Q1);
    p = NAME(multiply_add)(square, p, zero + TANH_P0);
    q = NAME(multiply_add)(square, q, zero + 1.0f);
    return limited * p / q;
}

/* 0.5 + 0.5 tanh(x / 2), with the factors of 0.5 in the constants. The absolute error is below 3e-5. */
TARGET SHARED vector NAME(sigmoid_of)(vector x) {
    const vector zero = {0}, limited = NAME(limit)(x, zero + 2.0f * TANH_LIMIT), square = limited * limited;
    vector p = NAME(multiply_add)(square, zero + TANH_P2 / 64.0f, zero + TANH_P1 / 16.0f);
    vector q = NAME(multiply_add)(square, zero + TANH_Q2 / 16.0f, zero + TANH_Q1 / 4.0f);
    p = NAME(multiply_add)(square, p, zero + TANH_P0 / 4.0f);
    q = NAME(multiply_add)(square, q, zero + 1.0f);
    return limited * p / q + 0.5f;
}

#undef TANH_LIMIT
#undef TANH_P0
#undef TANH_P1
#undef TANH_P2
#undef TANH_Q1
#undef TANH_Q2

#define VECTORS (TEXTGEN_BLOCK / WIDTH)
#define LANE_GROUP 4

/* sums[lane][BLOCK] = offsets + inputs[lane][count] * weights[count / 4][block][4], for some of the block's
 * vectors. The arguments after `count` are constants in all calls, so that the compiler keeps the sums in
 * registers. */
TARGET INLINE void NAME(dot_vectors)(uint32_t *sums, const int32_t *offsets, const int8_t *weights,
                                     const uint8_t *inputs, ptrdiff_t count, const int lanes, const int vectors,
                                     const int chains) {
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
            const int8_t *row = weights + (i + 4 * chain) * TEXTGEN_BLOCK;
            UNROLL for (int v = 0; v < vectors; v++) { weight[v] = LOAD_WEIGHTS(row + 4 * v * WIDTH); }
            if (lanes == 1 && AHEAD > 0) {
                UNROLL for (int v = 0; v < vectors; v += 16 / WIDTH) {
                    TEXTGEN_PREFETCH((uintptr_t)row + (uintptr_t)(4 * v * WIDTH + AHEAD));
                }
            }
            UNROLL for (int lane = 0; lane < lanes; lane++) {
                INPUTS input = LOAD_INPUTS(inputs + lane * count + i + 4 * chain);
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

/* The same for a complete block, for one lane or for LANE_GROUP lanes. A separate function, so that it can use
 * all registers. */
TARGET NOINLINE void NAME(dot_block)(uint32_t *sums, const int32_t *offsets, const int8_t *weights,
                                     const uint8_t *inputs, ptrdiff_t count, ptrdiff_t lanes) {
    if (lanes == LANE_GROUP) {
        for (int v = 0; v < VECTORS; v += VECTORS_MANY_LANES) {
            NAME(dot_vectors)(sums + v * WIDTH, offsets + v * WIDTH, weights + 4 * v * WIDTH, inputs, count,
                              LANE_GROUP, VECTORS_MANY_LANES, 1);
        }
    } else {
        for (int v = 0; v < VECTORS; v += VECTORS_ONE_LANE) {
            NAME(dot_vectors)(sums + v * WIDTH, offsets + v * WIDTH, weights + 4 * v * WIDTH, inputs, count, 1,
                              VECTORS_ONE_LANE, CHAINS);
        }
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

/* A tile is a block of one lane: TEXTGEN_BLOCK gates of a group of units. Several tiles are computed at once,
 * so that the long chains of operations of their activations overlap: LANE_GROUP lanes of one block, or as many
 * blocks of a single lane. TILES is the largest number; `tile` counts lanes of a block, or blocks of a lane. */
#ifdef TEXTGEN_SMALL
#define TILES 1
#else
#define TILES LANE_GROUP
#endif

/* Compute the activations of the gates of an lstm. gates: what is added to the sums of the hidden state. */
TARGET INLINE void NAME(lstm_gates)(float *gates, const uint32_t *sums, const float *scales) {
    ptrdiff_t v = 0;
    /* ONNX's order: input, output, forget, cell. */
    for (; v < 3 * TEXTGEN_GROUP; v += WIDTH) {
        NAME(store)(gates + v, NAME(sigmoid_of)(NAME(scaled)(gates + v, sums + v, scales + v)));
    }
    for (; v < TEXTGEN_BLOCK; v += WIDTH) {
        NAME(store)(gates + v, NAME(tanh_of)(NAME(scaled)(gates + v, sums + v, scales + v)));
    }
}

/* Update the cell and hidden state of a group of units. */
TARGET INLINE void NAME(lstm_cell)(const float *gates, float *cell, float *hidden) {
    for (ptrdiff_t v = 0; v < TEXTGEN_GROUP; v += WIDTH) {
        const vector input = NAME(load)(gates + v), output = NAME(load)(gates + TEXTGEN_GROUP + v);
        const vector forget = NAME(load)(gates + 2 * TEXTGEN_GROUP + v);
        const vector candidate = NAME(load)(gates + 3 * TEXTGEN_GROUP + v);
        const vector kept = NAME(rounded)(forget * NAME(load)(cell + v));
        const vector new_cell = kept + NAME(rounded)(input * candidate);
        NAME(store)(cell + v, new_cell);
        NAME(store)(hidden + v, output * NAME(tanh_of)(new_cell));
    }
}

/* Compute the sums of some tiles of one block. gates: gate_inputs plus the products of the inputs. sums: of the
 * hidden state. */
TARGET INLINE void NAME(sum_block)(const textgen_packed_layer *layer, const float *const *gate_inputs,
                                   const uint8_t *input, const float *input_scales, const uint8_t *hidden,
                                   ptrdiff_t block, ptrdiff_t lanes, float *gates, uint32_t *sums) {
    const ptrdiff_t units = layer->outputs, inputs = layer->inputs, row = block * TEXTGEN_BLOCK;
    const int8_t *weights = (const int8_t *)layer->weights + row * (inputs + units);
    for (ptrdiff_t lane = 0; lane < lanes; lane++) {
        memcpy(gates + lane * TEXTGEN_BLOCK, gate_inputs[lane] + block * TEXTGEN_BLOCK,
               TEXTGEN_BLOCK * sizeof(float));
    }
    if (inputs) {
        NAME(dot_block)(sums, layer->input.offsets + row, weights, input, inputs, lanes);
        for (ptrdiff_t lane = 0; lane < lanes; lane++) {
            float *gate = gates + lane * TEXTGEN_BLOCK;
            NAME(scale_sums)(gate, sums + lane * TEXTGEN_BLOCK, layer->input.scales + row, input_scales[lane],
                             gate, TEXTGEN_BLOCK);
        }
    }
    NAME(dot_block)(sums, layer->hidden.offsets + row, weights + inputs * TEXTGEN_BLOCK, hidden, units, lanes);
}

TARGET static void NAME(lstm)(const textgen_packed_layer *layer, const float *const *gate_inputs,
                              const uint8_t *input, const float *input_scales, float *hidden, float *cell,
                              uint8_t *scratch, ptrdiff_t lanes) {
    const ptrdiff_t units = layer->outputs, blocks = units / TEXTGEN_GROUP;
    const ptrdiff_t at_once = lanes == 1 ? TILES : 1;
    float gates[TILES * TEXTGEN_BLOCK];
    uint32_t sums[TILES * TEXTGEN_BLOCK];
    lanes = TEXTGEN_LANES(lanes);
    NAME(quantize)(hidden, lanes * units, 1.0f, scratch);
    ptrdiff_t lane_count;
    ptrdiff_t block_count;
    for (ptrdiff_t first_block = 0; first_block < blocks; first_block += block_count) {
        block_count = blocks - first_block < at_once ? blocks - first_block : at_once;
        for (ptrdiff_t first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(lanes_at_once)(lanes - first);
            for (ptrdiff_t block = 0; block < block_count; block++) {
                NAME(sum_block)(layer, gate_inputs + first, input + first * layer->inputs, input_scales + first,
                                scratch + first * units, first_block + block, lane_count,
                                gates + block * TEXTGEN_BLOCK, sums + block * TEXTGEN_BLOCK);
            }
            for (ptrdiff_t tile = 0; tile < lane_count * block_count; tile++) {
                const ptrdiff_t row = (first_block + (lanes == 1 ? tile : 0)) * TEXTGEN_BLOCK;
                NAME(lstm_gates)(gates + tile * TEXTGEN_BLOCK, sums + tile * TEXTGEN_BLOCK,
                                 layer->hidden.scales + row);
            }
            for (ptrdiff_t tile = 0; tile < lane_count * block_count; tile++) {
                const ptrdiff_t offset = lanes == 1 ? (first_block + tile) * TEXTGEN_GROUP
                                                    : (first + tile) * units + first_block * TEXTGEN_GROUP;
                NAME(lstm_cell)(gates + tile * TEXTGEN_BLOCK, cell + offset, hidden + offset);
            }
        }
    }
}

TARGET static void NAME(linear)(const textgen_packed_layer *layer, const uint8_t *input, float input_scale,
                                float *output, ptrdiff_t lanes) {
    const ptrdiff_t inputs = layer->inputs, outputs = layer->outputs;
    uint32_t sums[LANE_GROUP * TEXTGEN_BLOCK];
    lanes = TEXTGEN_LANES(lanes);
    ptrdiff_t lane_count;
    for (ptrdiff_t block = 0; block < outputs; block += TEXTGEN_BLOCK) {
        for (ptrdiff_t first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(lanes_at_once)(lanes - first);
            NAME(dot_block)(sums, layer->input.offsets + block, (const int8_t *)layer->weights + block * inputs,
                            input + first * inputs, inputs, lane_count);
            for (ptrdiff_t lane = 0; lane < lane_count; lane++) {
                NAME(scale_sums)(layer->bias + block, sums + lane * TEXTGEN_BLOCK, layer->input.scales + block,
                                 input_scale, output + (first + lane) * outputs + block, TEXTGEN_BLOCK);
            }
        }
    }
}

#ifdef TEXTGEN_SMALL
#define MEASURED_SUM NULL
#else
#define MEASURED_SUM NAME(sum)

TARGET static uint32_t NAME(sum)(const void *values, ptrdiff_t bytes) {
    integers sum[4];
    uint32_t total = 0;
    memset(sum, 0, sizeof sum);
    for (ptrdiff_t i = 0; i < bytes; i += 16 * WIDTH) {
        UNROLL for (int v = 0; v < 4; v++) {
            integers value;
            memcpy(&value, (const int8_t *)values + i + 4 * v * WIDTH, sizeof value);
            sum[v] += value;
        }
    }
    for (int v = 0; v < 4; v++) {
        uint32_t elements[WIDTH];
        memcpy(elements, &sum[v], sizeof elements);
        for (ptrdiff_t i = 0; i < WIDTH; i++) {
            total += elements[i];
        }
    }
    return total;
}

#endif

const textgen_int8_kernels KERNELS = {
    ZERO, NAME(quantize), NAME(lstm), NAME(linear), MEASURED_SUM,
};

#undef vector
#undef integers
#undef both
#undef VECTORS
#undef LANE_GROUP
#undef TILES
#undef NAME
#undef WIDTH
#undef TARGET
#undef ZERO
#undef WEIGHTS
#undef INPUTS
#undef LOAD_WEIGHTS
#undef LOAD_INPUTS
#undef ADD_DOTS
#undef TO_FLOATS
#undef STORE_BYTES
#undef MINIMUM
#undef MAXIMUM
#undef VECTORS_ONE_LANE
#undef VECTORS_MANY_LANES
#undef CHAINS
#undef AHEAD
#undef KERNELS
#undef MEASURED_SUM
