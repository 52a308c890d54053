/* Products of bfloat16 numbers with sums of float32, for AMX and for AVX-512 BF16. learn.c includes this file
 * once.
 *
 * Kernels get float32 numbers and round them to bfloat16, ties to even, when they copy them into the order of
 * the instructions. Denormal numbers become zero.
 *
 * A packed matrix is [chunk of CHUNK rows][panel of 32 columns, the last may have 16][pair of rows][column][2].
 * Its rows are padded with zeros to a multiple of TERMS. */

typedef uint16_t bfloat16;

#define BFLOAT16 __attribute__((target("avx512f,avx512dq,avx512vl,avx512bw,avx512bf16,fma")))

/* Terms of a sum in one instruction of AMX, terms in a chunk, and rows of a product that are copied at once. */
enum { TERMS = 32, CHUNK = 2 * TEXTGEN_LEARN_DEPTH, BLOCK_ROWS = 32 };

/* c[rows][16 * vectors] (+)= a * packed, for a[rows][CHUNK] and one chunk of at most CHUNK rows. */
typedef void (*chunk_product)(const bfloat16 *a, ptrdiff_t rows, const bfloat16 *packed, ptrdiff_t depth,
                              ptrdiff_t vectors, float *c, ptrdiff_t stride, bool add);

static ptrdiff_t round_up(ptrdiff_t count, ptrdiff_t multiple) {
    return (count + multiple - 1) / multiple * multiple;
}

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* The numbers 0 to 15. */
#define LANES _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

/* Round two vectors. A vector without numbers, NULL, is zero. */
BFLOAT16 INLINE __m512i to_bfloat16(const float *first, const float *second) {
    const __m512 zero = _mm512_setzero_ps();
    return (__m512i)_mm512_cvtne2ps_pbh(second ? _mm512_loadu_ps(second) : zero,
                                        first ? _mm512_loadu_ps(first) : zero);
}

/* Round two vectors, and return the pairs of their elements. */
BFLOAT16 INLINE __m512i to_pairs(const float *first, const float *second) {
    const __m512i from =
        _mm512_or_si512(LANES, _mm512_slli_epi32(_mm512_add_epi32(LANES, _mm512_set1_epi32(16)), 16));
    return _mm512_permutexvar_epi16(from, to_bfloat16(first, second));
}

/* Transpose a matrix of 16 x 16 pairs, and write its rows. */
BFLOAT16 INLINE void store_transposed(__m512i rows[16], bfloat16 *to, ptrdiff_t stride) {
    UNROLL for (int bit = 0; bit < 4; bit++) {
        /* Exchange elements of the rows i and i + step: of one row those whose place has this bit, of the other
         * one those that are `step` places before. */
        const int step = 1 << bit;
        const __m512i odd = _mm512_and_si512(LANES, _mm512_set1_epi32(step));
        const __m512i low =
            _mm512_add_epi32(LANES, _mm512_mullo_epi32(odd, _mm512_set1_epi32((16 - step) / step)));
        const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(step));
        UNROLL for (int i = 0; i < 16; i++) {
            if (!(i & step)) {
                const __m512i a = rows[i], b = rows[i + step];
                rows[i] = _mm512_permutex2var_epi32(a, low, b);
                rows[i + step] = _mm512_permutex2var_epi32(a, high, b);
            }
        }
    }
    UNROLL for (int i = 0; i < 16; i++) { _mm512_storeu_si512(to + i * stride, rows[i]); }
}

BFLOAT16 static void pack_bfloat16(const float *matrix, ptrdiff_t stride, ptrdiff_t depth, ptrdiff_t columns,
                                   float *packed) {
    bfloat16 *to = (bfloat16 *)(void *)packed;
    for (ptrdiff_t start = 0; start < depth; start += CHUNK) {
        const ptrdiff_t stop = start + least(round_up(depth - start, TERMS), CHUNK);
        for (ptrdiff_t first = 0; first < columns; first += 32) {
            for (ptrdiff_t k = start; k < stop; k += 2) {
                for (ptrdiff_t column = first; column < columns && column < first + 32;
                     column += 16, to += 32) {
                    const float *from = matrix + k * stride + column;
                    _mm512_storeu_si512(
                        to, to_pairs(k < depth ? from : NULL, k + 1 < depth ? from + stride : NULL));
                }
            }
        }
    }
}

