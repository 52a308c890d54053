/* The arithmetic of layers with 8-bit weights, for several lanes at once, in several instruction sets.
 *
 * Inputs are rounded to 8 bits too: see quantize. A sum of products is an integer, so it is exact in any order.
 * All other operations are separate float32 operations in a fixed order, none of them fused. Results are
 * therefore equal to the bit in all instruction sets, on all processors.
 *
 * To add an instruction set: define the macros listed in int8_body.h in int8_kernels.c and include int8_body.h
 * once more; name the result in kernels.c. */
#ifndef TEXTGEN_INT8_KERNELS_H
#define TEXTGEN_INT8_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Inputs are rounded to multiples of their bound / INT8_LEVELS. Weights and rounded inputs are in [-127, 127].
 */
#define TEXTGEN_INT8_LEVELS 127

/* The bound of the absolute sum of two neighboring weights of one sum: those of the inputs 2 i and 2 i + 1.
 * With it, AVX2's products of 8-bit integers fit in 16 bits: 254 * 129 < 2^15. */
#define TEXTGEN_INT8_PAIR_BOUND 129

/* With more inputs, a sum could overflow 32 bits: 2^16 * 254 * 127 < 2^31. */
#define TEXTGEN_INT8_MAX_INPUTS 65536

/* One part of the sums of a layer: their weights for the inputs, or for the hidden state. `size` is BLOCK, or
 * GRU_BLOCK for a gru. */
typedef struct {
    /* The factors of the sums, [outputs / GROUP][size], or [outputs] of a linear layer. */
    const float *scales;
    /* The integers that the sums start with, of the same shape: -zero * the sum of the weights. */
    const int32_t *offsets;
} textgen_int8_factors;

/* The weights of one layer, aligned to 64 bytes, in the blocks of textgen_packed_layer, but with four inputs
 * together: lstm, gru: [outputs / GROUP][(inputs + outputs) / 4][size][4]; linear: [outputs /
 * BLOCK][inputs / 4][BLOCK][4]. Inputs are padded to a multiple of GROUP with zero weights. */
typedef struct {
    ptrdiff_t inputs; /* 0 for a layer whose gate_inputs are rows of the token_gates table */
    ptrdiff_t outputs;
    ptrdiff_t size; /* number of weights */
    const int8_t *weights;
    const float *bias; /* as in textgen_packed_layer */
    textgen_int8_factors input;
    textgen_int8_factors hidden; /* its scales are divided by INT8_LEVELS; empty for a linear layer */
} textgen_int8_layer;

/* The kernels of one instruction set. The scale of an input is the value of its level 1. */
typedef struct {
    int zero; /* the byte of an input of 0: the bytes are signed or unsigned, as the instructions need them */
    /* Round values to levels: limit them to [-bound, bound], NaN to bound, multiply them by INT8_LEVELS / bound
     * and round to nearest, ties to even. count: a multiple of GROUP. */
    void (*quantize)(const float *values, ptrdiff_t count, float bound, uint8_t *bytes);
    /* One time step of an lstm. gate_inputs: for each lane a pointer to [outputs / GROUP][BLOCK], the bias or a
     * row of the token_gates table. input: [lanes][inputs], not NULL. input_scales: [lanes].
     * hidden, cell: [lanes][outputs], updated in place. scratch: [lanes][outputs]. */
    void (*lstm)(const textgen_int8_layer *layer, const float *const *gate_inputs, const uint8_t *input,
                 const float *input_scales, float *hidden, float *cell, uint8_t *scratch, ptrdiff_t lanes);
    /* The same for a gru. */
    void (*gru)(const textgen_int8_layer *layer, const float *const *gate_inputs, const uint8_t *input,
                const float *input_scales, float *hidden, uint8_t *scratch, ptrdiff_t lanes);
    /* input: [lanes][inputs]. output: [lanes][outputs]. */
    void (*linear)(const textgen_int8_layer *layer, const uint8_t *input, float input_scale, float *output,
                   ptrdiff_t lanes);
    /* Return the sum of an array modulo 2^32, as 32-bit integers. Benchmarks use it to time reading weights,
     * also those of float32. bytes: a multiple of 256. */
    uint32_t (*sum)(const void *values, ptrdiff_t bytes);
    /* Activations, in place; see int8_gates.h for their errors. count: a multiple of GROUP. */
    void (*sigmoid)(float *values, ptrdiff_t count);
    void (*tanh)(float *values, ptrdiff_t count);
} textgen_int8_kernels;

/* Those that this file is compiled for. Only the processor decides which of them run: see kernels.c. */
extern const textgen_int8_kernels textgen_int8_avx512vnni, textgen_int8_avx512, textgen_int8_avx2,
    textgen_int8_baseline;

#endif
