/* The kernels of training of one instruction set. learn.c includes this file for each set, with the macros of
 * kernels/layer_body.h. */

#include "kernels/vector_body.h"

#include "kernels/activations_body.h"

/* A tile of a product: so many rows, and so many vectors of columns, whose sums stay in the registers. */
#define TILE_ROWS (WIDTH == 16 ? 8 : 4)
#define PANEL_VECTORS (WIDTH == 4 || WIDTH == 1 ? 2 : 3)

/* The products of a panel with so many rows of weights follow each other, so that they stay in the cache. */
#define DEPTH_AT_ONCE 256
#define ROWS_AT_ONCE 256

#define PAD_VECTORS (TEXTGEN_LEARN_PAD / WIDTH)

/* So many exponentials are computed at once. */
#define AT_ONCE (PAD_VECTORS < ACTIVATIONS ? PAD_VECTORS : ACTIVATIONS)

/* Store a vector of units, or its first half if no more of them are left. Only vectors of 16 have halves. */
TARGET INLINE void NAME(store_units)(float *to, vector value, ptrdiff_t left) {
#if WIDTH == 16
    _mm512_mask_storeu_ps(to, left < 16 ? 0xff : 0xffff, (__m512)value);
#else
    (void)left;
    NAME(store)(to, value);
#endif
}

/* c (+)= a * b for a tile. Element (i, k) of a is a[i * row + k * step]. b: [depth][vectors]. */
TARGET INLINE void NAME(tile)(const float *a, ptrdiff_t row, ptrdiff_t step, const float *b, ptrdiff_t depth,
                              float *c, ptrdiff_t stride, bool add, const int rows, const int vectors) {
    vector sums[TILE_ROWS * PANEL_VECTORS];
    UNROLL for (int i = 0; i < rows * vectors; i++) {
        sums[i] = add ? NAME(load)(c + i / vectors * stride + i % vectors * WIDTH) : (vector){0};
    }
    for (ptrdiff_t k = 0; k < depth; k++) {
        vector columns[PANEL_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) { columns[v] = NAME(load)(b + v * WIDTH); }
        UNROLL for (int i = 0; i < rows; i++) {
            const vector value = NAME(broadcast)(a[i * row]);
            UNROLL for (int v = 0; v < vectors; v++) {
                sums[i * vectors + v] = NAME(multiply_add)(value, columns[v], sums[i * vectors + v]);
            }
        }
        a += step;
        b += vectors * WIDTH;
    }
    UNROLL for (int i = 0; i < rows * vectors; i++) {
        NAME(store)(c + i / vectors * stride + i % vectors * WIDTH, sums[i]);
    }
}

/* The same for any number of rows up to TILE_ROWS. Separate functions, so that each can use all registers. */
#define TILES(vectors)                                                                                         \
    TARGET NOINLINE void NAME(tile_##vectors)(const float *a, ptrdiff_t row, ptrdiff_t step, const float *b,   \
                                              ptrdiff_t depth, float *c, ptrdiff_t stride, bool add,           \
                                              ptrdiff_t rows) {                                                \
        if (rows == TILE_ROWS) {                                                                               \
            NAME(tile)(a, row, step, b, depth, c, stride, add, TILE_ROWS, vectors);                            \
            return;                                                                                            \
        }                                                                                                      \
        for (ptrdiff_t i = 0; i < rows; i++) {                                                                 \
            NAME(tile)(a + i * row, row, step, b, depth, c + i * stride, stride, add, 1, vectors);             \
        }                                                                                                      \
    }
TILES(1)
TILES(2)
#if PANEL_VECTORS > 2
TILES(3)
#endif
#undef TILES

/* A column of tiles: all rows of a product for one panel. */
TARGET static void NAME(panel)(const float *a, ptrdiff_t row, ptrdiff_t step, ptrdiff_t rows, const float *b,
                               ptrdiff_t depth, ptrdiff_t vectors, float *c, ptrdiff_t stride, bool add) {
    for (ptrdiff_t i = 0; i < rows; i += TILE_ROWS) {
        const ptrdiff_t count = rows - i < TILE_ROWS ? rows - i : TILE_ROWS;
        const float *from = a + i * row;
        float *to = c + i * stride;
        if (vectors == 1) {
            NAME(tile_1)(from, row, step, b, depth, to, stride, add, count);
        } else if (vectors == 2) {
            NAME(tile_2)(from, row, step, b, depth, to, stride, add, count);
        }
#if PANEL_VECTORS > 2
        else {
            NAME(tile_3)(from, row, step, b, depth, to, stride, add, count);
        }
#endif
    }
}

