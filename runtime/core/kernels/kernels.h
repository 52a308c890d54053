/* The arithmetic of the layers, for several lanes at once, in several instruction sets.
 *
 * Inputs of 8-bit weights are rounded to 8 bits too: see quantize.
 *
 * To add an instruction set: write its instructions in vector_body.h; include layer_body.h once more in
 * kernels.c; detect the set there, and list it in textgen_available_kernels, best first; raise
 * TEXTGEN_MAX_KERNELS, which x86-64 fills; choose its exp in exp.c, by the name of the set; add the name to
 * textgen.h, and the set to docs/how-it-works.md. */
#ifndef TEXTGEN_KERNELS_H
#define TEXTGEN_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Units are padded to a multiple of GROUP with zero weights. The state of the padding therefore stays zero. */
#define TEXTGEN_GROUP 16

/* Weights are stored in blocks of BLOCK sums: the four gates of a group of units, or 64 logits. */
#define TEXTGEN_BLOCK 64

/* Inputs of 8-bit weights are rounded to multiples of their bound / LEVELS. Weights and rounded inputs are in
 * [-127, 127]. */
#define TEXTGEN_INT8_LEVELS 127

/* The bound of the absolute sum of two neighboring weights of one sum: those of the inputs 2 i and 2 i + 1.
 * With it, AVX2's products of 8-bit integers fit in 16 bits: 254 * 129 < 2^15. */
#define TEXTGEN_INT8_PAIR_BOUND 129

/* With more inputs, a sum could overflow 32 bits: 2^16 * 254 * 127 < 2^31. */
#define TEXTGEN_INT8_MAX_INPUTS 65536

/* The multiple of bytes that `sum` reads. */
#define TEXTGEN_READ_BYTES 256

/* Of 8-bit weights: the factors of the sums of a layer, and the integers that the sums start with, -zero * the
 * sum of the weights. Both are in the order of the bias. */
typedef struct {
    float *scales;
    int32_t *offsets;
} textgen_int8_factors;

/* The weights of one layer, aligned to 64 bytes. A time step reads them once, from front to back. Sizes are
 * padded. An lstm has a row for each input, then one for each hidden unit; a linear layer one for each input.
 * Its sums are the four gates of each group of units in ONNX's order, input, output, forget, cell; or the
 * logits. */
typedef struct {
    ptrdiff_t inputs; /* 0 for a layer whose gate_inputs are rows of the token_gates table */
    ptrdiff_t outputs;
    int bits;      /* of each weight, 32 for float32, or 8 */
    void *weights; /* float [sums / BLOCK][rows][BLOCK], or int8_t [sums / BLOCK][rows / 4][BLOCK][4] */
    float *bias;   /* [sums] */
    textgen_int8_factors input;  /* of the inputs */
    textgen_int8_factors hidden; /* of the hidden state of an lstm; its scales are divided by INT8_LEVELS */
    float bound;                 /* the limit of the absolute inputs of 8-bit weights */
    bool residual;               /* whether the layer's input is added to its output */
} textgen_packed_layer;

/* How many of some lanes run at once: all, or with TEXTGEN_SMALL only one, and the code for more is left out.
 */
#ifdef TEXTGEN_SMALL
#define TEXTGEN_LANES(count) ((void)(count), 1)
#else
#define TEXTGEN_LANES(count) (count)
#endif

/* The kernels of one instruction set. The result for a lane does not depend on the number of lanes, because
 * every sum is computed in the same order. Inputs are float32 numbers; or with 8-bit weights, bytes that
 * `quantize` wrote, with a scale for each lane, the value of the level 1. */
typedef struct {
    const char *name;
    int zero; /* the byte of an input of 0: the bytes are signed or unsigned, as the instructions need them */
    /* Round values to levels: limit them to [-bound, bound], NaN to bound, multiply them by LEVELS / bound and
     * round to nearest, ties to even. count: a multiple of GROUP. */
    void (*quantize)(const float *values, ptrdiff_t count, float bound, uint8_t *bytes);
    /* One time step of an lstm. gate_inputs: for each lane a pointer to [outputs / GROUP][BLOCK], to which the
     * products with the weights are added: the bias, or a row of the token_gates table. input: [lanes][inputs],
     * not used if `inputs` is 0, but not NULL. hidden, cell: [lanes][outputs], updated in place. scratch:
     * [lanes][outputs] inputs. */
    void (*lstm)(const textgen_packed_layer *layer, const float *const *gate_inputs, const void *input,
                 const float *input_scales, float *hidden, float *cell, void *scratch, ptrdiff_t lanes);
    /* input: [lanes][inputs]. output: [lanes][outputs]. */
    void (*linear)(const textgen_packed_layer *layer, const void *input, const float *input_scales,
                   float *output, ptrdiff_t lanes);
    /* Multiply rows [count][inputs] by weights [inputs][BLOCK], which are float32 numbers too, and add a bias
     * [BLOCK]. products: [count][BLOCK], with `stride` from row to row. Sums are float64, in order of inputs.
     */
    void (*project)(const double *weights, const double *bias, const float *rows, ptrdiff_t inputs,
                    ptrdiff_t count, float *products, ptrdiff_t stride);
    /* Return the sum of an array modulo 2^32, as 32-bit integers. Benchmarks use it to time reading weights.
     * bytes: a multiple of READ_BYTES. */
    uint32_t (*sum)(const void *values, ptrdiff_t bytes);
} textgen_kernels;

enum { TEXTGEN_MAX_KERNELS = 4 };

/* List the kernels that this processor supports, best first. Return how many. */
int textgen_available_kernels(const textgen_kernels *kernels[TEXTGEN_MAX_KERNELS]);

/* Return the kernels with this name, or the best ones if `name` is NULL. Return NULL if this processor does not
 * support them. */
const textgen_kernels *textgen_find_kernels(const char *name);

#endif
