/* The kernels for 8-bit weights of one instruction set. int8_kernels.c includes this file for each set and
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
 *   VECTORS_ONE_LANE, VECTORS_MANY_LANES, GRU_VECTORS_ONE_LANE, GRU_VECTORS_MANY_LANES  see kernel_body.h
 *   CHAINS                how many sums of alternate inputs are computed for each sum of one lane, 1 or 2. With
 * a second one, an addition does not wait for the one before it
 */

#include "vector_body.h"

#include "int8_gates.h"

#define VECTORS (TEXTGEN_BLOCK / WIDTH)
#define LANE_GROUP 4

/* sums[lane][BLOCK] = offsets + inputs[lane][count] * weights[count / 4][block][4], for some of the block's
 * vectors. The arguments after `count` are constants in all calls, so that the compiler keeps the sums in
 * registers. */
TARGET INLINE void NAME(dot_vectors)(uint32_t *sums, const int32_t *offsets, const int8_t *weights,
                                     const uint8_t *inputs, ptrdiff_t stride, ptrdiff_t count, const int block,
                                     const int lanes, const int vectors, const int chains) {
    integers sum[2 * LANE_GROUP * VECTORS];
    WEIGHTS weight[VECTORS];
    ptrdiff_t i;
    int lane, v, chain;
    UNROLL for (lane = 0; lane < lanes; lane++) {
        UNROLL for (v = 0; v < vectors; v++) {
            memcpy(&sum[lane * vectors + v], offsets + v * WIDTH, sizeof *sum);
            if (chains == 2) {
                sum[vectors + v] = (integers){0};
            }
        }
    }
    for (i = 0; i < count; i += 4 * chains) {
        UNROLL for (chain = 0; chain < chains; chain++) {
            const int8_t *row = weights + (i + 4 * chain) * block;
            UNROLL for (v = 0; v < vectors; v++) { weight[v] = LOAD_WEIGHTS(row + 4 * v * WIDTH); }
            UNROLL for (lane = 0; lane < lanes; lane++) {
                INPUTS input = LOAD_INPUTS(inputs + lane * stride + i + 4 * chain);
                UNROLL for (v = 0; v < vectors; v++) {
                    const int at = (chain + lane) * vectors + v;
                    sum[at] = ADD_DOTS(sum[at], weight[v], input);
                }
            }
        }
    }
    UNROLL for (lane = 0; lane < lanes; lane++) {
        UNROLL for (v = 0; v < vectors; v++) {
            integers total = sum[lane * vectors + v];
            if (chains == 2) {
                total += sum[vectors + v];
            }
            memcpy(sums + lane * TEXTGEN_BLOCK + v * WIDTH, &total, sizeof total);
        }
    }
}

/* The same for a complete block of BLOCK sums. */
TARGET NOINLINE void NAME(dot_block)(uint32_t *sums, const int32_t *offsets, const int8_t *weights,
                                     const uint8_t *inputs, ptrdiff_t stride, ptrdiff_t count,
                                     ptrdiff_t lanes) {
    int v;
    if (lanes == LANE_GROUP) {
        for (v = 0; v < VECTORS; v += VECTORS_MANY_LANES) {
            NAME(dot_vectors)(sums + v * WIDTH, offsets + v * WIDTH, weights + 4 * v * WIDTH, inputs, stride,
                              count, TEXTGEN_BLOCK, LANE_GROUP, VECTORS_MANY_LANES, 1);
        }
    } else {
        for (v = 0; v < VECTORS; v += VECTORS_ONE_LANE) {
            NAME(dot_vectors)(sums + v * WIDTH, offsets + v * WIDTH, weights + 4 * v * WIDTH, inputs, 0, count,
                              TEXTGEN_BLOCK, 1, VECTORS_ONE_LANE, CHAINS);
        }
    }
}

