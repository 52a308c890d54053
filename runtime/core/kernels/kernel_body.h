/* One instruction set's kernels; kernels.c includes it once for each and defines
 *
 *   NAME(x)          x with the set's name appended
 *   LANES            floats in a vector: 16, 8, 4, or 1 for plain C
 *   TARGET           what tells the compiler to use the set
 *   MULTIPLY_ADD     a * b + c of vectors, rounded once where the set has such an instruction
 *   MULTIPLY_ADD64   the same of vectors of half as many float64
 *   PRODUCT          a * b of vectors, which no MULTIPLY_ADD is fused with
 *   ALONE, TOGETHER  how many vectors of a block are summed up at once, for one lane and for SIDE_BY_SIDE of
 *                    them: as many sums as there are registers, and enough to hide the latency of an addition
 *
 * Fused multiply-adds are explicit, and the compiler makes none of its own: a product that is added up goes
 * through MULTIPLY_ADD or PRODUCT. So the numbers depend on the instruction set alone, not on the compiler or
 * its flags, and all sets with fused multiply-adds compute the same ones.
 */

#include "project_body.h"
#include "vector_body.h"

#define VECTORS (TEXTGEN_BLOCK / LANES)
#define SIDE_BY_SIDE 4

/* sums[lane][BLOCK] += weights[count][BLOCK] times each lane's inputs, for a few of the block's vectors. Called
 * with constant `lanes` and `vectors`, so that the sums are registers. */
TARGET INLINE void NAME(add_some)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,
                                  ptrdiff_t count, const int lanes, const int vectors) {
    vector sum[SIDE_BY_SIDE * VECTORS];
    vector weight[VECTORS];
    ptrdiff_t i;
    int s, v;
    UNROLL for (s = 0; s < lanes; s++) {
        UNROLL for (v = 0; v < vectors; v++) {
            sum[s * vectors + v] = NAME(load)(sums + s * TEXTGEN_BLOCK + v * LANES);
        }
    }
    for (i = 0; i < count; i++) {
        UNROLL for (v = 0; v < vectors; v++) {
            weight[v] = NAME(load)(weights + i * TEXTGEN_BLOCK + v * LANES);
        }
        UNROLL for (s = 0; s < lanes; s++) {
            const vector input = inputs[s * stride + i] - (vector){0}; /* to every element */
            UNROLL for (v = 0; v < vectors; v++) {
                sum[s * vectors + v] = MULTIPLY_ADD(weight[v], input, sum[s * vectors + v]);
            }
        }
    }
    UNROLL for (s = 0; s < lanes; s++) {
        UNROLL for (v = 0; v < vectors; v++) {
            NAME(store)(sums + s * TEXTGEN_BLOCK + v * LANES, sum[s * vectors + v]);
        }
    }
}

/* The same for a whole block; functions of their own, so that each has all the registers. */
TARGET APART void NAME(add_alone)(float *sums, const float *weights, const float *inputs, ptrdiff_t count) {
    int v;
    for (v = 0; v < VECTORS; v += ALONE) {
        NAME(add_some)(sums + v * LANES, weights + v * LANES, inputs, 0, count, 1, ALONE);
    }
}

TARGET APART void NAME(add_together)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,
                                     ptrdiff_t count) {
    int v;
    for (v = 0; v < VECTORS; v += TOGETHER) {
        NAME(add_some)(sums + v * LANES, weights + v * LANES, inputs, stride, count, SIDE_BY_SIDE, TOGETHER);
    }
}

TARGET INLINE void NAME(add_products)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,
                                      ptrdiff_t count, ptrdiff_t lanes) {
    if (lanes == SIDE_BY_SIDE) {
        NAME(add_together)(sums, weights, inputs, stride, count);
    } else {
        NAME(add_alone)(sums, weights, inputs, count);
    }
}

TARGET INLINE ptrdiff_t NAME(few)(ptrdiff_t left) { return left >= SIDE_BY_SIDE ? SIDE_BY_SIDE : 1; }

/* A group's new hidden state from its four gates, in ONNX's order. */
TARGET INLINE void NAME(open_gates)(const float *sums, float *cell, float *hidden) {
    int v;
    for (v = 0; v < TEXTGEN_GROUP; v += LANES) {
        const vector input = NAME(sigmoid_of)(NAME(load)(sums + v));
        const vector output = NAME(sigmoid_of)(NAME(load)(sums + TEXTGEN_GROUP + v));
        const vector forget = NAME(sigmoid_of)(NAME(load)(sums + 2 * TEXTGEN_GROUP + v));
        const vector candidate = NAME(tanh_of)(NAME(load)(sums + 3 * TEXTGEN_GROUP + v));
        const vector remembered = MULTIPLY_ADD(forget, NAME(load)(cell + v), PRODUCT(input, candidate));
        NAME(store)(cell + v, remembered);
        NAME(store)(hidden + v, output * NAME(tanh_of)(remembered));
    }
}

