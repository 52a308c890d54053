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
 *
 * Multiply-adds are explicit. Products in sums use only MULTIPLY_ADD and PRODUCT, so the compiler cannot fuse
 * others. Results therefore depend only on the instruction set, not on the compiler or its flags. All sets with
 * fused multiply-adds give the same results.
 */

#include "vector_body.h"

/* Set all bits of an element where a > b. The result for NaN is 0. */
TARGET INLINE integers NAME(greater)(vector a, vector b) {
#if WIDTH == 1
    return (uint32_t)0 - (uint32_t)(a > b);
#else
    return (integers)(a > b);
#endif
}

/* Return the larger of two floats in each element, or b if one is NaN. */
TARGET INLINE vector NAME(maximum)(vector a, vector b) {
#ifdef MAXIMUM
    return MAXIMUM(a, b);
#else
    const integers is_larger = NAME(greater)(a, b);
    both larger = {.floats = a}, other = {.floats = b};
    larger.bits = (larger.bits & is_larger) | (other.bits & ~is_larger);
    return larger.floats;
#endif
}

/* Activations are computed for up to so many vectors at once: each operation on a vector must wait for the one
 * before, while those on other vectors need not. */
#define ACTIVATIONS 8

/* Replace each x of `count` vectors by exp(x), for x in [-87, 0]. x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and
 * Waite 1980, chapter 6: ln 2 in two parts, so that x minus the first is exact). exp(r) is its Taylor
 * polynomial of degree 7, with a remainder below 1e-8. `count` is a constant in all calls. */
TARGET INLINE void NAME(exponentials)(vector *x, const int count) {
    /* log2(e), -ln 2 in two parts, a number whose addition removes the fraction (1.5 * 2^23), 1. */
    static const float values[] = {1.44269504f, -0.693359375f, 2.12194440e-4f, 12582912.0f, 1.0f};
    static const float inverses[] = {1.0f / 7.0f, 1.0f / 6.0f, 1.0f / 5.0f,
                                     1.0f / 4.0f, 1.0f / 3.0f, 1.0f / 2.0f};
    const float *constants = textgen_loaded(values), *factors = textgen_loaded(inverses);
    const vector log2_e = NAME(broadcast)(constants[0]), round_by = NAME(broadcast)(constants[3]);
    const vector ln2_high = NAME(broadcast)(constants[1]), ln2_low = NAME(broadcast)(constants[2]);
    const both one = {.floats = NAME(broadcast)(constants[4])};
    both shifted[ACTIVATIONS];
    vector n[ACTIVATIONS], e[ACTIVATIONS];
    UNROLL for (int v = 0; v < count; v++) { shifted[v].floats = MULTIPLY_ADD(x[v], log2_e, round_by); }
    UNROLL for (int v = 0; v < count; v++) { n[v] = shifted[v].floats - round_by; }
    UNROLL for (int v = 0; v < count; v++) { x[v] = MULTIPLY_ADD(n[v], ln2_high, x[v]); }
    UNROLL for (int v = 0; v < count; v++) { x[v] = MULTIPLY_ADD(n[v], ln2_low, x[v]); }
    UNROLL for (int v = 0; v < count; v++) {
        e[v] = MULTIPLY_ADD(x[v], NAME(broadcast)(factors[0]), one.floats);
    }
    UNROLL for (int i = 1; i < 6; i++) {
        UNROLL for (int v = 0; v < count; v++) {
            e[v] = MULTIPLY_ADD(e[v] * x[v], NAME(broadcast)(factors[i]), one.floats);
        }
    }
    UNROLL for (int v = 0; v < count; v++) { e[v] = MULTIPLY_ADD(e[v], x[v], one.floats); }
    UNROLL for (int v = 0; v < count; v++) {
        /* The low bits of `shifted` are n. Added to the exponent of 1 they give 2^n. */
        shifted[v].bits = (shifted[v].bits << 23) + one.bits;
        x[v] = e[v] * shifted[v].floats;
    }
}

/* Replace each x of `count` vectors by tanh(x / 2) = (1 - t) / (1 + t) with t = exp(-|x|), and the sign of x.
 * The absolute error is below 2e-7; for |x| below 6e-8 the result is 0. NaN stays NaN. */
TARGET INLINE void NAME(tanh_at_once)(vector *x, const int count) {
    static const float values[] = {-86.0f, 1.0f, -0.0f};
    const float *constants = textgen_loaded(values);
    const vector least = NAME(broadcast)(constants[0]), one = NAME(broadcast)(constants[1]);
    const both sign = {.floats = NAME(broadcast)(constants[2])};
    both negative;
    vector t[ACTIVATIONS];
    UNROLL for (int v = 0; v < count; v++) {
        negative.floats = x[v];
        negative.bits = negative.bits | sign.bits;
        t[v] = NAME(maximum)(least, negative.floats); /* tanh(43) is 1 in float32 */
    }
    NAME(exponentials)(t, count);
    both result;
    UNROLL for (int v = 0; v < count; v++) {
        negative.floats = x[v];
        result.floats = (one - t[v]) / (one + t[v]);
        result.bits = result.bits | (negative.bits & sign.bits);
        x[v] = result.floats;
    }
}

