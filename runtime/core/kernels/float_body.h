/* The arithmetic of layers with float32 weights. All sets with fused multiply-adds give the same results. */

#include "activations_body.h"

/* How many lanes are summed at once: each weight that is loaded serves all of them. Of one lane, so many inputs
 * are added in an iteration. */
#define MANY_LANES 6
#define FEW_LANES 4
#ifdef TEXTGEN_SMALL
#define INPUTS_AT_ONCE 2
#else
#define INPUTS_AT_ONCE (32 / ONE_LANE_VECTORS)
#endif

/* A block of weights is usually larger than the first-level cache. Therefore many lanes read it in tiles of
 * TILE inputs. A tile, the sums and the inputs of MAX_LANES lanes fit in 32 KB. */
#define TILE 72

/* Add the products of one input of each lane. */
TARGET INLINE void NAME(add_row)(vector *sum, const float *weights, const float *inputs, ptrdiff_t stride,
                                 const int lanes, const int vectors) {
    vector weight[BLOCK_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) { weight[v] = NAME(load)(weights + v * WIDTH); }
    UNROLL for (int lane = 0; lane < lanes; lane++) {
        const vector input = NAME(broadcast)(inputs[lane * stride]);
        UNROLL for (int v = 0; v < vectors; v++) {
            sum[lane * vectors + v] = NAME(multiply_add)(weight[v], input, sum[lane * vectors + v]);
        }
    }
}

/* sums[lane][BLOCK] += inputs[lane][count] * weights[count][BLOCK], for some of the block's vectors. `lanes`
 * and `vectors` are constants in all calls, so that the compiler keeps the sums in registers. */
TARGET INLINE void NAME(add_vectors)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,
                                     ptrdiff_t count, const int lanes, const int vectors) {
    vector sum[MANY_LANES * BLOCK_VECTORS];
    /* This is never so. Compilers that know it keep the sums in the same registers. */
    if (count < 1) {
        return;
    }
    UNROLL for (int i = 0; i < lanes * vectors; i++) {
        sum[i] = NAME(load)(sums + i / vectors * TEXTGEN_BLOCK + i % vectors * WIDTH);
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
    UNROLL for (int i = 0; i < lanes * vectors; i++) {
        NAME(store)(sums + i / vectors * TEXTGEN_BLOCK + i % vectors * WIDTH, sum[i]);
    }
}

/* The same for all vectors of a block. Separate functions, so that each can use all registers. */
#define ADD_BLOCK(name, lanes, vectors)                                                                        \
    TARGET NOINLINE void NAME(name)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,  \
                                    ptrdiff_t count) {                                                         \
        for (int v = 0; v < BLOCK_VECTORS; v += (vectors)) {                                                   \
            NAME(add_vectors)(sums + v * WIDTH, weights + v * WIDTH, inputs, stride, count, lanes, vectors);   \
        }                                                                                                      \
    }

ADD_BLOCK(add_one_lane, 1, ONE_LANE_VECTORS)
#ifndef TEXTGEN_SMALL
ADD_BLOCK(add_few_lanes, FEW_LANES, WIDTH == 16 ? 4 : 2)
ADD_BLOCK(add_many_lanes, MANY_LANES, WIDTH == 16 ? 4 : 2)
#endif
#undef ADD_BLOCK

/* The same for up to MAX_LANES lanes. inputs: [lanes][count]. */
TARGET NOINLINE void NAME(add_products)(float *sums, const float *weights, const float *inputs, ptrdiff_t count,
                                        ptrdiff_t lanes) {
#ifdef TEXTGEN_SMALL
    (void)lanes;
    NAME(add_one_lane)(sums, weights, inputs, count, count);
#else
    const ptrdiff_t tile = lanes > MANY_LANES ? TILE : count;
    for (ptrdiff_t start = 0; start < count; start += tile) {
        const ptrdiff_t size = count - start < tile ? count - start : tile;
        ptrdiff_t at_once;
        for (ptrdiff_t lane = 0; lane < lanes; lane += at_once) {
            float *to = sums + lane * TEXTGEN_BLOCK;
            const float *from = inputs + lane * count + start, *weight = weights + start * TEXTGEN_BLOCK;
            const ptrdiff_t left = lanes - lane;
            if (left >= MANY_LANES && left != 2 * FEW_LANES) {
                NAME(add_many_lanes)(to, weight, from, count, size);
                at_once = MANY_LANES;
            } else if (left >= FEW_LANES) {
                NAME(add_few_lanes)(to, weight, from, count, size);
                at_once = FEW_LANES;
            } else {
                NAME(add_one_lane)(to, weight, from, count, size);
                at_once = 1;
            }
        }
    }
#endif
}