/* Packed: [panel][depth][vectors of the panel]. */
TARGET static void NAME(pack)(const float *matrix, ptrdiff_t stride, ptrdiff_t depth, ptrdiff_t columns,
                              float *packed) {
    const ptrdiff_t count = columns / WIDTH;
    for (ptrdiff_t first = 0, vectors; first < count; first += vectors) {
        vectors = count - first < PANEL_VECTORS ? count - first : PANEL_VECTORS;
        for (ptrdiff_t k = 0; k < depth; k++) {
            const float *from = matrix + k * stride + first * WIDTH;
            for (ptrdiff_t v = 0; v < vectors; v++, packed += WIDTH) {
                NAME(store)(packed, NAME(load)(from + v * WIDTH));
            }
        }
    }
}

TARGET static void NAME(pack_transposed)(const float *matrix, ptrdiff_t stride, ptrdiff_t depth,
                                         ptrdiff_t columns, float *packed) {
    const ptrdiff_t count = (columns + TEXTGEN_LEARN_PAD - 1) / TEXTGEN_LEARN_PAD * PAD_VECTORS;
    for (ptrdiff_t first = 0, vectors; first < count; first += vectors) {
        vectors = count - first < PANEL_VECTORS ? count - first : PANEL_VECTORS;
        const ptrdiff_t width = vectors * WIDTH, start = first * WIDTH;
        /* In parts of 16 rows, so that the lines that are written stay in the cache. */
        for (ptrdiff_t part = 0; part < depth; part += 16) {
            const ptrdiff_t stop = depth - part < 16 ? depth : part + 16;
            for (ptrdiff_t i = 0; i < width; i++) {
                const float *from = matrix + (start + i) * stride;
                for (ptrdiff_t k = part; k < stop; k++) {
                    packed[k * width + i] = start + i < columns ? from[k] : 0.0f;
                }
            }
        }
        packed += depth * width;
    }
}

TARGET static void NAME(multiply)(const float *a, ptrdiff_t a_stride, ptrdiff_t rows, const float *packed,
                                  ptrdiff_t depth, ptrdiff_t columns, float *c, ptrdiff_t c_stride, bool add) {
    const ptrdiff_t count = (columns + TEXTGEN_LEARN_PAD - 1) / TEXTGEN_LEARN_PAD * PAD_VECTORS;
    for (ptrdiff_t start = 0; start < rows; start += ROWS_AT_ONCE) {
        const ptrdiff_t some = rows - start < ROWS_AT_ONCE ? rows - start : ROWS_AT_ONCE;
        for (ptrdiff_t first = 0, vectors; first < count; first += vectors) {
            vectors = count - first < PANEL_VECTORS ? count - first : PANEL_VECTORS;
            for (ptrdiff_t k = 0; k < depth; k += DEPTH_AT_ONCE) {
                const float *b = packed + (first * depth + k * vectors) * WIDTH;
                NAME(panel)(a + start * a_stride + k, a_stride, 1, some, b,
                            depth - k < DEPTH_AT_ONCE ? depth - k : DEPTH_AT_ONCE, vectors,
                            c + start * c_stride + first * WIDTH, c_stride, add || k > 0);
            }
        }
    }
}

TARGET static void NAME(multiply_transposed)(const float *a, ptrdiff_t a_stride, ptrdiff_t a_columns,
                                             const float *b, ptrdiff_t b_stride, ptrdiff_t columns,
                                             ptrdiff_t depth, float *c, ptrdiff_t c_stride, float *sums,
                                             float *scratch) {
    const ptrdiff_t count = (columns + TEXTGEN_LEARN_PAD - 1) / TEXTGEN_LEARN_PAD * PAD_VECTORS;
    for (ptrdiff_t start = 0; start < depth; start += TEXTGEN_LEARN_DEPTH) {
        const ptrdiff_t some = depth - start < TEXTGEN_LEARN_DEPTH ? depth - start : TEXTGEN_LEARN_DEPTH;
        for (ptrdiff_t first = 0, vectors; first < count; first += vectors) {
            vectors = count - first < PANEL_VECTORS ? count - first : PANEL_VECTORS;
            const float *from = b + start * b_stride + first * WIDTH;
            NAME(pack)(from, b_stride, some, vectors * WIDTH, scratch);
            if (sums) {
                for (ptrdiff_t v = 0; v < vectors; v++) {
                    float *to = sums + (first + v) * WIDTH;
                    vector sum = NAME(load)(to);
                    for (ptrdiff_t k = 0; k < some; k++) {
                        sum += NAME(load)(scratch + (k * vectors + v) * WIDTH);
                    }
                    NAME(store)(to, sum);
                }
            }
            NAME(panel)(a + start * a_stride, 1, a_stride, a_columns, scratch, some, vectors, c + first * WIDTH,
                        c_stride, true);
        }
    }
}