BFLOAT16 static void pack_transposed_bfloat16(const float *matrix, ptrdiff_t stride, ptrdiff_t depth,
                                              ptrdiff_t columns, float *packed) {
    bfloat16 *to = (bfloat16 *)(void *)packed;
    const ptrdiff_t padded = round_up(columns, 16);
    for (ptrdiff_t start = 0; start < depth; start += CHUNK) {
        const ptrdiff_t stop = start + least(round_up(depth - start, TERMS), CHUNK);
        for (ptrdiff_t first = 0, width; first < padded; first += width, to += (stop - start) * width) {
            width = least(padded - first, 32);
            for (ptrdiff_t k = start; k < stop; k += TERMS) {
                for (ptrdiff_t part = 0; part < width; part += 16) {
                    __m512i rows[16];
                    UNROLL for (int i = 0; i < 16; i++) {
                        const float *from =
                            first + part + i < columns ? matrix + (first + part + i) * stride + k : NULL;
                        rows[i] = to_bfloat16(from, from && k + 16 < depth ? from + 16 : NULL);
                    }
                    store_transposed(rows, to + (k - start) * width + 2 * part, 2 * width);
                }
            }
        }
    }
}

/* Copy a[rows][depth] to [rows][CHUNK]. */
BFLOAT16 static void copy_rows(const float *a, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t depth,
                               bfloat16 *to) {
    for (ptrdiff_t row = 0; row < rows; row++, a += stride, to += CHUNK) {
        for (ptrdiff_t k = 0; k < depth; k += TERMS) {
            _mm512_storeu_si512(to + k, to_bfloat16(a + k, k + 16 < depth ? a + k + 16 : NULL));
        }
    }
}

/* Copy the transpose of a[depth][columns] to [columns][CHUNK]. */
BFLOAT16 static void copy_columns(const float *a, ptrdiff_t stride, ptrdiff_t columns, ptrdiff_t depth,
                                  bfloat16 *to) {
    for (ptrdiff_t column = 0; column < columns; column += 16) {
        for (ptrdiff_t k = 0; k < depth; k += TERMS) {
            __m512i rows[16];
            UNROLL for (int i = 0; i < 16; i++) {
                const float *from = a + (k + 2 * i) * stride + column;
                rows[i] =
                    to_pairs(k + 2 * i < depth ? from : NULL, k + 2 * i + 1 < depth ? from + stride : NULL);
            }
            store_transposed(rows, to + column * CHUNK + k, CHUNK);
        }
    }
}

static void multiply_bfloat16(chunk_product product, const float *a, ptrdiff_t a_stride, ptrdiff_t rows,
                              const float *packed, ptrdiff_t depth, ptrdiff_t columns, float *c,
                              ptrdiff_t c_stride, bool add) {
    _Alignas(64) bfloat16 block[BLOCK_ROWS * CHUNK];
    const bfloat16 *from = (const bfloat16 *)(const void *)packed;
    const ptrdiff_t vectors = (columns + 15) / 16;
    for (ptrdiff_t k = 0; k < depth; k += CHUNK) {
        const ptrdiff_t some = least(depth - k, CHUNK);
        for (ptrdiff_t row = 0; row < rows; row += BLOCK_ROWS) {
            const ptrdiff_t count = least(rows - row, BLOCK_ROWS);
            copy_rows(a + row * a_stride + k, a_stride, count, some, block);
            product(block, count, from, round_up(some, TERMS), vectors, c + row * c_stride, c_stride, add || k);
        }
        from += CHUNK * 16 * vectors;
    }
}