/* The same for a block of GRU_BLOCK sums. */
TARGET NOINLINE void NAME(dot_gru_block)(uint32_t *sums, const int32_t *offsets, const int8_t *weights,
                                         const uint8_t *inputs, ptrdiff_t stride, ptrdiff_t count,
                                         ptrdiff_t lanes) {
    int v;
    if (lanes == LANE_GROUP) {
        for (v = 0; v < TEXTGEN_GRU_BLOCK / WIDTH; v += GRU_VECTORS_MANY_LANES) {
            NAME(dot_vectors)(sums + v * WIDTH, offsets + v * WIDTH, weights + 4 * v * WIDTH, inputs, stride,
                              count, TEXTGEN_GRU_BLOCK, LANE_GROUP, GRU_VECTORS_MANY_LANES, 1);
        }
    } else {
        for (v = 0; v < TEXTGEN_GRU_BLOCK / WIDTH; v += GRU_VECTORS_ONE_LANE) {
            NAME(dot_vectors)(sums + v * WIDTH, offsets + v * WIDTH, weights + 4 * v * WIDTH, inputs, 0, count,
                              TEXTGEN_GRU_BLOCK, 1, GRU_VECTORS_ONE_LANE, CHAINS);
        }
    }
}

TARGET INLINE ptrdiff_t NAME(lanes_at_once)(ptrdiff_t left) { return left >= LANE_GROUP ? LANE_GROUP : 1; }

/* Return start + sums * scales. */
TARGET INLINE vector NAME(scaled)(const float *start, const uint32_t *sums, const float *scales) {
    integers sum;
    memcpy(&sum, sums, sizeof sum);
    return NAME(load)(start) + NAME(rounded)(TO_FLOATS(sum) * NAME(load)(scales));
}