TARGET static void NAME(lstm)(const textgen_packed_layer *layer, const float *const *starts, const float *below,
                              float *hidden, float *cell, float *scratch, ptrdiff_t lanes) {
    const ptrdiff_t units = layer->outputs, inputs = layer->inputs;
    float sums[SIDE_BY_SIDE * TEXTGEN_BLOCK];
    ptrdiff_t group, first, some, s;
    for (group = 0; group < units; group += TEXTGEN_GROUP) {
        const ptrdiff_t block = group / TEXTGEN_GROUP * TEXTGEN_BLOCK;
        const float *weights = layer->weights + block * (inputs + units);
        for (first = 0; first < lanes; first += some) {
            some = NAME(few)(lanes - first);
            for (s = 0; s < some; s++) {
                memcpy(sums + s * TEXTGEN_BLOCK, starts[first + s] + block, TEXTGEN_BLOCK * sizeof(float));
            }
            if (inputs) {
                NAME(add_products)(sums, weights, below + first * inputs, inputs, inputs, some);
            }
            NAME(add_products)(sums, weights + inputs * TEXTGEN_BLOCK, hidden + first * units, units, units,
                               some);
            for (s = 0; s < some; s++) {
                const ptrdiff_t place = (first + s) * units + group;
                NAME(open_gates)(sums + s * TEXTGEN_BLOCK, cell + place, scratch + place);
            }
        }
    }
    memcpy(hidden, scratch, (size_t)(lanes * units) * sizeof(float));
}

TARGET static void NAME(linear)(const textgen_packed_layer *layer, const float *input, float *output,
                                ptrdiff_t lanes) {
    const ptrdiff_t inputs = layer->inputs, outputs = layer->outputs;
    float sums[SIDE_BY_SIDE * TEXTGEN_BLOCK];
    ptrdiff_t block, first, some, s;
    for (block = 0; block < outputs; block += TEXTGEN_BLOCK) {
        for (first = 0; first < lanes; first += some) {
            some = NAME(few)(lanes - first);
            for (s = 0; s < some; s++) {
                memcpy(sums + s * TEXTGEN_BLOCK, layer->bias + block, TEXTGEN_BLOCK * sizeof(float));
            }
            NAME(add_products)(sums, layer->weights + block * inputs, input + first * inputs, inputs, inputs,
                               some);
            for (s = 0; s < some; s++) {
                memcpy(output + (first + s) * outputs + block, sums + s * TEXTGEN_BLOCK,
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
    UNROLL for (v = 0; v < 8; v++) { sum[v] = NAME(load)(values + v * LANES); }
    for (i = 8 * LANES; i < count; i += 8 * LANES) {
        UNROLL for (v = 0; v < 8; v++) { sum[v] += NAME(load)(values + i + v * LANES); }
    }
    for (v = 0; v < 8; v++) {
        float elements[LANES];
        NAME(store)(elements, sum[v]);
        for (i = 0; i < LANES; i++) {
            total += elements[i];
        }
    }
    return total;
}

TARGET static void NAME(sigmoid)(float *values, ptrdiff_t count) {
    ptrdiff_t i;
    for (i = 0; i < count; i += LANES) {
        NAME(store)(values + i, NAME(sigmoid_of)(NAME(load)(values + i)));
    }
}

TARGET static void NAME(tanh)(float *values, ptrdiff_t count) {
    ptrdiff_t i;
    for (i = 0; i < count; i += LANES) {
        NAME(store)(values + i, NAME(tanh_of)(NAME(load)(values + i)));
    }
}

static const textgen_kernels NAME(kernels) = {
    KERNELS_NAME, NAME(lstm), NAME(linear), NAME(project), NAME(sum), NAME(sigmoid), NAME(tanh),
};

#undef vector
#undef integers
#undef both
#undef VECTORS
#undef SIDE_BY_SIDE
#undef NAME
#undef LANES
#undef TARGET
#undef MULTIPLY_ADD
#undef MULTIPLY_ADD64
#undef PRODUCT
#undef ALONE
#undef TOGETHER
#undef KERNELS_NAME