/* A time step of some vectors of units of one row. */
TARGET INLINE void NAME(forward_units)(float *gates, const float *bias, ptrdiff_t gate_units,
                                       const float *cell_before, float *cell, float *tanh_cell, float *hidden,
                                       ptrdiff_t left, const int count) {
    vector x[8], t[2];
    UNROLL for (int v = 0; v < count; v++) {
        UNROLL for (int gate = 0; gate < 4; gate++) {
            const ptrdiff_t at = gate * gate_units + v * WIDTH;
            x[4 * v + gate] = NAME(load)(gates + at) + NAME(load)(bias + at);
        }
        x[4 * v + 3] += x[4 * v + 3];
    }
    NAME(tanh_at_once)(x, 4 * count);
    UNROLL for (int v = 0; v < count; v++) {
        vector *gate = x + 4 * v;
        UNROLL for (int i = 0; i < 3; i++) { gate[i] = NAME(as_sigmoid)(gate[i]); }
        const vector state =
            NAME(multiply_add)(gate[2], NAME(load)(cell_before + v * WIDTH), NAME(product)(gate[0], gate[3]));
        NAME(store_units)(cell + v * WIDTH, state, left - v * WIDTH);
        t[v] = state + state;
        UNROLL for (int i = 0; i < 4; i++) {
            NAME(store_units)(gates + i * gate_units + v * WIDTH, gate[i], left - v * WIDTH);
        }
    }
    NAME(tanh_at_once)(t, count);
    UNROLL for (int v = 0; v < count; v++) {
        NAME(store_units)(tanh_cell + v * WIDTH, t[v], left - v * WIDTH);
        NAME(store_units)(hidden + v * WIDTH, x[4 * v + 1] * t[v], left - v * WIDTH);
    }
}

TARGET static void NAME(cells_forward)(float *gates, const float *bias, ptrdiff_t gate_units, ptrdiff_t rows,
                                       const float *cell_before, float *cell, float *tanh_cell, float *hidden,
                                       ptrdiff_t stride) {
    for (ptrdiff_t row = 0; row < rows; row++) {
        ptrdiff_t u = 0;
        for (; u + WIDTH < gate_units; u += 2 * WIDTH) {
            NAME(forward_units)(gates + u, bias + u, gate_units, cell_before + u, cell + u, tanh_cell + u,
                                hidden + u, gate_units - u, 2);
        }
        if (u < gate_units) {
            NAME(forward_units)(gates + u, bias + u, gate_units, cell_before + u, cell + u, tanh_cell + u,
                                hidden + u, gate_units - u, 1);
        }
        gates += 4 * gate_units;
        cell_before += stride;
        cell += stride;
        tanh_cell += stride;
        hidden += stride;
    }
}

TARGET static void NAME(cells_backward)(float *gates, ptrdiff_t gate_units, ptrdiff_t rows,
                                        const float *cell_before, const float *tanh_cell, const float *d_hidden,
                                        float *d_cell, ptrdiff_t stride) {
    const vector one = NAME(broadcast)(1.0f);
    for (ptrdiff_t row = 0; row < rows; row++) {
        for (ptrdiff_t u = 0; u < gate_units; u += WIDTH) {
            float *input = gates + u, *output = input + gate_units, *forget = output + gate_units,
                  *candidate = forget + gate_units;
            const ptrdiff_t left = gate_units - u;
            const vector i = NAME(load)(input), o = NAME(load)(output), f = NAME(load)(forget),
                         g = NAME(load)(candidate), t = NAME(load)(tanh_cell + u), d = NAME(load)(d_hidden + u),
                         through = d * o;
            /* The gradient of the cell state: one part through tanh, one from the step after. */
            const vector s = NAME(multiply_add)(through, one - NAME(product)(t, t), NAME(load)(d_cell + u));
            const vector si = s * i, sf = s * f;
            NAME(store_units)(input, si * g * (one - i), left);
            NAME(store_units)(output, through * t * (one - o), left);
            NAME(store_units)(forget, sf * NAME(load)(cell_before + u) * (one - f), left);
            NAME(store_units)(candidate, si * (one - NAME(product)(g, g)), left);
            NAME(store_units)(d_cell + u, sf, left);
        }
        gates += 4 * gate_units;
        cell_before += stride;
        tanh_cell += stride;
        d_hidden += stride;
        d_cell += stride;
    }
}