/* Update the cell state of `count` vectors of units. gates: the sums of a group of units for each tile, in
 * ONNX's order; the output gates are replaced by their activations. cell: that of the group of the first tile;
 * stride: the distance of the units of two tiles. The vectors of all tiles are numbered, and `first` is the
 * first one. */
TARGET INLINE void NAME(update_cells)(float *gates, float *cell, ptrdiff_t stride, ptrdiff_t first,
                                      const int count) {
    vector x[ACTIVATIONS];
    UNROLL for (int i = 0; i < count; i++) {
        const ptrdiff_t tile = (first + i) / GROUP_VECTORS, v = (first + i) % GROUP_VECTORS;
        const float *from = gates + tile * TEXTGEN_BLOCK + v * WIDTH;
        x[4 * i] = NAME(load)(from);
        x[4 * i + 1] = NAME(load)(from + TEXTGEN_GROUP);
        x[4 * i + 2] = NAME(load)(from + 2 * TEXTGEN_GROUP);
        x[4 * i + 3] = NAME(load)(from + 3 * TEXTGEN_GROUP) * 2.0f;
    }
    NAME(tanh_of_halves)(x, 4 * count);
    UNROLL for (int i = 0; i < count; i++) {
        const ptrdiff_t tile = (first + i) / GROUP_VECTORS, v = (first + i) % GROUP_VECTORS;
        float *to = cell + tile * stride + v * WIDTH;
        const vector input = NAME(as_sigmoid)(x[4 * i]), forget = NAME(as_sigmoid)(x[4 * i + 2]);
        NAME(store)(to, NAME(multiply_add)(forget, NAME(load)(to), NAME(product)(input, x[4 * i + 3])));
        NAME(store)(gates + tile * TEXTGEN_BLOCK + TEXTGEN_GROUP + v * WIDTH, NAME(as_sigmoid)(x[4 * i + 1]));
    }
}

/* Compute the hidden state of `count` vectors of units from their cell state and output gates. */
TARGET INLINE void NAME(update_hidden)(const float *gates, const float *cell, float *hidden, ptrdiff_t stride,
                                       ptrdiff_t first, const int count) {
    vector x[ACTIVATIONS];
    UNROLL for (int i = 0; i < count; i++) {
        const ptrdiff_t tile = (first + i) / GROUP_VECTORS, v = (first + i) % GROUP_VECTORS;
        x[i] = NAME(load)(cell + tile * stride + v * WIDTH) * 2.0f;
    }
    NAME(tanh_of_halves)(x, count);
    UNROLL for (int i = 0; i < count; i++) {
        const ptrdiff_t tile = (first + i) / GROUP_VECTORS, v = (first + i) % GROUP_VECTORS;
        const vector output = NAME(load)(gates + tile * TEXTGEN_BLOCK + TEXTGEN_GROUP + v * WIDTH);
        NAME(store)(hidden + tile * stride + v * WIDTH, output * x[i]);
    }
}

/* Update the states of some tiles: the groups of units of one block in several lanes, or of several blocks in
 * one lane. */
TARGET NOINLINE void NAME(update_float)(float *gates, float *cell, float *hidden, ptrdiff_t stride,
                                        ptrdiff_t tiles) {
    const ptrdiff_t count = tiles * GROUP_VECTORS;
    ptrdiff_t i = 0;
    for (; i + 2 <= count; i += 2) {
        NAME(update_cells)(gates, cell, stride, i, 2);
    }
    if (GROUP_VECTORS % 2 && i < count) {
        NAME(update_cells)(gates, cell, stride, i, 1);
    }
    for (i = 0; i + 4 <= count; i += 4) {
        NAME(update_hidden)(gates, cell, hidden, stride, i, 4);
    }
    for (; GROUP_VECTORS % 4 && i < count; i++) {
        NAME(update_hidden)(gates, cell, hidden, stride, i, 1);
    }
}
