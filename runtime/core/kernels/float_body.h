/* The arithmetic of layers with float32 weights. All sets with fused multiply-adds give the same results. */

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
    UNROLL for (int v = 0; v < count; v++) { shifted[v].floats = NAME(multiply_add)(x[v], log2_e, round_by); }
    UNROLL for (int v = 0; v < count; v++) { n[v] = shifted[v].floats - round_by; }
    UNROLL for (int v = 0; v < count; v++) { x[v] = NAME(multiply_add)(n[v], ln2_high, x[v]); }
    UNROLL for (int v = 0; v < count; v++) { x[v] = NAME(multiply_add)(n[v], ln2_low, x[v]); }
    UNROLL for (int v = 0; v < count; v++) {
        e[v] = NAME(multiply_add)(x[v], NAME(broadcast)(factors[0]), one.floats);
    }
    UNROLL for (int i = 1; i < 6; i++) {
        UNROLL for (int v = 0; v < count; v++) {
            e[v] = NAME(multiply_add)(e[v] * x[v], NAME(broadcast)(factors[i]), one.floats);
        }
    }
    UNROLL for (int v = 0; v < count; v++) {
        /* The low bits of `shifted` are n. Added to the exponent of 1 they give 2^n. */
        shifted[v].bits = (shifted[v].bits << 23) + one.bits;
        x[v] = NAME(multiply_add)(e[v], x[v], one.floats) * shifted[v].floats;
    }
}

/* Replace each x of `count` vectors by tanh(x / 2) = (1 - t) / (1 + t) with t = exp(-|x|), and the sign of x.
 * The absolute error is below 2e-7; for |x| below 6e-8 the result is 0. NaN stays NaN. */
TARGET INLINE void NAME(tanh_at_once)(vector *x, const int count) {
    static const float values[] = {-86.0f, 1.0f, -0.0f};
    const float *constants = textgen_loaded(values);
    const vector least = NAME(broadcast)(constants[0]), one = NAME(broadcast)(constants[1]);
    const both sign = {.floats = NAME(broadcast)(constants[2])};
    vector t[ACTIVATIONS];
    UNROLL for (int v = 0; v < count; v++) {
        both negative = {.floats = x[v]};
        negative.bits = negative.bits | sign.bits;
        t[v] = NAME(maximum)(least, negative.floats); /* tanh(43) is 1 in float32 */
    }
    NAME(exponentials)(t, count);
    UNROLL for (int v = 0; v < count; v++) {
        const both before = {.floats = x[v]};
        both result = {.floats = (one - t[v]) / (one + t[v])};
        result.bits = result.bits | (before.bits & sign.bits);
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
    return NAME(multiply_add)(tanh_of_half, half, half);
}

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