/* Add sixteen sums in order. */
TARGET INLINE double NAME(total)(const vector sums[PAD_VECTORS]) {
    float elements[TEXTGEN_LEARN_PAD];
    double result = 0.0;
    for (int v = 0; v < PAD_VECTORS; v++) {
        NAME(store)(elements + v * WIDTH, sums[v]);
    }
    for (int i = 0; i < TEXTGEN_LEARN_PAD; i++) {
        result += elements[i];
    }
    return result;
}

TARGET static float NAME(exponentials_of)(float *logits, const float *bias, ptrdiff_t count, float *result) {
    vector largest[PAD_VECTORS], sums[PAD_VECTORS];
    float elements[TEXTGEN_LEARN_PAD];
    const ptrdiff_t padded = (count + TEXTGEN_LEARN_PAD - 1) / TEXTGEN_LEARN_PAD * TEXTGEN_LEARN_PAD;
    for (int v = 0; v < PAD_VECTORS; v++) {
        largest[v] = NAME(broadcast)(-FLT_MAX);
        sums[v] = (vector){0};
    }
    for (ptrdiff_t i = 0; i < padded; i += WIDTH) {
        NAME(store)(logits + i, NAME(load)(logits + i) + NAME(load)(bias + i));
    }
    for (ptrdiff_t i = count; i < padded; i++) {
        logits[i] = -FLT_MAX;
    }
    for (ptrdiff_t i = 0; i < padded; i += WIDTH) {
        vector *most = largest + i / WIDTH % PAD_VECTORS;
        *most = NAME(maximum)(NAME(load)(logits + i), *most);
    }
    for (int v = 0; v < PAD_VECTORS; v++) {
        NAME(store)(elements + v * WIDTH, largest[v]);
    }
    for (int i = 1; i < TEXTGEN_LEARN_PAD; i++) {
        elements[0] = elements[i] > elements[0] ? elements[i] : elements[0];
    }
    const vector most = NAME(broadcast)(elements[0]), least = NAME(broadcast)(-40.0f);
    for (ptrdiff_t i = 0; i < padded; i += AT_ONCE * WIDTH) {
        vector x[AT_ONCE];
        /* The least exponent keeps gradients out of the denormal numbers, with which processors are slow. */
        UNROLL for (int v = 0; v < AT_ONCE; v++) {
            x[v] = NAME(maximum)(NAME(load)(logits + i + v * WIDTH) - most, least);
            NAME(store)(logits + i + v * WIDTH, x[v]);
        }
        NAME(exponentials)(x, AT_ONCE);
        UNROLL for (int v = 0; v < AT_ONCE; v++) { NAME(store)(result + i + v * WIDTH, x[v]); }
    }
    for (ptrdiff_t i = count; i < padded; i++) {
        result[i] = 0.0f;
    }
    for (ptrdiff_t i = 0; i < padded; i += WIDTH) {
        sums[i / WIDTH % PAD_VECTORS] += NAME(load)(result + i);
    }
    return (float)NAME(total)(sums);
}

TARGET static void NAME(scale)(const float *values, ptrdiff_t count, float factor, float *result) {
    const vector by = NAME(broadcast)(factor);
    for (ptrdiff_t i = 0; i < count; i += WIDTH) {
        NAME(store)(result + i, NAME(load)(values + i) * by);
    }
}

TARGET static void NAME(combine)(const float *a, float a_factor, const float *b, float b_factor,
                                 ptrdiff_t count, float *result) {
    const vector a_by = NAME(broadcast)(a_factor), b_by = NAME(broadcast)(b_factor);
    for (ptrdiff_t i = 0; i < count; i += WIDTH) {
        NAME(store)(result + i,
                    NAME(multiply_add)(NAME(load)(a + i), a_by, NAME(product)(NAME(load)(b + i), b_by)));
    }
}

TARGET static void NAME(add)(float *to, const float *from, ptrdiff_t count) {
    for (ptrdiff_t i = 0; i < count; i += WIDTH) {
        NAME(store)(to + i, NAME(load)(to + i) + NAME(load)(from + i));
    }
}

