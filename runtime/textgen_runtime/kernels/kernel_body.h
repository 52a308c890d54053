/* One instruction set's kernels; included once for each by kernels.c, which defines
 *
 *   NAME(x)         x with the set's name appended
 *   LANES           floats in a vector: 16, 8, 4, or 1 for plain C
 *   TARGET          what tells the compiler to use the set
 *   ALONE, TOGETHER how many vectors of a block are summed up at once, for one stream and for STREAMS of
 *                   them: as many sums as there are registers, and enough to hide the latency of an addition
 */

#if LANES == 1
typedef float NAME(vector);
typedef uint32_t NAME(integers);
#else
typedef float NAME(vector) __attribute__((vector_size(4 * LANES)));
typedef uint32_t NAME(integers) __attribute__((vector_size(4 * LANES)));
#endif

#define vector NAME(vector)
#define integers NAME(integers)

#define VECTORS (BLOCK / LANES)
#define STREAMS 4

typedef union {
    vector floats;
    integers bits;
} NAME(both);

#define both NAME(both)

/* memcpy, because not every array is as aligned as a vector; it compiles to one instruction. */
TARGET INLINE vector NAME(load)(const float *from) {
    vector value;
    memcpy(&value, from, sizeof value);
    return value;
}

TARGET INLINE void NAME(store)(float *to, vector value) { memcpy(to, &value, sizeof value); }

/* All bits of a lane where a > b, and not where either is no number. */
TARGET INLINE integers NAME(greater)(vector a, vector b) {
#if LANES == 1
    return -(uint32_t)(a > b);
#else
    return (integers)(a > b);
#endif
}

/* e to the power of x for x in [-87, 0]. x is taken apart into n ln 2 + r with |r| <= ln 2 / 2 (Cody and
 * Waite 1980, chapter 6: ln 2 in two parts, so that x minus the first is exact); e to the r is its Taylor polynomial of
 * degree 7, whose remainder is below 1e-8. */
TARGET INLINE vector NAME(exponential)(vector x) {
    const float round_by = 12582912.0f; /* 1.5 * 2^23: adding it leaves no fraction */
    both shifted;
    both power;
    vector n, r, e;
    shifted.floats = x * 1.44269504f + round_by;
    n = shifted.floats - round_by;
    r = x - n * 0.693359375f;
    r = r + n * 2.12194440e-4f;
    e = r * (1.0f / 7.0f) + 1.0f;
    e = e * r * (1.0f / 6.0f) + 1.0f;
    e = e * r * (1.0f / 5.0f) + 1.0f;
    e = e * r * (1.0f / 4.0f) + 1.0f;
    e = e * r * (1.0f / 3.0f) + 1.0f;
    e = e * r * (1.0f / 2.0f) + 1.0f;
    e = e * r + 1.0f;
    /* The low bits of `shifted` are n; as an exponent they are 2 to the n. */
    power.bits = (shifted.bits + 127) << 23;
    return e * power.floats;
}

/* tanh to within 2e-7: (1 - t) / (1 + t) with t = e^(-2|x|),
 * and x's sign put back. The bound is absolute: below 3e-8 it gives 0. NaN stays NaN. */
TARGET INLINE vector NAME(tanh_of)(vector x) {
    const float far = 43.0f; /* tanh is 1 in float long before */
    both magnitude, sign, limited, result;
    integers beyond;
    vector t, limit = (vector){0} + far;
    magnitude.floats = x;
    sign.bits = magnitude.bits & 0x80000000u;
    magnitude.bits = magnitude.bits & 0x7fffffffu;
    beyond = NAME(greater)(magnitude.floats, limit);
    limited.floats = limit;
    limited.bits = (limited.bits & beyond) | (magnitude.bits & ~beyond);
    t = NAME(exponential)(limited.floats * -2.0f);
    result.floats = (1.0f - t) / (1.0f + t);
    result.bits = result.bits | sign.bits;
    return result.floats;
}

TARGET INLINE vector NAME(sigmoid_of)(vector x) { return NAME(tanh_of)(x * 0.5f) * 0.5f + 0.5f; }

/* sums[stream][BLOCK] += weights[inputs][BLOCK] times each stream's inputs, for a few of the block's vectors.
 * Called with constant `streams` and `vectors`, so that the sums are registers. */
