/* The kernels of one instruction set. kernels.c includes this file for each set and defines
 *
 *   NAME(x)            the name x, with a suffix for the set
 *   WIDTH              floats in a vector: 16, 8, 4, or 1 for plain C
 *   TARGET             the function attribute that selects the set
 *   MULTIPLY_ADD       a * b + c for vectors, rounded once if the set has such an instruction
 *   MULTIPLY_ADD64     the same for vectors of half as many float64
 *   PRODUCT            a * b for vectors, never fused with a MULTIPLY_ADD
 *   VECTORS_ONE_LANE   how many vectors of a block are summed at once, for one lane
 *   VECTORS_MANY_LANES the same for LANE_GROUP lanes. Both are chosen so that the sums fit in the registers and
 *                      hide the latency of an addition
 *   GRU_VECTORS_ONE_LANE, GRU_VECTORS_MANY_LANES  the same for the smaller blocks of a gru
 *
 * Multiply-adds are explicit. Products in sums use only MULTIPLY_ADD and PRODUCT, so the compiler cannot fuse
 * others. Results therefore depend only on the instruction set, not on the compiler or its flags. All sets with
 * fused multiply-adds give the same results.
 */

#include "project_body.h"
#include "vector_body.h"

#include "activation_body.h"

#define VECTORS (TEXTGEN_BLOCK / WIDTH)
#define GRU_VECTORS (TEXTGEN_GRU_BLOCK / WIDTH)
#define LANE_GROUP 4

/* sums[lane][BLOCK] += inputs[lane][count] * weights[count][block], for some of the block's vectors. `block`,
 * `lanes` and `vectors` are constants in all calls, so that the compiler keeps the sums in registers. */
TARGET INLINE void NAME(add_vectors)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,
                                     ptrdiff_t count, const int block, const int lanes, const int vectors) {
    vector sum[LANE_GROUP * VECTORS];
    vector weight[VECTORS];
    ptrdiff_t i;
    int lane, v;
    UNROLL for (lane = 0; lane < lanes; lane++) {
        UNROLL for (v = 0; v < vectors; v++) {
            sum[lane * vectors + v] = NAME(load)(sums + lane * TEXTGEN_BLOCK + v * WIDTH);
        }
    }
    for (i = 0; i < count; i++) {
        UNROLL for (v = 0; v < vectors; v++) { weight[v] = NAME(load)(weights + i * block + v * WIDTH); }
        UNROLL for (lane = 0; lane < lanes; lane++) {
            const vector input = inputs[lane * stride + i] - (vector){0}; /* broadcast */
            UNROLL for (v = 0; v < vectors; v++) {
                sum[lane * vectors + v] = MULTIPLY_ADD(weight[v], input, sum[lane * vectors + v]);
            }
        }
    }
    UNROLL for (lane = 0; lane < lanes; lane++) {
        UNROLL for (v = 0; v < vectors; v++) {
            NAME(store)(sums + lane * TEXTGEN_BLOCK + v * WIDTH, sum[lane * vectors + v]);
        }
    }
}

/* The same for a complete block. Separate functions, so that each can use all registers. */
TARGET NOINLINE void NAME(add_one_lane)(float *sums, const float *weights, const float *inputs,
                                        ptrdiff_t count) {
    int v;
    for (v = 0; v < VECTORS; v += VECTORS_ONE_LANE) {
        NAME(add_vectors)(sums + v * WIDTH, weights + v * WIDTH, inputs, 0, count, TEXTGEN_BLOCK, 1,
                          VECTORS_ONE_LANE);
    }
}

TARGET NOINLINE void NAME(add_lane_group)(float *sums, const float *weights, const float *inputs,
                                          ptrdiff_t stride, ptrdiff_t count) {
    int v;
    for (v = 0; v < VECTORS; v += VECTORS_MANY_LANES) {
        NAME(add_vectors)(sums + v * WIDTH, weights + v * WIDTH, inputs, stride, count, TEXTGEN_BLOCK,
                          LANE_GROUP, VECTORS_MANY_LANES);
    }
}

TARGET INLINE void NAME(add_products)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,
                                      ptrdiff_t count, ptrdiff_t lanes) {
    if (lanes == LANE_GROUP) {
        NAME(add_lane_group)(sums, weights, inputs, stride, count);
    } else {
        NAME(add_one_lane)(sums, weights, inputs, count);
    }
}

TARGET INLINE ptrdiff_t NAME(lanes_at_once)(ptrdiff_t left) { return left >= LANE_GROUP ? LANE_GROUP : 1; }

/* Copy a block of the gate inputs of some lanes. */
TARGET INLINE void NAME(copy_gate_inputs)(float *sums, const float *const *gate_inputs, ptrdiff_t block,
                                          ptrdiff_t lanes) {
    ptrdiff_t lane;
    for (lane = 0; lane < lanes; lane++) {
        memcpy(sums + lane * TEXTGEN_BLOCK, gate_inputs[lane] + block, TEXTGEN_BLOCK * sizeof(float));
    }
}

