/* The kernels of one instruction set. kernels.c includes this file for each set and defines
 *
 *   NAME(x)            the name x, with a suffix for the set
 *   WIDTH              floats in a vector: 16, 8, 4, or 1 for plain C
 *   TARGET             the function attribute that selects the set
 *   MULTIPLY_ADD       a * b + c for vectors, rounded once if the set has such an instruction
 *   MULTIPLY_ADD64     the same for vectors of half as many float64
 *   PRODUCT            a * b for vectors, never fused with a MULTIPLY_ADD
 *   MAXIMUM             optional: see `maximum` in vector_body.h
 *   VECTORS_ONE_LANE   how many vectors of a block are summed at once, for one lane
 *   VECTORS_MANY_LANES the same for MANY_LANES and FEW_LANES. Both are chosen so that the sums fit in the
 *                      registers and hide the latency of an addition
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
#define GROUP_VECTORS (TEXTGEN_GROUP / WIDTH)
#define CELLS (GROUP_VECTORS > 1 ? 2 : 1) /* vectors of a gru that are updated at once */

/* How many lanes are summed at once: each weight that is loaded serves all of them. For one lane: the inputs of
 * an iteration, and the blocks whose activations follow each other, so that their long chains of operations
 * overlap. */
#if defined(TEXTGEN_SMALL)
#define MANY_LANES 1
#define FEW_LANES 1
#define INPUTS_AT_ONCE 2
#define BLOCKS_AT_ONCE 1
#else
#define MANY_LANES 6
#define FEW_LANES 4
#define INPUTS_AT_ONCE (32 / VECTORS_ONE_LANE)
#define BLOCKS_AT_ONCE 4
#endif

#include "products_body.h"

TARGET INLINE ptrdiff_t NAME(next_lanes)(ptrdiff_t left) { return left < MAX_LANES ? left : MAX_LANES; }

/* Copy a block of the gate inputs of some lanes. */
TARGET INLINE void NAME(copy_gate_inputs)(float *sums, const float *const *gate_inputs, ptrdiff_t block,
                                          ptrdiff_t lanes) {
    for (ptrdiff_t lane = 0; lane < lanes; lane++) {
        memcpy(sums + lane * TEXTGEN_BLOCK, gate_inputs[lane] + block, TEXTGEN_BLOCK * sizeof(float));
    }
}

/* Update the cell state of `count` vectors of units, and store their output gates. sums: the four gates of a
 * group of units in each lane, in ONNX's order. cell, output: those of the group in the first lane. The vectors
 * of all lanes are numbered, and `first` is the first one. */
TARGET INLINE void NAME(lstm_gates)(const float *sums, float *cell, float *output, ptrdiff_t units,
                                    ptrdiff_t first, const int count) {
    vector x[ACTIVATIONS];
    UNROLL for (int i = 0; i < count; i++) {
        const ptrdiff_t lane = (first + i) / GROUP_VECTORS, v = (first + i) % GROUP_VECTORS;
        const float *gates = sums + lane * TEXTGEN_BLOCK + v * WIDTH;
        x[4 * i] = NAME(load)(gates);
        x[4 * i + 1] = NAME(load)(gates + TEXTGEN_GROUP);
        x[4 * i + 2] = NAME(load)(gates + 2 * TEXTGEN_GROUP);
        x[4 * i + 3] = NAME(load)(gates + 3 * TEXTGEN_GROUP) * 2.0f;
    }
    NAME(tanh_of_halves)(x, 4 * count);
    UNROLL for (int i = 0; i < count; i++) {
        const ptrdiff_t lane = (first + i) / GROUP_VECTORS, v = (first + i) % GROUP_VECTORS;
        const ptrdiff_t unit = lane * units + v * WIDTH;
        const vector input = NAME(as_sigmoid)(x[4 * i]), forget = NAME(as_sigmoid)(x[4 * i + 2]);
        const vector candidate = x[4 * i + 3], old_cell = NAME(load)(cell + unit);
        NAME(store)(cell + unit, MULTIPLY_ADD(forget, old_cell, PRODUCT(input, candidate)));
        NAME(store)(output + unit, NAME(as_sigmoid)(x[4 * i + 1]));
    }
}

/* Compute the hidden state from the output gates, for `count` vectors. */
TARGET INLINE void NAME(lstm_hidden)(const float *cell, const float *output, float *hidden, const int count) {
    vector x[ACTIVATIONS];
    UNROLL for (int v = 0; v < count; v++) { x[v] = NAME(load)(cell + v * WIDTH) * 2.0f; }
    NAME(tanh_of_halves)(x, count);
    UNROLL for (int v = 0; v < count; v++) {
        NAME(store)(hidden + v * WIDTH, NAME(load)(output + v * WIDTH) * x[v]);
    }
}

