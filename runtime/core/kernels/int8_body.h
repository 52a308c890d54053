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
 *                         a second one, an addition does not wait for the one before it
 *   AHEAD                 how many bytes before their use the weights of one lane are prefetched, or 0
 */

#include "vector_body.h"

#include "int8_gates.h"

#define VECTORS (TEXTGEN_BLOCK / WIDTH)
#define LANE_GROUP 4

#include "int8_dots_body.h"

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

/* Compute the activations of update and reset, and the hidden state's part of the candidate. gates: the four
 * sums of textgen_packed_layer. sums: of the hidden state, for the last three of them. */
TARGET INLINE void NAME(gru_gates)(float *gates, const uint32_t *sums, const float *scales) {
    float *gate = gates + TEXTGEN_GROUP;
    ptrdiff_t v = 0;
    for (; v < 2 * TEXTGEN_GROUP; v += WIDTH) {
        NAME(store)(gate + v, NAME(sigmoid_of)(NAME(scaled)(gate + v, sums + v, scales + v)));
    }
    for (; v < 3 * TEXTGEN_GROUP; v += WIDTH) {
        NAME(store)(gate + v, NAME(scaled)(gate + v, sums + v, scales + v));
    }
}

/* Update the hidden state of a group of units. */
TARGET INLINE void NAME(gru_cell)(const float *gates, float *hidden) {
    for (ptrdiff_t v = 0; v < TEXTGEN_GROUP; v += WIDTH) {
        const vector update = NAME(load)(gates + TEXTGEN_GROUP + v);
        const vector reset = NAME(load)(gates + 2 * TEXTGEN_GROUP + v);
        const vector recurrent = NAME(load)(gates + 3 * TEXTGEN_GROUP + v);
        const vector candidate = NAME(tanh_of)(NAME(multiply_add)(reset, recurrent, NAME(load)(gates + v)));
        const vector difference = NAME(load)(hidden + v) - candidate;
        /* (1 - update) * candidate + update * hidden */
        NAME(store)(hidden + v, NAME(multiply_add)(update, difference, candidate));
    }
}

/* Compute the sums of some tiles of one block. gates: gate_inputs plus the products of the inputs. sums: of the
 * hidden state. size: of a block. */
TARGET INLINE void NAME(sum_block)(const textgen_int8_layer *layer, const float *const *gate_inputs,
                                   const uint8_t *input, const float *input_scales, const uint8_t *hidden,
                                   ptrdiff_t block, ptrdiff_t lanes, const int size, float *gates,
                                   uint32_t *sums) {
    const ptrdiff_t units = layer->outputs, inputs = layer->inputs, row = block * size;
    const int8_t *weights = layer->weights + row * (inputs + units);
    for (ptrdiff_t lane = 0; lane < lanes; lane++) {
        memcpy(gates + lane * TEXTGEN_BLOCK, gate_inputs[lane] + block * TEXTGEN_BLOCK,
               TEXTGEN_BLOCK * sizeof(float));
    }
    if (inputs) {
        NAME(dot_block)(sums, layer->input.offsets + row, weights, input, inputs, inputs, lanes, size);
        for (ptrdiff_t lane = 0; lane < lanes; lane++) {
            float *gate = gates + lane * TEXTGEN_BLOCK;
            NAME(scale_sums)(gate, sums + lane * TEXTGEN_BLOCK, layer->input.scales + row, input_scales[lane],
                             gate, size);
        }
    }
    NAME(dot_block)(sums, layer->hidden.offsets + row, weights + inputs * size, hidden, units, units, lanes,
                    size);
}

