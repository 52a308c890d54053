/* The arithmetic of layers with 8-bit weights, for several lanes at once, in several instruction sets.
 *
 * Inputs are rounded to 8 bits too: see quantize. A sum of products is an integer, so it is exact in any order.
 * All other operations are separate float32 operations in a fixed order, none of them fused. Results are
 * therefore equal to the bit in all instruction sets, on all processors.
 *
 * To add an instruction set: define the macros listed in int8_body.h in int8.c and include int8_body.h once
 * more; name the result in kernels.c. */
#ifndef TEXTGEN_INT8_H
#define TEXTGEN_INT8_H

#include "kernels.h"

/* Inputs are rounded to multiples of their bound / INT8_LEVELS. Weights and rounded inputs are in [-127, 127].
 */
#define TEXTGEN_INT8_LEVELS 127

/* The bound of the absolute sum of two neighboring weights of one sum: those of the inputs 2 i and 2 i + 1.
 * With it, AVX2's products of 8-bit integers fit in 16 bits: 254 * 129 < 2^15. */
#define TEXTGEN_INT8_PAIR_BOUND 129

/* With more inputs, a sum could overflow 32 bits: 2^16 * 254 * 127 < 2^31. */
#define TEXTGEN_INT8_MAX_INPUTS 65536

/* The multiple of bytes that `sum` reads. */
#define TEXTGEN_READ_BYTES 256

/* The kernels of one instruction set. The scale of an input is the value of its level 1. */
struct textgen_int8_kernels {
    int zero; /* the byte of an input of 0: the bytes are signed or unsigned, as the instructions need them */
    /* Round values to levels: limit them to [-bound, bound], NaN to bound, multiply them by INT8_LEVELS / bound
     * and round to nearest, ties to even. count: a multiple of GROUP. */
    void (*quantize)(const float *values, ptrdiff_t count, float bound, uint8_t *bytes);
    /* As in textgen_kernels. input: not NULL, with a scale for each lane. scratch: [lanes][outputs]. */
    void (*lstm)(const textgen_packed_layer *layer, const float *const *gate_inputs, const uint8_t *input,
                 const float *input_scales, float *hidden, float *cell, uint8_t *scratch, ptrdiff_t lanes);
    /* input: [lanes][inputs]. output: [lanes][outputs]. */
    void (*linear)(const textgen_packed_layer *layer, const uint8_t *input, float input_scale, float *output,
                   ptrdiff_t lanes);
    /* Return the sum of an array modulo 2^32, as 32-bit integers. Benchmarks use it to time reading weights,
     * also those of float32. bytes: a multiple of READ_BYTES. */
    uint32_t (*sum)(const void *values, ptrdiff_t bytes);
};

/* Those that this file is compiled for. Only the processor decides which of them run: see kernels.c. */
extern const textgen_int8_kernels textgen_int8_avx512vnni, textgen_int8_avx512, textgen_int8_avx2,
    textgen_int8_baseline;

#endif