/* outputs = start + sums * (input_scale * scales). */
TARGET INLINE void NAME(scale_sums)(const float *start, const uint32_t *sums, const float *scales,
                                    float input_scale, float *outputs, ptrdiff_t count) {
    ptrdiff_t v;
    for (v = 0; v < count; v += WIDTH) {
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
    ptrdiff_t i;
    for (i = 0; i < count; i += WIDTH) {
        both shifted;
        shifted.floats = NAME(multiply_add)(NAME(limit)(NAME(load)(values + i), limit), factor, round_by);
        STORE_BYTES(bytes + i, (shifted.bits + ZERO) & 0xffu);
    }
}

/* Update the cell and hidden state of a group of units. sums: of the hidden state, for the four gates in ONNX's
 * order; gates: what is added to them. */
TARGET INLINE void NAME(lstm_cell)(const float *gates, const uint32_t *sums, const float *scales, float *cell,
                                   float *hidden) {
    int v;
    for (v = 0; v < TEXTGEN_GROUP; v += WIDTH) {
        const int o = v + TEXTGEN_GROUP, f = o + TEXTGEN_GROUP, c = f + TEXTGEN_GROUP;
        const vector input = NAME(sigmoid_of)(NAME(scaled)(gates + v, sums + v, scales + v));
        const vector output = NAME(sigmoid_of)(NAME(scaled)(gates + o, sums + o, scales + o));
        const vector forget = NAME(sigmoid_of)(NAME(scaled)(gates + f, sums + f, scales + f));
        const vector candidate = NAME(tanh_of)(NAME(scaled)(gates + c, sums + c, scales + c));
        const vector kept = NAME(rounded)(forget * NAME(load)(cell + v));
        const vector new_cell = kept + NAME(rounded)(input * candidate);
        NAME(store)(cell + v, new_cell);
        NAME(store)(hidden + v, output * NAME(tanh_of)(new_cell));
    }
}

TARGET static void NAME(lstm)(const textgen_int8_layer *layer, const float *const *gate_inputs,
                              const uint8_t *input, const float *input_scales, float *hidden, float *cell,
                              uint8_t *scratch, ptrdiff_t lanes) {
    const ptrdiff_t units = layer->outputs, inputs = layer->inputs;
    uint32_t sums[LANE_GROUP * TEXTGEN_BLOCK];
    float gates[LANE_GROUP * TEXTGEN_BLOCK];
    ptrdiff_t group, first, lane_count, lane;
    NAME(quantize)(hidden, lanes * units, 1.0f, scratch);
    for (group = 0; group < units; group += TEXTGEN_GROUP) {
        const ptrdiff_t block = group / TEXTGEN_GROUP * TEXTGEN_BLOCK;
        const int8_t *weights = layer->weights + block * (inputs + units);
        for (first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(lanes_at_once)(lanes - first);
            if (inputs) {
                NAME(dot_block)(sums, layer->input.offsets + block, weights, input + first * inputs, inputs,
                                inputs, lane_count);
            }
            for (lane = 0; inputs && lane < lane_count; lane++) {
                NAME(scale_sums)(gate_inputs[first + lane] + block, sums + lane * TEXTGEN_BLOCK,
                                 layer->input.scales + block, input_scales[first + lane],
                                 gates + lane * TEXTGEN_BLOCK, TEXTGEN_BLOCK);
            }
            NAME(dot_block)(sums, layer->hidden.offsets + block, weights + inputs * TEXTGEN_BLOCK,
                            scratch + first * units, units, units, lane_count);
            for (lane = 0; lane < lane_count; lane++) {
                const ptrdiff_t offset = (first + lane) * units + group;
                const float *added = inputs ? gates + lane * TEXTGEN_BLOCK : gate_inputs[first + lane] + block;
                NAME(lstm_cell)(added, sums + lane * TEXTGEN_BLOCK, layer->hidden.scales + block, cell + offset,
                                hidden + offset);
            }
        }
    }
}

/* Update the hidden state of a group of units. gates: for the four sums of textgen_packed_layer. sums: of the
 * hidden state, for the last three of them. */
TARGET INLINE void NAME(gru_cell)(const float *gates, const uint32_t *sums, const float *scales,
                                  float *hidden) {
    int v;
    for (v = 0; v < TEXTGEN_GROUP; v += WIDTH) {
        const int u = v, r = v + TEXTGEN_GROUP, c = r + TEXTGEN_GROUP;
        const float *added = gates + TEXTGEN_GROUP;
        const vector update = NAME(sigmoid_of)(NAME(scaled)(added + u, sums + u, scales + u));
        const vector reset = NAME(sigmoid_of)(NAME(scaled)(added + r, sums + r, scales + r));
        const vector recurrent = NAME(scaled)(added + c, sums + c, scales + c);
        const vector candidate = NAME(tanh_of)(NAME(multiply_add)(reset, recurrent, NAME(load)(gates + v)));
        const vector difference = NAME(load)(hidden + v) - candidate;
        /* (1 - update) * candidate + update * hidden */
        NAME(store)(hidden + v, NAME(multiply_add)(update, difference, candidate));
    }
}

TARGET static void NAME(gru)(const textgen_int8_layer *layer, const float *const *gate_inputs,
                             const uint8_t *input, const float *input_scales, float *hidden, uint8_t *scratch,
                             ptrdiff_t lanes) {
    const ptrdiff_t units = layer->outputs, inputs = layer->inputs;
    uint32_t sums[LANE_GROUP * TEXTGEN_BLOCK];
    float gates[LANE_GROUP * TEXTGEN_BLOCK];
    ptrdiff_t group, first, lane_count, lane;
    NAME(quantize)(hidden, lanes * units, 1.0f, scratch);
    for (group = 0; group < units; group += TEXTGEN_GROUP) {
        const ptrdiff_t block = group / TEXTGEN_GROUP * TEXTGEN_BLOCK;
        const ptrdiff_t part = group / TEXTGEN_GROUP * TEXTGEN_GRU_BLOCK;
        const int8_t *weights = layer->weights + part * (inputs + units);
        for (first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(lanes_at_once)(lanes - first);
            for (lane = 0; lane < lane_count; lane++) {
                memcpy(gates + lane * TEXTGEN_BLOCK, gate_inputs[first + lane] + block,
                       TEXTGEN_BLOCK * sizeof(float));
            }
            if (inputs) {
                NAME(dot_gru_block)(sums, layer->input.offsets + part, weights, input + first * inputs, inputs,
                                    inputs, lane_count);
            }
            for (lane = 0; inputs && lane < lane_count; lane++) {
                float *sum = gates + lane * TEXTGEN_BLOCK;
                NAME(scale_sums)(sum, sums + lane * TEXTGEN_BLOCK, layer->input.scales + part,
                                 input_scales[first + lane], sum, TEXTGEN_GRU_BLOCK);
            }
            NAME(dot_gru_block)(sums, layer->hidden.offsets + part, weights + inputs * TEXTGEN_GRU_BLOCK,
                                scratch + first * units, units, units, lane_count);
            for (lane = 0; lane < lane_count; lane++) {
                NAME(gru_cell)(gates + lane * TEXTGEN_BLOCK, sums + lane * TEXTGEN_BLOCK,
                               layer->hidden.scales + part, hidden + (first + lane) * units + group);
            }
        }
    }
}

TARGET static void NAME(linear)(const textgen_int8_layer *layer, const uint8_t *input, float input_scale,
                                float *output, ptrdiff_t lanes) {
    const ptrdiff_t inputs = layer->inputs, outputs = layer->outputs;
    uint32_t sums[LANE_GROUP * TEXTGEN_BLOCK];
    ptrdiff_t block, first, lane_count, lane;
    for (block = 0; block < outputs; block += TEXTGEN_BLOCK) {
        for (first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(lanes_at_once)(lanes - first);
            NAME(dot_block)(sums, layer->input.offsets + block, layer->weights + block * inputs,
                            input + first * inputs, inputs, inputs, lane_count);
            for (lane = 0; lane < lane_count; lane++) {
                NAME(scale_sums)(layer->bias + block, sums + lane * TEXTGEN_BLOCK, layer->input.scales + block,
                                 input_scale, output + (first + lane) * outputs + block, TEXTGEN_BLOCK);
            }
        }
    }
}

TARGET static uint32_t NAME(sum)(const int8_t *values, ptrdiff_t count) {
    integers sum[4];
    uint32_t total = 0;
    ptrdiff_t i;
    int v;
    memset(sum, 0, sizeof sum);
    for (i = 0; i < count; i += 16 * WIDTH) {
        UNROLL for (v = 0; v < 4; v++) {
            integers value;
            memcpy(&value, values + i + 4 * v * WIDTH, sizeof value);
            sum[v] += value;
        }
    }
    for (v = 0; v < 4; v++) {
        uint32_t elements[WIDTH];
        memcpy(elements, &sum[v], sizeof elements);
        for (i = 0; i < WIDTH; i++) {
            total += elements[i];
        }
    }
    return total;
}

TARGET static void NAME(sigmoid)(float *values, ptrdiff_t count) {
    ptrdiff_t i;
    for (i = 0; i < count; i += WIDTH) {
        NAME(store)(values + i, NAME(sigmoid_of)(NAME(load)(values + i)));
    }
}

TARGET static void NAME(tanh)(float *values, ptrdiff_t count) {
    ptrdiff_t i;
    for (i = 0; i < count; i += WIDTH) {
        NAME(store)(values + i, NAME(tanh_of)(NAME(load)(values + i)));
    }
}

const textgen_int8_kernels KERNELS = {
    ZERO, NAME(quantize), NAME(lstm), NAME(gru), NAME(linear), NAME(sum), NAME(sigmoid), NAME(tanh),
};

#undef vector
#undef integers
#undef both
#undef VECTORS
#undef LANE_GROUP
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
#undef GRU_VECTORS_ONE_LANE
#undef GRU_VECTORS_MANY_LANES
#undef CHAINS
#undef KERNELS