TARGET static void NAME(lstm)(const textgen_packed_layer *layer, const float *const *gate_inputs,
                              const float *input, float *hidden, float *cell, float *scratch, ptrdiff_t lanes) {
    const ptrdiff_t units = layer->outputs, inputs = layer->inputs, blocks = units / TEXTGEN_GROUP;
    const ptrdiff_t at_once = TEXTGEN_LANES(lanes) == 1 ? BLOCKS_AT_ONCE : 1;
    /* The distance of the units of two sums, which are those of two lanes, or of two blocks of one lane. */
    const ptrdiff_t stride = TEXTGEN_LANES(lanes) == 1 ? TEXTGEN_GROUP : units;
    float sums[MAX_LANES * TEXTGEN_BLOCK];
    lanes = TEXTGEN_LANES(lanes);
    ptrdiff_t lane_count;
    ptrdiff_t block_count;
    for (ptrdiff_t first_block = 0; first_block < blocks; first_block += block_count) {
        block_count = blocks - first_block < at_once ? blocks - first_block : at_once;
        for (ptrdiff_t first = 0; first < lanes; first += lane_count) {
            const ptrdiff_t offset = first * units + first_block * TEXTGEN_GROUP;
            lane_count = NAME(next_lanes)(lanes - first);
            for (ptrdiff_t block = 0; block < block_count; block++) {
                const ptrdiff_t start = (first_block + block) * TEXTGEN_BLOCK;
                const float *weights = layer->weights + start * (inputs + units);
                float *to = sums + block * TEXTGEN_BLOCK;
                NAME(copy_gate_inputs)(to, gate_inputs + first, start, lane_count);
                if (inputs) {
                    NAME(add_products)(to, weights, input + first * inputs, inputs, lane_count);
                }
                NAME(add_products)(to, weights + inputs * TEXTGEN_BLOCK, hidden + first * units, units,
                                   lane_count);
            }
            ptrdiff_t i = 0;
            for (; i + 2 <= lane_count * block_count * GROUP_VECTORS; i += 2) {
                NAME(lstm_gates)(sums, cell + offset, scratch + offset, stride, i, 2);
            }
            if (GROUP_VECTORS % 2 && i < lane_count * block_count * GROUP_VECTORS) {
                NAME(lstm_gates)(sums, cell + offset, scratch + offset, stride, i, 1);
            }
        }
    }
    ptrdiff_t i = 0;
    for (; i + 4 * WIDTH <= lanes * units; i += 4 * WIDTH) {
        NAME(lstm_hidden)(cell + i, scratch + i, hidden + i, 4);
    }
    for (; i < lanes * units; i += WIDTH) {
        NAME(lstm_hidden)(cell + i, scratch + i, hidden + i, 1);
    }
}

/* Compute the next hidden state of a group of units. sums: see textgen_packed_layer. */
TARGET INLINE void NAME(gru_cell)(const float *sums, const float *hidden, float *next) {
    vector gates[2 * CELLS], candidates[CELLS];
    for (int start = 0; start < GROUP_VECTORS; start += CELLS, sums += CELLS * WIDTH) {
        UNROLL for (int v = 0; v < CELLS; v++) {
            gates[v] = NAME(load)(sums + TEXTGEN_GROUP + v * WIDTH);
            gates[CELLS + v] = NAME(load)(sums + 2 * TEXTGEN_GROUP + v * WIDTH);
        }
        NAME(tanh_of_halves)(gates, 2 * CELLS);
        UNROLL for (int v = 0; v < CELLS; v++) {
            const vector reset = NAME(as_sigmoid)(gates[CELLS + v]);
            const vector recurrent = NAME(load)(sums + 3 * TEXTGEN_GROUP + v * WIDTH);
            candidates[v] = MULTIPLY_ADD(reset, recurrent, NAME(load)(sums + v * WIDTH)) * 2.0f;
        }
        NAME(tanh_of_halves)(candidates, CELLS);
        UNROLL for (int v = 0; v < CELLS; v++) {
            const vector update = NAME(as_sigmoid)(gates[v]);
            const vector old = NAME(load)(hidden + (start + v) * WIDTH);
            /* (1 - update) * candidate + update * hidden */
            NAME(store)(next + (start + v) * WIDTH, MULTIPLY_ADD(update, old - candidates[v], candidates[v]));
        }
    }
}

