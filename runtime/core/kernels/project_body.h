/* The float64 kernel of one instruction set, which runs once, when a model is loaded; see kernel_body.h. */

#define WIDTH64 (WIDTH > 1 ? WIDTH / 2 : 1)
#if WIDTH == 1
typedef double NAME(vector64);
#else
typedef double NAME(vector64) __attribute__((vector_size(4 * WIDTH)));
#endif

#define vector64 NAME(vector64)

/* Return a product that the compiler cannot fuse with an addition. */
TARGET INLINE vector64 NAME(rounded64)(vector64 product) {
    TEXTGEN_ROUND(product);
    return product;
}

/* How many vectors of sums are computed at once: they fit in the registers and hide the latency of an addition.
 */
#ifdef TEXTGEN_SMALL
#define SUMS 2
#else
#define SUMS 8
#endif
#define TILE (SUMS * WIDTH64)

TARGET static void NAME(project)(const double *weights, const double *bias, const float *rows, ptrdiff_t inputs,
                                 ptrdiff_t outputs, ptrdiff_t count, float *products) {
    for (ptrdiff_t column = 0; column < outputs; column += TILE) {
        const double *block =
            weights + column / TEXTGEN_BLOCK * inputs * TEXTGEN_BLOCK + column % TEXTGEN_BLOCK;
        for (ptrdiff_t row = 0; row < count; row++) {
            vector64 sum[SUMS];
            double total[TILE];
            memset(sum, 0, sizeof sum);
            for (ptrdiff_t i = 0; i < inputs; i++) {
                const double *weight = block + i * TEXTGEN_BLOCK;
                const vector64 input = (double)rows[row * inputs + i] - (vector64){0};
                /* One-hot rows are almost all zeros. */
                if (rows[row * inputs + i] == 0.0f) {
                    continue;
                }
                UNROLL for (int v = 0; v < SUMS; v++) {
                    vector64 w;
                    memcpy(&w, weight + v * WIDTH64, sizeof w);
                    sum[v] = MULTIPLY_ADD64(w, input, sum[v]);
                }
            }
            memcpy(total, sum, sizeof total);
            for (ptrdiff_t i = 0; i < TILE; i++) {
                products[row * outputs + column + i] = (float)(total[i] + bias[column + i]);
            }
        }
    }
}

#undef vector64
#undef WIDTH64
#undef SUMS
#undef TILE
