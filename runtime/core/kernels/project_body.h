/* One instruction set's products in float64, which are computed once when a model is loaded; see kernel_body.h.
 */

#define WIDE (LANES > 1 ? LANES / 2 : 1)
#if LANES == 1
typedef double NAME(wide);
#else
typedef double NAME(wide) __attribute__((vector_size(4 * LANES)));
#endif

#define wide NAME(wide)

/* A product that no addition is fused with. */
TARGET INLINE wide NAME(rounded64)(wide product) {
    TEXTGEN_ROUND(product);
    return product;
}

/* So many sums at once, a part of a block: as many as there are registers, and enough to hide the latency of an
 * addition. */
#define TILE (8 * WIDE)

TARGET static void NAME(project)(const double *weights, const double *bias, const float *rows, ptrdiff_t inputs,
                                 ptrdiff_t outputs, ptrdiff_t count, float *products) {
    ptrdiff_t column, row, i;
    int v;
    for (column = 0; column < outputs; column += TILE) {
        const double *block =
            weights + column / TEXTGEN_BLOCK * inputs * TEXTGEN_BLOCK + column % TEXTGEN_BLOCK;
        for (row = 0; row < count; row++) {
            wide sum[8];
            double total[TILE];
            memset(sum, 0, sizeof sum);
            for (i = 0; i < inputs; i++) {
                const double *weight = block + i * TEXTGEN_BLOCK;
                const wide input = (double)rows[row * inputs + i] - (wide){0};
                /* One-hot rows are almost all zeros. */
                if (rows[row * inputs + i] == 0.0f) {
                    continue;
                }
                UNROLL for (v = 0; v < 8; v++) {
                    wide w;
                    memcpy(&w, weight + v * WIDE, sizeof w);
                    sum[v] = MULTIPLY_ADD64(w, input, sum[v]);
                }
            }
            memcpy(total, sum, sizeof total);
            for (i = 0; i < TILE; i++) {
                products[row * outputs + column + i] = (float)(total[i] + bias[column + i]);
            }
        }
    }
}

#undef wide
#undef WIDE
#undef TILE