TARGET static void NAME(gru)(const textgen_packed_layer *layer, const float *const *gate_inputs,
                             const float *input, float *hidden, float *scratch, ptrdiff_t lanes) {
    const ptrdiff_t units = layer->outputs, inputs = layer->inputs;
    float sums[MAX_LANES * TEXTGEN_BLOCK];
    lanes = TEXTGEN_LANES(lanes);
    ptrdiff_t lane_count;
    for (ptrdiff_t group = 0; group < units; group += TEXTGEN_GROUP) {
        const ptrdiff_t block = group / TEXTGEN_GROUP * TEXTGEN_BLOCK;
        const float *weights = layer->weights + group / TEXTGEN_GROUP * TEXTGEN_GRU_BLOCK * (inputs + units);
        for (ptrdiff_t first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(next_lanes)(lanes - first);
            NAME(copy_gate_inputs)(sums, gate_inputs + first, block, lane_count);
            if (inputs) {
                NAME(add_gru_products)(sums, weights, input + first * inputs, inputs, lane_count);
            }
            NAME(add_gru_products)(sums + TEXTGEN_GROUP, weights + inputs * TEXTGEN_GRU_BLOCK,
                                   hidden + first * units, units, lane_count);
            for (ptrdiff_t lane = 0; lane < lane_count; lane++) {
                const ptrdiff_t offset = (first + lane) * units + group;
                NAME(gru_cell)(sums + lane * TEXTGEN_BLOCK, hidden + offset, scratch + offset);
            }
        }
    }
    memcpy(hidden, scratch, (size_t)(lanes * units) * sizeof(float));
}

/* Compute two vectors of outputs. */
TARGET INLINE void NAME(conv_outputs)(const float *filters, const float *gates, float *outputs) {
    vector x[4];
    x[0] = NAME(load)(filters) * 2.0f;
    x[1] = NAME(load)(filters + WIDTH) * 2.0f;
    x[2] = NAME(load)(gates);
    x[3] = NAME(load)(gates + WIDTH);
    NAME(tanh_of_halves)(x, 4);
    NAME(store)(outputs, x[0] * NAME(as_sigmoid)(x[2]));
    NAME(store)(outputs + WIDTH, x[1] * NAME(as_sigmoid)(x[3]));
}

TARGET static void NAME(conv)(const textgen_packed_layer *layer, const float *older, const float *input,
                              float *output, ptrdiff_t lanes) {
    const ptrdiff_t units = layer->outputs, inputs = layer->inputs;
    float sums[MAX_LANES * TEXTGEN_BLOCK];
    lanes = TEXTGEN_LANES(lanes);
    ptrdiff_t lane_count;
    for (ptrdiff_t group = 0; group < units; group += TEXTGEN_CONV_GROUP) {
        const ptrdiff_t block = group / TEXTGEN_CONV_GROUP * TEXTGEN_BLOCK;
        const float *weights = layer->weights + block * 2 * inputs;
        for (ptrdiff_t first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(next_lanes)(lanes - first);
            for (ptrdiff_t lane = 0; lane < lane_count; lane++) {
                memcpy(sums + lane * TEXTGEN_BLOCK, layer->bias + block, TEXTGEN_BLOCK * sizeof(float));
            }
            NAME(add_products)(sums, weights, older + first * inputs, inputs, lane_count);
            NAME(add_products)(sums, weights + inputs * TEXTGEN_BLOCK, input + first * inputs, inputs,
                               lane_count);
            for (ptrdiff_t lane = 0; lane < lane_count; lane++) {
                const float *filters = sums + lane * TEXTGEN_BLOCK, *gates = filters + TEXTGEN_CONV_GROUP;
                float *outputs = output + (first + lane) * units + group;
                for (ptrdiff_t v = 0; v < TEXTGEN_CONV_GROUP; v += 2 * WIDTH) {
                    NAME(conv_outputs)(filters + v, gates + v, outputs + v);
                }
            }
        }
    }
}

TARGET static void NAME(linear)(const textgen_packed_layer *layer, const float *input, float *output,
                                ptrdiff_t lanes) {
    const ptrdiff_t inputs = layer->inputs, outputs = layer->outputs;
    float sums[MAX_LANES * TEXTGEN_BLOCK];
    lanes = TEXTGEN_LANES(lanes);
    ptrdiff_t lane_count;
    for (ptrdiff_t block = 0; block < outputs; block += TEXTGEN_BLOCK) {
        for (ptrdiff_t first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(next_lanes)(lanes - first);
            for (ptrdiff_t lane = 0; lane < lane_count; lane++) {
                memcpy(sums + lane * TEXTGEN_BLOCK, layer->bias + block, TEXTGEN_BLOCK * sizeof(float));
            }
            NAME(add_products)(sums, layer->weights + block * inputs, input + first * inputs, inputs,
                               lane_count);
            for (ptrdiff_t lane = 0; lane < lane_count; lane++) {
                memcpy(output + (first + lane) * outputs + block, sums + lane * TEXTGEN_BLOCK,
                       TEXTGEN_BLOCK * sizeof(float));
            }
        }
    }
}

#include "activation_arrays.h"

#undef vector
#undef integers
#undef both
#undef VECTORS
#undef GRU_VECTORS
#undef GROUP_VECTORS
#undef CELLS
#undef ACTIVATIONS
#undef MAXIMUM
#undef MANY_LANES
#undef FEW_LANES
#undef INPUTS_AT_ONCE
#undef BLOCKS_AT_ONCE
#undef MAX_LANES
#undef ADD_BLOCK
#undef ADD_PRODUCTS
#undef TILE
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