static void multiply_transposed_bfloat16(chunk_product product, const float *a, ptrdiff_t a_stride,
                                         ptrdiff_t a_columns, const float *b, ptrdiff_t b_stride,
                                         ptrdiff_t columns, ptrdiff_t depth, float *c, ptrdiff_t c_stride,
                                         float *sums, float *scratch) {
    const ptrdiff_t padded = round_up(columns, 16);
    float *packed = scratch + round_up(a_columns, 16) * CHUNK / 2;
    for (ptrdiff_t start = 0; start < depth; start += CHUNK) {
        const ptrdiff_t some = least(depth - start, CHUNK);
        copy_columns(a + start * a_stride, a_stride, a_columns, some, (bfloat16 *)(void *)scratch);
        pack_bfloat16(b + start * b_stride, b_stride, some, padded, packed);
        for (ptrdiff_t row = start; sums && row < start + some; row++) {
            add_learn_avx512(sums, b + row * b_stride, padded);
        }
        product((bfloat16 *)(void *)scratch, a_columns, (bfloat16 *)(void *)packed, round_up(some, TERMS),
                padded / 16, c, c_stride, true);
    }
}

#define BFLOAT16_PRODUCTS(set)                                                                                 \
    static void multiply_##set(const float *a, ptrdiff_t a_stride, ptrdiff_t rows, const float *packed,        \
                               ptrdiff_t depth, ptrdiff_t columns, float *c, ptrdiff_t c_stride, bool add) {   \
        multiply_bfloat16(product_##set, a, a_stride, rows, packed, depth, columns, c, c_stride, add);         \
    }                                                                                                          \
    static void multiply_transposed_##set(                                                                     \
        const float *a, ptrdiff_t a_stride, ptrdiff_t a_columns, const float *b, ptrdiff_t b_stride,           \
        ptrdiff_t columns, ptrdiff_t depth, float *c, ptrdiff_t c_stride, float *sums, float *scratch) {       \
        multiply_transposed_bfloat16(product_##set, a, a_stride, a_columns, b, b_stride, columns, depth, c,    \
                                     c_stride, sums, scratch);                                                 \
    }

/* Call a function for each panel of some rows, with constants, so that each call can use all registers. */
#define EACH_PANEL(function, row, has_more, more, less)                                                        \
    for (ptrdiff_t first = 0; first < vectors; first += 2) {                                                   \
        const bfloat16 *from = a + (row) * CHUNK, *panel = packed + first * 16 * depth;                        \
        float *to = c + (row) * stride + first * 16;                                                           \
        if (vectors - first == 1) {                                                                            \
            (has_more) ? function(from, panel, depth, to, stride, add, more, 1)                                \
                       : function(from, panel, depth, to, stride, add, less, 1);                               \
        } else {                                                                                               \
            (has_more) ? function(from, panel, depth, to, stride, add, more, 2)                                \
                       : function(from, panel, depth, to, stride, add, less, 2);                               \
        }                                                                                                      \
    }

/* A tile of a product, whose sums stay in the registers. packed: [pair][16 * vectors][2]. */
BFLOAT16 INLINE void dots(const bfloat16 *a, const bfloat16 *packed, ptrdiff_t depth, float *c,
                          ptrdiff_t stride, bool add, const int rows, const int vectors) {
    __m512 sums[16];
    UNROLL for (int i = 0; i < rows * vectors; i++) {
        sums[i] = add ? _mm512_loadu_ps(c + i / vectors * stride + i % vectors * 16) : _mm512_setzero_ps();
    }
    for (ptrdiff_t k = 0; k < depth; k += 2, packed += 32 * vectors) {
        __m512i columns[2];
        UNROLL for (int v = 0; v < vectors; v++) { columns[v] = _mm512_loadu_si512(packed + 32 * v); }
        UNROLL for (int i = 0; i < rows; i++) {
            int32_t pair;
            memcpy(&pair, a + i * CHUNK + k, sizeof pair);
            UNROLL for (int v = 0; v < vectors; v++) {
                sums[i * vectors + v] = _mm512_dpbf16_ps(
                    sums[i * vectors + v], (__m512bh)_mm512_set1_epi32(pair), (__m512bh)columns[v]);
            }
        }
    }
    UNROLL for (int i = 0; i < rows * vectors; i++) {
        _mm512_storeu_ps(c + i / vectors * stride + i % vectors * 16, sums[i]);
    }
}