/* The same. A small program has code for one vector, which a processor can also run for several at once. */
TARGET SHARED void NAME(tanh_of_halves)(vector *x, const int count) {
#ifdef TEXTGEN_SMALL
    for (int v = 0; v < count; v++) {
        NAME(tanh_at_once)(x + v, 1);
    }
#else
    NAME(tanh_at_once)(x, count);
#endif
}

/* sigmoid(x) = (tanh(x / 2) + 1) / 2 */
TARGET INLINE vector NAME(as_sigmoid)(vector tanh_of_half) {
    const vector half = (vector){0} + 0.5f;
    return MULTIPLY_ADD(tanh_of_half, half, half);
}

#define VECTORS (TEXTGEN_BLOCK / WIDTH)
#define GROUP_VECTORS (TEXTGEN_GROUP / WIDTH)

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

/* A block of weights is usually larger than the first-level cache. Therefore it is read in tiles of TILE
 * inputs, and each tile serves MAX_LANES lanes. A tile, the sums and the inputs of these lanes fit in
 * 32 KB. */
#define MAX_LANES 24
#define TILE 72

/* Add the products of one input of each lane. */
TARGET INLINE void NAME(add_row)(vector *sum, const float *weights, const float *inputs, ptrdiff_t stride,
                                 const int lanes, const int vectors) {
    vector weight[VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) { weight[v] = NAME(load)(weights + v * WIDTH); }
    UNROLL for (int lane = 0; lane < lanes; lane++) {
        const vector input = NAME(broadcast)(inputs[lane * stride]);
        UNROLL for (int v = 0; v < vectors; v++) {
            sum[lane * vectors + v] = MULTIPLY_ADD(weight[v], input, sum[lane * vectors + v]);
        }
    }
}

/* sums[lane][BLOCK] += inputs[lane][count] * weights[count][BLOCK], for some of the block's vectors. `lanes`
 * and `vectors` are constants in all calls, so that the compiler keeps the sums in registers. */
TARGET INLINE void NAME(add_vectors)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,
                                     ptrdiff_t count, const int lanes, const int vectors) {
    vector sum[MANY_LANES * VECTORS];
    /* This is never so. Compilers that know it keep the sums in the same registers. */
    if (count < 1) {
        return;
    }
    UNROLL for (int lane = 0; lane < lanes; lane++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            sum[lane * vectors + v] = NAME(load)(sums + lane * TEXTGEN_BLOCK + v * WIDTH);
        }
    }
    if (lanes == 1) {
        UNROLL_BY(INPUTS_AT_ONCE) for (ptrdiff_t i = 0; i < count; i++) {
            NAME(add_row)(sum, weights + i * TEXTGEN_BLOCK, inputs + i, stride, lanes, vectors);
        }
    } else {
        UNROLL_BY(2) for (ptrdiff_t i = 0; i < count; i++) {
            NAME(add_row)(sum, weights + i * TEXTGEN_BLOCK, inputs + i, stride, lanes, vectors);
        }
    }
    UNROLL for (int lane = 0; lane < lanes; lane++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            NAME(store)(sums + lane * TEXTGEN_BLOCK + v * WIDTH, sum[lane * vectors + v]);
        }
    }
}

/* The same for all vectors of a block. Separate functions, so that each can use all registers. */
#define ADD_BLOCK(name, lanes, vectors)                                                                        \
    TARGET NOINLINE void NAME(name)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,  \
                                    ptrdiff_t count) {                                                         \
        for (int v = 0; v < VECTORS; v += (vectors)) {                                                         \
            NAME(add_vectors)(sums + v * WIDTH, weights + v * WIDTH, inputs, stride, count, lanes, vectors);   \
        }                                                                                                      \
    }

ADD_BLOCK(add_one_lane, 1, VECTORS_ONE_LANE)
#if !defined(TEXTGEN_SMALL)
ADD_BLOCK(add_few_lanes, FEW_LANES, VECTORS_MANY_LANES)
ADD_BLOCK(add_many_lanes, MANY_LANES, VECTORS_MANY_LANES)
#endif