/* Update the cell and hidden state of a group of units. sums: its four gates, in ONNX's order. */
TARGET INLINE void NAME(lstm_cell)(const float *sums, float *cell, float *hidden) {
    int v;
    for (v = 0; v < TEXTGEN_GROUP; v += WIDTH) {
        const vector input = NAME(sigmoid_of)(NAME(load)(sums + v));
        const vector output = NAME(sigmoid_of)(NAME(load)(sums + TEXTGEN_GROUP + v));
        const vector forget = NAME(sigmoid_of)(NAME(load)(sums + 2 * TEXTGEN_GROUP + v));
        const vector candidate = NAME(tanh_of)(NAME(load)(sums + 3 * TEXTGEN_GROUP + v));
        const vector new_cell = MULTIPLY_ADD(forget, NAME(load)(cell + v), PRODUCT(input, candidate));
        NAME(store)(cell + v, new_cell);
        NAME(store)(hidden + v, output * NAME(tanh_of)(new_cell));
    }
}

TARGET static void NAME(lstm)(const textgen_packed_layer *layer, const float *const *gate_inputs,
                              const float *input, float *hidden, float *cell, float *scratch, ptrdiff_t lanes) {
    const ptrdiff_t units = layer->outputs, inputs = layer->inputs;
    float sums[LANE_GROUP * TEXTGEN_BLOCK];
    ptrdiff_t group, first, lane_count, lane;
    for (group = 0; group < units; group += TEXTGEN_GROUP) {
        const ptrdiff_t block = group / TEXTGEN_GROUP * TEXTGEN_BLOCK;
        const float *weights = layer->weights + block * (inputs + units);
        for (first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(lanes_at_once)(lanes - first);
            NAME(copy_gate_inputs)(sums, gate_inputs + first, block, lane_count);
            if (inputs) {
                NAME(add_products)(sums, weights, input + first * inputs, inputs, inputs, lane_count);
            }
            NAME(add_products)(sums, weights + inputs * TEXTGEN_BLOCK, hidden + first * units, units, units,
                               lane_count);
            for (lane = 0; lane < lane_count; lane++) {
                const ptrdiff_t offset = (first + lane) * units + group;
                NAME(lstm_cell)(sums + lane * TEXTGEN_BLOCK, cell + offset, scratch + offset);
            }
        }
    }
    memcpy(hidden, scratch, (size_t)(lanes * units) * sizeof(float));
}

/* add_products for a block of a gru. */
TARGET NOINLINE void NAME(add_gru_products)(float *sums, const float *weights, const float *inputs,
                                            ptrdiff_t stride, ptrdiff_t count, ptrdiff_t lanes) {
    int v;
    if (lanes == LANE_GROUP) {
        for (v = 0; v < GRU_VECTORS; v += GRU_VECTORS_MANY_LANES) {
            NAME(add_vectors)(sums + v * WIDTH, weights + v * WIDTH, inputs, stride, count, TEXTGEN_GRU_BLOCK,
                              LANE_GROUP, GRU_VECTORS_MANY_LANES);
        }
    } else {
        for (v = 0; v < GRU_VECTORS; v += GRU_VECTORS_ONE_LANE) {
            NAME(add_vectors)(sums + v * WIDTH, weights + v * WIDTH, inputs, 0, count, TEXTGEN_GRU_BLOCK, 1,
                              GRU_VECTORS_ONE_LANE);
        }
    }
}

/* Compute the next hidden state of a group of units. sums: see textgen_packed_layer. */
TARGET INLINE void NAME(gru_cell)(const float *sums, const float *hidden, float *next) {
    int v;
    for (v = 0; v < TEXTGEN_GROUP; v += WIDTH) {
        const vector update = NAME(sigmoid_of)(NAME(load)(sums + TEXTGEN_GROUP + v));
        const vector reset = NAME(sigmoid_of)(NAME(load)(sums + 2 * TEXTGEN_GROUP + v));
        const vector recurrent = NAME(load)(sums + 3 * TEXTGEN_GROUP + v);
        const vector candidate = NAME(tanh_of)(MULTIPLY_ADD(reset, recurrent, NAME(load)(sums + v)));
        /* (1 - update) * candidate + update * hidden */
        NAME(store)(next + v, MULTIPLY_ADD(update, NAME(load)(hidden + v) - candidate, candidate));
    }
}

