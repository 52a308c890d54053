/* The arithmetic of training, for matrices of float32 numbers, in several instruction sets.
 *
 * Every sum is computed in the order of its terms, or as sixteen sums that are added in order. The results
 * therefore depend neither on the shape of the tiles nor on the width of the vectors: all instruction sets with
 * fused multiply-adds give the same bits, and so do all sets without them.
 *
 * Products of bfloat16 numbers have sums of float32 too. AMX adds 32 terms apart, the even and the odd ones in
 * sums of their own, and these two sums, before it adds them to the others. AVX-512 BF16 adds the second term
 * of each pair, then the first. The two sets therefore do not give the same bits. Neither depends on the shape
 * of the tiles.
 *
 * Matrices are in rows. A stride is the distance from row to row, in numbers. Columns are padded with zeros to
 * a multiple of LEARN_PAD, and so are strides. */
#ifndef TEXTGEN_LEARN_H
#define TEXTGEN_LEARN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A product that is added is rounded first, unless a kernel fuses both. gcc needs -std=c11 or -ffp-contract=off
 * for it. */
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

/* A multiple of the width of all vectors. */
enum { TEXTGEN_LEARN_PAD = 16 };

/* The gates of a layer are padded to this multiple of units each, so that 88 units need no padding. */
enum { TEXTGEN_GATE_PAD = 8 };

/* The decay of the two moments of AdamW. */
#define TEXTGEN_FIRST_BETA 0.9
#define TEXTGEN_SECOND_BETA 0.99

/* The rates of an update by AdamW. */
typedef struct {
    float rate, decay;             /* the learning rate; what weights are multiplied by */
    float clip;                    /* what gradients are multiplied by */
    float first_bias, second_bias; /* 1 / (1 - beta ^ step) of the two moments */
} textgen_adamw;

/* Which elements are set to zero. An element is dropped if 16 bits of a hash of `key` and its number are below
 * `threshold`, and multiplied by `scale` otherwise. */
typedef struct {
    uint32_t key, threshold;
    float scale;
} textgen_drop;

typedef struct {
    const char *name;
    /* Pack a matrix [depth][columns] for `multiply`, or the transpose of [columns][depth]. packed: of
     * textgen_packed_size(depth, columns) numbers. */
    void (*pack)(const float *matrix, ptrdiff_t stride, ptrdiff_t depth, ptrdiff_t columns, float *packed);
    void (*pack_transposed)(const float *matrix, ptrdiff_t stride, ptrdiff_t depth, ptrdiff_t columns,
                            float *packed);
    /* c[rows][columns] = a[rows][depth] * packed, or c += that. */
    void (*multiply)(const float *a, ptrdiff_t a_stride, ptrdiff_t rows, const float *packed, ptrdiff_t depth,
                     ptrdiff_t columns, float *c, ptrdiff_t c_stride, bool add);
    /* c[columns of a][columns] += a^T * b, for a[depth][a_columns] and b[depth][columns]; sums[columns] += the
     * sums of the rows of b, if it is not NULL. scratch: of textgen_scratch_size. */
    void (*multiply_transposed)(const float *a, ptrdiff_t a_stride, ptrdiff_t a_columns, const float *b,
                                ptrdiff_t b_stride, ptrdiff_t columns, ptrdiff_t depth, float *c,
                                ptrdiff_t c_stride, float *sums, float *scratch);
    /* One time step of an lstm. gates: sums [rows][4][padded units], in ONNX's order, input, output, forget,
     * cell; bias is added, and activations replace them. cell_before, cell, tanh_cell, hidden: [rows][stride].
     */
    void (*cells_forward)(float *gates, const float *bias, ptrdiff_t gate_units, ptrdiff_t rows,
                          const float *cell_before, float *cell, float *tanh_cell, float *hidden,
                          ptrdiff_t stride);
    /* The gradients of a time step. Those of the sums replace the activations of the gates. d_hidden: the
     * gradient of the hidden state. d_cell: that of the cell state, which becomes that of the step before. */
    void (*cells_backward)(float *gates, ptrdiff_t gate_units, ptrdiff_t rows, const float *cell_before,
                           const float *tanh_cell, const float *d_hidden, float *d_cell, ptrdiff_t stride);
    /* Replace logits [count] by themselves plus the bias, minus the largest; write their exponentials, at least
     * e^-40, and zeros for the padding. Return the sum of the exponentials. */
    float (*exponentials)(float *logits, const float *bias, ptrdiff_t count, float *result);
    /* result = values * factor */
    void (*scale)(const float *values, ptrdiff_t count, float factor, float *result);
    /* result = a * a_factor + b * b_factor */
    void (*combine)(const float *a, float a_factor, const float *b, float b_factor, ptrdiff_t count,
                    float *result);
    /* to += from */
    void (*add)(float *to, const float *from, ptrdiff_t count);
    double (*squares)(const float *values, ptrdiff_t count); /* the sum of the squares */
    /* Write values after a drop. first: the number of the first element. */
    void (*drop)(const float *values, ptrdiff_t count, const textgen_drop *drop, uint32_t first, float *result);
    /* Update weights and the two moments of their gradients. */
    void (*adamw)(float *weights, const float *gradient, float *first, float *second, ptrdiff_t count,
                  const textgen_adamw *rates);
} textgen_learn_kernels;

/* Numbers of a packed matrix. */
static inline ptrdiff_t textgen_packed_size(ptrdiff_t depth, ptrdiff_t columns) {
    /* A depth of bfloat16 numbers, of half the size, is padded to a multiple of 32. */
    return (depth < 16 ? 16 : depth) *
           ((columns + TEXTGEN_LEARN_PAD - 1) / TEXTGEN_LEARN_PAD * TEXTGEN_LEARN_PAD);
}

/* multiply_transposed packs so many rows of a panel of 48 columns at once; or of bfloat16 numbers, twice as
 * many of both matrices. */
enum { TEXTGEN_LEARN_DEPTH = 128 };

/* Numbers of the scratch of multiply_transposed. */
static inline ptrdiff_t textgen_scratch_size(ptrdiff_t a_columns, ptrdiff_t columns) {
    return TEXTGEN_LEARN_DEPTH * (a_columns + columns + 2 * TEXTGEN_LEARN_PAD);
}

/* Return the kernels with this name, or the best ones of this processor if `name` is NULL; NULL if this
 * processor does not support them. is_bfloat16: products are those of bfloat16 numbers, and all others of
 * float32. */
const textgen_learn_kernels *textgen_find_learn_kernels(const char *name, bool is_bfloat16);

#endif