/* The same for up to MAX_LANES lanes. inputs: [lanes][count]. */
TARGET NOINLINE void NAME(add_products)(float *sums, const float *weights, const float *inputs, ptrdiff_t count,
                                        ptrdiff_t lanes) {
    const ptrdiff_t tile = TEXTGEN_LANES(lanes) > MANY_LANES ? TILE : count;
    ptrdiff_t at_once;
    lanes = TEXTGEN_LANES(lanes);
    for (ptrdiff_t start = 0; start < count; start += tile) {
        const ptrdiff_t size = count - start < tile ? count - start : tile;
        for (ptrdiff_t first = 0; first < lanes; first += at_once) {
            float *to = sums + first * TEXTGEN_BLOCK;
            const float *from = inputs + first * count + start, *weight = weights + start * TEXTGEN_BLOCK;
            at_once = 1;
#if !defined(TEXTGEN_SMALL)
            const ptrdiff_t left = lanes - first;
            if (left >= MANY_LANES && left != 2 * FEW_LANES) {
                at_once = MANY_LANES;
                NAME(add_many_lanes)(to, weight, from, count, size);
                continue;
            }
            if (left >= FEW_LANES) {
                at_once = FEW_LANES;
                NAME(add_few_lanes)(to, weight, from, count, size);
                continue;
            }
#endif
            NAME(add_one_lane)(to, weight, from, count, size);
        }
    }
}

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
    const float *layer_weights = layer->weights;
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
                const float *weights = layer_weights + start * (inputs + units);
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

TARGET static void NAME(linear)(const textgen_packed_layer *layer, const float *input, float *output,
                                ptrdiff_t lanes) {
    const ptrdiff_t inputs = layer->inputs, outputs = layer->outputs;
    const float *weights = layer->weights;
    float sums[MAX_LANES * TEXTGEN_BLOCK];
    lanes = TEXTGEN_LANES(lanes);
    ptrdiff_t lane_count;
    for (ptrdiff_t block = 0; block < outputs; block += TEXTGEN_BLOCK) {
        for (ptrdiff_t first = 0; first < lanes; first += lane_count) {
            lane_count = NAME(next_lanes)(lanes - first);
            for (ptrdiff_t lane = 0; lane < lane_count; lane++) {
                memcpy(sums + lane * TEXTGEN_BLOCK, layer->bias + block, TEXTGEN_BLOCK * sizeof(float));
            }
            NAME(add_products)(sums, weights + block * inputs, input + first * inputs, inputs, lane_count);
            for (ptrdiff_t lane = 0; lane < lane_count; lane++) {
                memcpy(output + (first + lane) * outputs + block, sums + lane * TEXTGEN_BLOCK,
                       TEXTGEN_BLOCK * sizeof(float));
            }
        }
    }
}

/* The float64 kernel runs only once, when a model is loaded. Its products of float32 numbers are exact, so they
 * may be fused or not. SUMS vectors of sums fit in the registers and hide the latency of an addition. */
#define WIDTH64 (WIDTH > 1 ? WIDTH / 2 : 1)
#if WIDTH == 1
typedef double NAME(vector64);
#else
typedef double NAME(vector64) __attribute__((vector_size(4 * WIDTH)));
#endif
#define vector64 NAME(vector64)
#ifdef TEXTGEN_SMALL
#define SUMS 2
#else
#define SUMS 8
#endif

TARGET static void NAME(project)(const double *weights, const double *bias, const float *rows, ptrdiff_t inputs,
                                 ptrdiff_t count, float *products, ptrdiff_t stride) {
    for (ptrdiff_t column = 0; column < TEXTGEN_BLOCK; column += SUMS * WIDTH64) {
        for (ptrdiff_t row = 0; row < count; row++) {
            vector64 sum[SUMS];
            double total[SUMS * WIDTH64];
            memset(sum, 0, sizeof sum);
            for (ptrdiff_t i = 0; i < inputs; i++) {
                /* One-hot rows are almost all zeros. */
                if (rows[row * inputs + i] == 0.0f) {
                    continue;
                }
                const vector64 input = (double)rows[row * inputs + i] - (vector64){0};
                UNROLL for (int v = 0; v < SUMS; v++) {
                    vector64 weight;
                    memcpy(&weight, weights + i * TEXTGEN_BLOCK + column + v * WIDTH64, sizeof weight);
                    sum[v] = MULTIPLY_ADD64(weight, input, sum[v]);
                }
            }
            memcpy(total, sum, sizeof total);
            for (ptrdiff_t i = 0; i < SUMS * WIDTH64; i++) {
                products[row * stride + column + i] = (float)(total[i] + bias[column + i]);
            }
        }
    }
}

#undef vector
#undef integers
#undef both
#undef VECTORS
#undef GROUP_VECTORS
#undef ACTIVATIONS
#undef MAXIMUM
#undef MANY_LANES
#undef FEW_LANES
#undef INPUTS_AT_ONCE
#undef BLOCKS_AT_ONCE
#undef MAX_LANES
#undef ADD_BLOCK
#undef TILE
#undef vector64
#undef WIDTH64
#undef SUMS
#undef NAME
#undef WIDTH
#undef TARGET
#undef MULTIPLY_ADD
#undef MULTIPLY_ADD64
#undef PRODUCT
#undef VECTORS_ONE_LANE
#undef VECTORS_MANY_LANES
