/* Sums of products of one instruction set, for one or several lanes; see kernel_body.h. */

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

/* sums[lane][BLOCK] += inputs[lane][count] * weights[count][block], for some of the block's vectors. `block`,
 * `lanes` and `vectors` are constants in all calls, so that the compiler keeps the sums in registers. */
TARGET INLINE void NAME(add_vectors)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,
                                     ptrdiff_t count, const int block, const int lanes, const int vectors) {
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
            NAME(add_row)(sum, weights + i * block, inputs + i, stride, lanes, vectors);
        }
    } else {
        UNROLL_BY(2) for (ptrdiff_t i = 0; i < count; i++) {
            NAME(add_row)(sum, weights + i * block, inputs + i, stride, lanes, vectors);
        }
    }
    UNROLL for (int lane = 0; lane < lanes; lane++) {
        UNROLL for (int v = 0; v < vectors; v++) {
            NAME(store)(sums + lane * TEXTGEN_BLOCK + v * WIDTH, sum[lane * vectors + v]);
        }
    }
}

/* The same for all vectors of a block. Separate functions, so that each can use all registers. */
#define ADD_BLOCK(name, block, lanes, vectors)                                                                 \
    TARGET NOINLINE void NAME(name)(float *sums, const float *weights, const float *inputs, ptrdiff_t stride,  \
                                    ptrdiff_t count) {                                                         \
        for (int v = 0; v < (block) / WIDTH; v += (vectors)) {                                                 \
            NAME(add_vectors)(sums + v * WIDTH, weights + v * WIDTH, inputs, stride, count, block, lanes,      \
                              vectors);                                                                        \
        }                                                                                                      \
    }

ADD_BLOCK(add_one_lane, TEXTGEN_BLOCK, 1, VECTORS_ONE_LANE)
ADD_BLOCK(add_one_gru_lane, TEXTGEN_GRU_BLOCK, 1, GRU_VECTORS_ONE_LANE)
#if !defined(TEXTGEN_SMALL)
ADD_BLOCK(add_few_lanes, TEXTGEN_BLOCK, FEW_LANES, VECTORS_MANY_LANES)
ADD_BLOCK(add_many_lanes, TEXTGEN_BLOCK, MANY_LANES, VECTORS_MANY_LANES)
ADD_BLOCK(add_few_gru_lanes, TEXTGEN_GRU_BLOCK, FEW_LANES, GRU_VECTORS_MANY_LANES)
ADD_BLOCK(add_many_gru_lanes, TEXTGEN_GRU_BLOCK, MANY_LANES, GRU_VECTORS_MANY_LANES)
#endif

/* The same for up to MAX_LANES lanes. inputs: [lanes][count]. */
#define ADD_PRODUCTS(name, block, one, few, many)                                                              \
    TARGET NOINLINE void NAME(name)(float *sums, const float *weights, const float *inputs, ptrdiff_t count,   \
                                    ptrdiff_t lanes) {                                                         \
        const ptrdiff_t tile = TEXTGEN_LANES(lanes) > MANY_LANES ? TILE : count;                               \
        ptrdiff_t at_once;                                                                                     \
        lanes = TEXTGEN_LANES(lanes);                                                                          \
        for (ptrdiff_t start = 0; start < count; start += tile) {                                              \
            const ptrdiff_t size = count - start < tile ? count - start : tile;                                \
            for (ptrdiff_t first = 0; first < lanes; first += at_once) {                                       \
                float *to = sums + first * TEXTGEN_BLOCK;                                                      \
                const float *from = inputs + first * count + start, *weight = weights + start * (block);       \
                const ptrdiff_t left = lanes - first;                                                          \
                if (left >= MANY_LANES && left != 2 * FEW_LANES) {                                             \
                    at_once = MANY_LANES;                                                                      \
                    NAME(many)(to, weight, from, count, size);                                                 \
                } else if (left >= FEW_LANES) {                                                                \
                    at_once = FEW_LANES;                                                                       \
                    NAME(few)(to, weight, from, count, size);                                                  \
                } else {                                                                                       \
                    at_once = 1;                                                                               \
                    NAME(one)(to, weight, from, count, size);                                                  \
                }                                                                                              \
            }                                                                                                  \
        }                                                                                                      \
    }

#if defined(TEXTGEN_SMALL)
ADD_PRODUCTS(add_products, TEXTGEN_BLOCK, add_one_lane, add_one_lane, add_one_lane)
ADD_PRODUCTS(add_gru_products, TEXTGEN_GRU_BLOCK, add_one_gru_lane, add_one_gru_lane, add_one_gru_lane)
#else
ADD_PRODUCTS(add_products, TEXTGEN_BLOCK, add_one_lane, add_few_lanes, add_many_lanes)
ADD_PRODUCTS(add_gru_products, TEXTGEN_GRU_BLOCK, add_one_gru_lane, add_few_gru_lanes, add_many_gru_lanes)
#endif