TARGET INLINE void NAME(add_some)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,
                                  ptrdiff_t count, const int streams, const int vectors) {
    vector sum[STREAMS * VECTORS];
    vector weight[VECTORS];
    ptrdiff_t i;
    int s, v;
    UNROLL for (s = 0; s < streams; s++) {
        UNROLL for (v = 0; v < vectors; v++) {
            sum[s * vectors + v] = NAME(load)(sums + s * BLOCK + v * LANES);
        }
    }
    for (i = 0; i < count; i++) {
        UNROLL for (v = 0; v < vectors; v++) {
            weight[v] = NAME(load)(weights + i * BLOCK + v * LANES);
        }
        UNROLL for (s = 0; s < streams; s++) {
            const float input = inputs[s * stride + i];
            UNROLL for (v = 0; v < vectors; v++) {
                sum[s * vectors + v] += weight[v] * input;
            }
        }
    }
    UNROLL for (s = 0; s < streams; s++) {
        UNROLL for (v = 0; v < vectors; v++) {
            NAME(store)(sums + s * BLOCK + v * LANES, sum[s * vectors + v]);
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
        NAME(add_some)(sums + v * LANES, weights + v * LANES, inputs, stride, count, STREAMS, TOGETHER);
    }
}

TARGET INLINE void NAME(add_products)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,
                                      ptrdiff_t count, ptrdiff_t streams) {
    if (streams == STREAMS) {
        NAME(add_together)(sums, weights, inputs, stride, count);
    } else {
        NAME(add_alone)(sums, weights, inputs, count);
    }
}

/* A group's new hidden state from its four gates. */
TARGET INLINE void NAME(open_gates)(const float *sums, float *cell, float *hidden) {
    int v;
    for (v = 0; v < GROUP; v += LANES) {
        const vector input = NAME(sigmoid_of)(NAME(load)(sums + v));
        const vector forget = NAME(sigmoid_of)(NAME(load)(sums + GROUP + v));
        const vector candidate = NAME(tanh_of)(NAME(load)(sums + 2 * GROUP + v));
        const vector output = NAME(sigmoid_of)(NAME(load)(sums + 3 * GROUP + v));
        const vector remembered = forget * NAME(load)(cell + v) + input * candidate;
        NAME(store)(cell + v, remembered);
        NAME(store)(hidden + v, output * NAME(tanh_of)(remembered));
    }
}

TARGET INLINE ptrdiff_t NAME(few)(ptrdiff_t left) { return left >= STREAMS ? STREAMS : 1; }

TARGET static void NAME(step)(const Network *network, const int64_t *tokens, float *hidden, float *cell,
                              float *scratch, ptrdiff_t streams) {
    const ptrdiff_t units = network->units;
    const ptrdiff_t state = streams * units;
    float sums[STREAMS * BLOCK];
    ptrdiff_t layer, group, first, some, s;
    for (layer = 0; layer < network->layers; layer++) {
        float *own = hidden + layer * state;
        const ptrdiff_t inputs = layer ? 2 * units : units;
        for (group = 0; group < units; group += GROUP) {
            const float *weights = network->weights[layer] + group / GROUP * inputs * BLOCK;
            for (first = 0; first < streams; first += some) {
                some = NAME(few)(streams - first);
                for (s = 0; s < some; s++) {
                    const float *start = layer ? network->biases[layer]
                                               : network->rows + tokens[first + s] * units / GROUP * BLOCK;
                    memcpy(sums + s * BLOCK, start + group / GROUP * BLOCK, BLOCK * sizeof(float));
                }
                if (layer) {
                    const float *below = own - state + first * units;
                    NAME(add_products)(sums, weights, below, units, units, some);
                    NAME(add_products)(sums, weights + units * BLOCK, own + first * units, units, units, some);
                } else {
                    NAME(add_products)(sums, weights, own + first * units, units, units, some);
                }
                for (s = 0; s < some; s++) {
                    const ptrdiff_t place = (first + s) * units + group;
                    NAME(open_gates)(sums + s * BLOCK, cell + layer * state + place, scratch + place);
                }
            }
        }
        memcpy(own, scratch, (size_t)state * sizeof(float));
    }
}

TARGET static void NAME(score)(const Network *network, const float *hidden, float *logits, ptrdiff_t streams) {
    const ptrdiff_t units = network->units;
    float sums[STREAMS * BLOCK];
    ptrdiff_t block, first, some, s;
    for (block = 0; block < network->vocabulary; block += BLOCK) {
        for (first = 0; first < streams; first += some) {
            some = NAME(few)(streams - first);
            for (s = 0; s < some; s++) {
                memcpy(sums + s * BLOCK, network->output_bias + block, sizeof(float) * BLOCK);
            }
            NAME(add_products)(sums, network->output + block * units, hidden + first * units, units, units,
                               some);
            for (s = 0; s < some; s++) {
                memcpy(logits + (first + s) * network->vocabulary + block, sums + s * BLOCK,
                       sizeof(float) * BLOCK);
            }
        }
    }
}

TARGET static float NAME(stream)(const float *values, ptrdiff_t count) {
    vector sum[8];
    float total = 0.0f;
    ptrdiff_t i;
    int v;
    UNROLL for (v = 0; v < 8; v++) { sum[v] = NAME(load)(values + v * LANES); }
    for (i = 8 * LANES; i < count; i += 8 * LANES) {
        UNROLL for (v = 0; v < 8; v++) { sum[v] += NAME(load)(values + i + v * LANES); }
    }
    for (v = 0; v < 8; v++) {
        float lanes[LANES];
        NAME(store)(lanes, sum[v]);
        for (i = 0; i < LANES; i++) {
            total += lanes[i];
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

#undef vector
#undef integers
#undef both
#undef VECTORS
#undef STREAMS
