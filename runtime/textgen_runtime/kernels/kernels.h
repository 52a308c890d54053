/* The arithmetic of one character LSTM step, for several streams at once, in several instruction sets. */

#ifndef TEXTGEN_KERNELS_H
#define TEXTGEN_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Units are padded to a multiple of GROUP with zero weights, which keeps the padding's state at zero. */
#define GROUP 16

/* Weights come in blocks of BLOCK outputs: the four gates of a group of units, or 64 logits. */
#define BLOCK 64

/* A model's weights, laid out so that a step reads each array once from front to back. All arrays are
 * aligned to 64 bytes. `units` is padded to a multiple of GROUP and `vocabulary` to one of BLOCK. */
typedef struct {
    ptrdiff_t layers;
    ptrdiff_t units;
    ptrdiff_t vocabulary;
    /* [vocabulary][units / GROUP][BLOCK]: by token, what the first layer's input and biases contribute. */
    const float *rows;
    /* For each layer [units / GROUP][inputs][BLOCK]; a layer's inputs are its own hidden state, after the
     * hidden state of the layer below where there is one. Gates in the order input, forget, cell, output. */
    const float *const *weights;
    /* For each layer [units / GROUP][BLOCK]; the first one's are in `rows`. */
    const float *const *biases;
    /* [vocabulary / BLOCK][units][BLOCK], and [vocabulary]. */
    const float *output;
    const float *output_bias;
} Network;

/* The same arithmetic in one instruction set. What a stream computes does not depend on how many others
 * are computed with it: every sum is added up in the same order. */
typedef struct {
    const char *name;
    /* Read one token of each stream. hidden and cell: [layers][streams][units], changed in place;
     * scratch: [streams][units]. */
    void (*step)(const Network *network, const int64_t *tokens, float *hidden, float *cell, float *scratch,
                 ptrdiff_t streams);
    /* Logits [streams][vocabulary] from the top layer's hidden [streams][units]. */
    void (*score)(const Network *network, const float *hidden, float *logits, ptrdiff_t streams);
    /* The sum of an array: the least that any step over so many weights must do. count: a multiple of 128,
     * and not 0. */
    float (*stream)(const float *values, ptrdiff_t count);
    /* Activations, in place; count: a multiple of GROUP. */
    void (*sigmoid)(float *values, ptrdiff_t count);
    void (*tanh)(float *values, ptrdiff_t count);
} Kernels;

/* The kernels that this processor can run, best first; returns how many. */
int available_kernels(const Kernels **kernels, int room);

#endif