BFLOAT16 static void product_avx512bf16(const bfloat16 *a, ptrdiff_t rows, const bfloat16 *packed,
                                        ptrdiff_t depth, ptrdiff_t vectors, float *c, ptrdiff_t stride,
                                        bool add) {
    for (ptrdiff_t row = 0, count; row < rows; row += count) {
        count = rows - row < 8 ? 1 : 8;
        EACH_PANEL(dots, row, count > 1, 8, 1)
    }
}
BFLOAT16_PRODUCTS(avx512bf16)

#if TEXTGEN_AMX

#define AMX __attribute__((target("avx512f,amx-tile,amx-bf16")))

/* Set the rows of the tiles: 0 and 1 have the sums of the first 16 rows of a block, 2 and 3 of the others, 4
 * and 5 these rows of a, 6 and 7 columns of the packed matrix. */
AMX static void configure_tiles(ptrdiff_t first, ptrdiff_t others) {
    struct {
        uint8_t palette, start_row, reserved[14];
        uint16_t bytes[16];
        uint8_t rows[16];
    } tiles = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        tiles.rows[i] = (uint8_t)(i > 5 ? 16 : i == 0 || i == 1 || i == 4 ? first : others);
        tiles.bytes[i] = tiles.rows[i] ? 64 : 0;
    }
    _tile_loadconfig(&tiles);
}

/* A block of 32 rows and 32 columns, or only the first 16 of them. */
AMX INLINE void multiply_tiles(const bfloat16 *a, const bfloat16 *packed, ptrdiff_t depth, float *c,
                               ptrdiff_t stride, bool add, const bool has_others, const int vectors) {
#define EACH_SUM(action)                                                                                       \
    action(0, c, 4 * stride);                                                                                  \
    if (vectors == 2) {                                                                                        \
        action(1, c + 16, 4 * stride);                                                                         \
    }                                                                                                          \
    if (has_others) {                                                                                          \
        action(2, c + 16 * stride, 4 * stride);                                                                \
    }                                                                                                          \
    if (has_others && vectors == 2) {                                                                          \
        action(3, c + 16 * stride + 16, 4 * stride);                                                           \
    }
#define ZERO(tile, place, bytes) _tile_zero(tile)
    if (add) {
        EACH_SUM(_tile_loadd)
    } else {
        EACH_SUM(ZERO)
    }
    for (ptrdiff_t k = 0; k < depth; k += TERMS, a += TERMS, packed += TERMS * 16 * vectors) {
        _tile_loadd(6, packed, 64 * vectors);
        _tile_loadd(4, a, 2 * CHUNK);
        _tile_dpbf16ps(0, 4, 6);
        if (vectors == 2) {
            _tile_loadd(7, packed + 32, 64 * vectors);
            _tile_dpbf16ps(1, 4, 7);
        }
        if (has_others) {
            _tile_loadd(5, a + 16 * CHUNK, 2 * CHUNK);
            _tile_dpbf16ps(2, 5, 6);
        }
        if (has_others && vectors == 2) {
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    EACH_SUM(_tile_stored)
#undef EACH_SUM
#undef ZERO
}

AMX static void product_amx(const bfloat16 *a, ptrdiff_t rows, const bfloat16 *packed, ptrdiff_t depth,
                            ptrdiff_t vectors, float *c, ptrdiff_t stride, bool add) {
    /* gcc does not know that the instructions read memory. */
    __asm__ volatile("" ::: "memory");
    for (ptrdiff_t row = 0; row < rows; row += BLOCK_ROWS) {
        const ptrdiff_t count = least(rows - row, BLOCK_ROWS), first_rows = least(count, 16);
        configure_tiles(first_rows, count - first_rows);
        EACH_PANEL(multiply_tiles, row, count > 16, true, false)
    }
    _tile_release();
}
BFLOAT16_PRODUCTS(amx)

#endif
