/* The arithmetic of the layers, for several lanes at once, in several instruction sets. */
#ifndef TEXTGEN_KERNELS_H
#define TEXTGEN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Units are padded to a multiple of GROUP with zero weights, which keeps the padding's state at zero. */
#define TEXTGEN_GROUP 16

/* Weights come in blocks of BLOCK outputs: the four gates of a group of units, or 64 logits. */
#define TEXTGEN_BLOCK 64

/* One layer's weights, laid out so that a step reads them once from front to back, aligned to 64 bytes.
 * `inputs` and `outputs` are padded. */
typedef struct {
    ptrdiff_t inputs; /* of an lstm: of the layer below, or 0 where `token_gates` stand for them */
    ptrdiff_t outputs;
    /* lstm: [outputs / GROUP][inputs + outputs][BLOCK], gates in ONNX's order: input, output, forget, cell.
     * linear: [outputs / BLOCK][inputs][BLOCK]. */
    const float *weights;
    /* lstm: [outputs / GROUP][BLOCK]; linear: [outputs]. */
    const float *bias;
} textgen_packed_layer;

/* The arithmetic in one instruction set. What a lane computes does not depend on how many others are computed
 * with it: every sum is added up in the same order. */
typedef struct {
    const char *name;
    /* One step of an lstm. starts: for each lane [outputs / GROUP][BLOCK], what its gates start from, such as
     * the bias; below: [lanes][inputs], or NULL if inputs is 0; hidden, cell: [lanes][outputs], changed in
     * place; scratch: [lanes][outputs]. */
    void (*lstm)(const textgen_packed_layer *layer, const float *const *starts, const float *below,
                 float *hidden, float *cell, float *scratch, ptrdiff_t lanes);
    /* input [lanes][inputs] to output [lanes][outputs]. */
    void (*linear)(const textgen_packed_layer *layer, const float *input, float *output, ptrdiff_t lanes);
    /* float32 rows [count][inputs] times float64 weights [outputs / BLOCK][inputs][BLOCK], plus a float64 bias
     * [outputs], to float32 [count][outputs]. Sums are float64, over the inputs in order. */
    void (*project)(const double *weights, const double *bias, const float *rows, ptrdiff_t inputs,
                    ptrdiff_t outputs, ptrdiff_t count, float *products);
    /* The sum of an array: the least that any step over so many weights must do. count: a multiple of 128, not
     * 0. */
    float (*sum)(const float *values, ptrdiff_t count);
    /* Activations, in place; count: a multiple of GROUP. */
    void (*sigmoid)(float *values, ptrdiff_t count);
    void (*tanh)(float *values, ptrdiff_t count);
} textgen_kernels;

enum { TEXTGEN_MAX_KERNELS = 4 };

/* The kernels that this processor can run, best first; returns how many. */
int textgen_available_kernels(const textgen_kernels *kernels[TEXTGEN_MAX_KERNELS]);

/* Those of this name, or the best if it is NULL; NULL if this processor has none of that name. */
const textgen_kernels *textgen_find_kernels(const char *name);

#endif