TARGET static void NAME(gru)(const textgen_packed_layer *layer, const float *const *gate_inputs,
                             const float *input, float *hidden, float *scratch, ptrdiff_t lanes) {
    const ptrdiff_t units = layer->outputs, inputs = layer->inputs;
    float sums[LANE_GROUP * TEXTGEN_BLOCK];
    ptrdiff_t group, first, lane_count, lane;
    for (group = 0; group < units; group += TEXTGEN_GROUP) {
        const ptrdiff_t block = group / TEXTGEN_GROUP * TEXTGEN_BLOCK;
        const float *weights = layer->weights + group / TEXTGEN_GROUP * TEXTGEN_GRU_BLOCK * (inputs + units);
        for (first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(lanes_at_once)(lanes - first);
            NAME(copy_gate_inputs)(sums, gate_inputs + first, block, lane_count);
            if (inputs) {
                NAME(add_gru_products)(sums, weights, input + first * inputs, inputs, inputs, lane_count);
            }
            NAME(add_gru_products)(sums + TEXTGEN_GROUP, weights + inputs * TEXTGEN_GRU_BLOCK,
                                   hidden + first * units, units, units, lane_count);
            for (lane = 0; lane < lane_count; lane++) {
                const ptrdiff_t offset = (first + lane) * units + group;
                NAME(gru_cell)(sums + lane * TEXTGEN_BLOCK, hidden + offset, scratch + offset);
            }
        }
    }
    memcpy(hidden, scratch, (size_t)(lanes * units) * sizeof(float));
}

TARGET static void NAME(conv)(const textgen_packed_layer *layer, const float *older, const float *input,
                              float *output, ptrdiff_t lanes) {
    const ptrdiff_t units = layer->outputs, inputs = layer->inputs;
    float sums[LANE_GROUP * TEXTGEN_BLOCK];
    ptrdiff_t group, first, lane_count, lane, v;
    for (group = 0; group < units; group += TEXTGEN_CONV_GROUP) {
        const ptrdiff_t block = group / TEXTGEN_CONV_GROUP * TEXTGEN_BLOCK;
        const float *weights = layer->weights + block * 2 * inputs;
        for (first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(lanes_at_once)(lanes - first);
            for (lane = 0; lane < lane_count; lane++) {
                memcpy(sums + lane * TEXTGEN_BLOCK, layer->bias + block, TEXTGEN_BLOCK * sizeof(float));
            }
            NAME(add_products)(sums, weights, older + first * inputs, inputs, inputs, lane_count);
            NAME(add_products)(sums, weights + inputs * TEXTGEN_BLOCK, input + first * inputs, inputs, inputs,
                               lane_count);
            for (lane = 0; lane < lane_count; lane++) {
                const float *filters = sums + lane * TEXTGEN_BLOCK, *gates = filters + TEXTGEN_CONV_GROUP;
                float *outputs = output + (first + lane) * units + group;
                for (v = 0; v < TEXTGEN_CONV_GROUP; v += WIDTH) {
                    NAME(store)(outputs + v, NAME(tanh_of)(NAME(load)(filters + v)) *
                                                 NAME(sigmoid_of)(NAME(load)(gates + v)));
                }
            }
        }
    }
}

TARGET static void NAME(linear)(const textgen_packed_layer *layer, const float *input, float *output,
                                ptrdiff_t lanes) {
    const ptrdiff_t inputs = layer->inputs, outputs = layer->outputs;
    float sums[LANE_GROUP * TEXTGEN_BLOCK];
    ptrdiff_t block, first, lane_count, lane;
    for (block = 0; block < outputs; block += TEXTGEN_BLOCK) {
        for (first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(lanes_at_once)(lanes - first);
            for (lane = 0; lane < lane_count; lane++) {
                memcpy(sums + lane * TEXTGEN_BLOCK, layer->bias + block, TEXTGEN_BLOCK * sizeof(float));
            }
            NAME(add_products)(sums, layer->weights + block * inputs, input + first * inputs, inputs, inputs,
                               lane_count);
            for (lane = 0; lane < lane_count; lane++) {
                memcpy(output + (first + lane) * outputs + block, sums + lane * TEXTGEN_BLOCK,
                       TEXTGEN_BLOCK * sizeof(float));
            }
        }
    }
}

TARGET static float NAME(sum)(const float *values, ptrdiff_t count) {
    vector sum[8];
    float total = 0.0f;
    ptrdiff_t i;
    int v;
    UNROLL for (v = 0; v < 8; v++) { sum[v] = NAME(load)(values + v * WIDTH); }
    for (i = 8 * WIDTH; i < count; i += 8 * WIDTH) {
        UNROLL for (v = 0; v < 8; v++) { sum[v] += NAME(load)(values + i + v * WIDTH); }
    }
    for (v = 0; v < 8; v++) {
        float elements[WIDTH];
        NAME(store)(elements, sum[v]);
        for (i = 0; i < WIDTH; i++) {
            total += elements[i];
        }
    }
    return total;
}

#include "activation_arrays.h"

#undef vector
#undef integers
#undef both
#undef VECTORS
#undef GRU_VECTORS
#undef LANE_GROUP
#undef NAME
#undef WIDTH
#undef TARGET
#undef MULTIPLY_ADD
#undef MULTIPLY_ADD64
#undef PRODUCT
#undef VECTORS_ONE_LANE
#undef VECTORS_MANY_LANES
#undef GRU_VECTORS_ONE_LANE
#undef GRU_VECTORS_MANY_LANES