/* Run an lstm, or a gru, which has no cell. size: of a block. */
TARGET SHARED void NAME(recurrent)(const textgen_int8_layer *layer, const float *const *gate_inputs,
                                   const uint8_t *input, const float *input_scales, float *hidden, float *cell,
                                   uint8_t *scratch, ptrdiff_t lanes, const int size) {
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
                                scratch + first * units, first_block + block, lane_count, size,
                                gates + block * TEXTGEN_BLOCK, sums + block * TEXTGEN_BLOCK);
            }
            for (ptrdiff_t tile = 0; tile < lane_count * block_count; tile++) {
                const ptrdiff_t row = (first_block + (lanes == 1 ? tile : 0)) * size;
                if (size == TEXTGEN_BLOCK) {
                    NAME(lstm_gates)(gates + tile * TEXTGEN_BLOCK, sums + tile * TEXTGEN_BLOCK,
                                     layer->hidden.scales + row);
                } else {
                    NAME(gru_gates)(gates + tile * TEXTGEN_BLOCK, sums + tile * TEXTGEN_BLOCK,
                                    layer->hidden.scales + row);
                }
            }
            for (ptrdiff_t tile = 0; tile < lane_count * block_count; tile++) {
                const ptrdiff_t offset = lanes == 1 ? (first_block + tile) * TEXTGEN_GROUP
                                                    : (first + tile) * units + first_block * TEXTGEN_GROUP;
                if (size == TEXTGEN_BLOCK) {
                    NAME(lstm_cell)(gates + tile * TEXTGEN_BLOCK, cell + offset, hidden + offset);
                } else {
                    NAME(gru_cell)(gates + tile * TEXTGEN_BLOCK, hidden + offset);
                }
            }
        }
    }
}

TARGET static void NAME(lstm)(const textgen_int8_layer *layer, const float *const *gate_inputs,
                              const uint8_t *input, const float *input_scales, float *hidden, float *cell,
                              uint8_t *scratch, ptrdiff_t lanes) {
    NAME(recurrent)(layer, gate_inputs, input, input_scales, hidden, cell, scratch, lanes, TEXTGEN_BLOCK);
}

TARGET static void NAME(gru)(const textgen_int8_layer *layer, const float *const *gate_inputs,
                             const uint8_t *input, const float *input_scales, float *hidden, uint8_t *scratch,
                             ptrdiff_t lanes) {
    NAME(recurrent)(layer, gate_inputs, input, input_scales, hidden, NULL, scratch, lanes, TEXTGEN_GRU_BLOCK);
}

TARGET static void NAME(linear)(const textgen_int8_layer *layer, const uint8_t *input, float input_scale,
                                float *output, ptrdiff_t lanes) {
    const ptrdiff_t inputs = layer->inputs, outputs = layer->outputs;
    uint32_t sums[LANE_GROUP * TEXTGEN_BLOCK];
    lanes = TEXTGEN_LANES(lanes);
    ptrdiff_t lane_count;
    for (ptrdiff_t block = 0; block < outputs; block += TEXTGEN_BLOCK) {
        for (ptrdiff_t first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(lanes_at_once)(lanes - first);
            NAME(dot_block)(sums, layer->input.offsets + block, layer->weights + block * inputs,
                            input + first * inputs, inputs, inputs, lane_count, TEXTGEN_BLOCK);
            for (ptrdiff_t lane = 0; lane < lane_count; lane++) {
                NAME(scale_sums)(layer->bias + block, sums + lane * TEXTGEN_BLOCK, layer->input.scales + block,
                                 input_scale, output + (first + lane) * outputs + block, TEXTGEN_BLOCK);
            }
        }
    }
}

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

#include "activation_arrays.h"

const textgen_int8_kernels KERNELS = {
    ZERO,
    NAME(quantize),
    NAME(lstm),
    NAME(gru),
    NAME(linear),
    ONLY_MEASURED(NAME(sum)),
    ONLY_MEASURED(NAME(sigmoid)),
    ONLY_MEASURED(NAME(tanh)),
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
#undef GRU_VECTORS_ONE_LANE
#undef GRU_VECTORS_MANY_LANES
#undef CHAINS
#undef AHEAD
#undef KERNELS