/* Squares are added in parts, whose sums are float64. */
TARGET static double NAME(squares)(const float *values, ptrdiff_t count) {
    double result = 0.0;
    for (ptrdiff_t start = 0; start < count; start += 4096) {
        const ptrdiff_t stop = count - start < 4096 ? count : start + 4096;
        vector sums[PAD_VECTORS];
        memset(sums, 0, sizeof sums);
        for (ptrdiff_t i = start; i < stop; i += TEXTGEN_LEARN_PAD) {
            UNROLL for (int v = 0; v < PAD_VECTORS; v++) {
                const vector x = NAME(load)(values + i + v * WIDTH);
                sums[v] = NAME(multiply_add)(x, x, sums[v]);
            }
        }
        result += NAME(total)(sums);
    }
    return result;
}

/* The hash is the finalizer lowbias32 of C. Wellons, Prospecting for Hash Functions, 2018. */
TARGET static void NAME(drop)(const float *values, ptrdiff_t count, const textgen_drop *drop, uint32_t first,
                              float *result) {
    const vector by = NAME(broadcast)(drop->scale);
    uint32_t numbers[WIDTH];
    for (uint32_t i = 0; i < WIDTH; i++) {
        numbers[i] = first + i;
    }
    integers number = NAME(load_bytes)(numbers);
    for (ptrdiff_t i = 0; i < count; i += WIDTH, number += (uint32_t)WIDTH) {
        integers hash = number * 0x9E3779B1u + drop->key;
        hash = (hash ^ (hash >> 16)) * 0x7feb352du;
        hash = (hash ^ (hash >> 15)) * 0x846ca68bu;
        hash = hash >> 16 ^ hash;
        both kept = {.floats = NAME(load)(values + i) * by};
        /* All bits are set if the hash is at least the threshold: both are below 2^16. */
        kept.bits = kept.bits & ((((hash >> 16) - drop->threshold) >> 31) - 1u);
        NAME(store)(result + i, kept.floats);
    }
}

TARGET INLINE vector NAME(square_root)(vector x) {
#if WIDTH == 16
    return (vector)_mm512_sqrt_ps((__m512)x);
#elif WIDTH == 8
    return (vector)_mm256_sqrt_ps((__m256)x);
#elif TEXTGEN_X86 && WIDTH == 4
    return (vector)_mm_sqrt_ps((__m128)x);
#elif TEXTGEN_NEON
    return (vector)vsqrtq_f32((float32x4_t)x);
#elif WIDTH == 4
    return (vector)wasm_f32x4_sqrt((v128_t)x);
#else
    return sqrtf(x);
#endif
}

/* I. Loshchilov and F. Hutter, Decoupled Weight Decay Regularization, arXiv:1711.05101. */
TARGET static void NAME(adamw)(float *weights, const float *gradient, float *first, float *second,
                               ptrdiff_t count, const textgen_adamw *rates) {
    const vector rate = NAME(broadcast)(-rates->rate), decay = NAME(broadcast)(rates->decay),
                 clip = NAME(broadcast)(rates->clip), first_bias = NAME(broadcast)(rates->first_bias),
                 second_bias = NAME(broadcast)(rates->second_bias), epsilon = NAME(broadcast)(1e-8f);
    /* Moments of weights without a gradient become denormal, with which processors are slow. A sum with these
     * numbers is rounded to zero long before. */
    const vector small = NAME(broadcast)(1e-20f), least = NAME(broadcast)(1e-36f);
    for (ptrdiff_t i = 0; i < count; i += WIDTH) {
        const vector g = NAME(load)(gradient + i) * clip;
        const vector before = NAME(load)(first + i) * NAME(broadcast)((float)TEXTGEN_FIRST_BETA);
        const vector m =
            NAME(multiply_add)(g, NAME(broadcast)((float)(1.0 - TEXTGEN_FIRST_BETA)), before) + small - small;
        const vector square = NAME(product)(g, g);
        const vector v = NAME(maximum)(
            NAME(multiply_add)(square, NAME(broadcast)((float)(1.0 - TEXTGEN_SECOND_BETA)),
                               NAME(load)(second + i) * NAME(broadcast)((float)TEXTGEN_SECOND_BETA)),
            least);
        const vector step = m * first_bias / (NAME(square_root)(v * second_bias) + epsilon);
        NAME(store)(first + i, m);
        NAME(store)(second + i, v);
        NAME(store)(weights + i, NAME(multiply_add)(rate, step, NAME(product)(NAME(load)(weights + i), decay)));
    }
}

#undef NAME
#undef WIDTH
#undef TARGET
