/* The arithmetic of the layers, for several lanes at once, in several instruction sets.
 *
 * To add an instruction set: define the macros listed in kernel_body.h in kernels.c and include kernel_body.h
 * once more; do the same for 8-bit weights, see int8_kernels.h; detect the set in processor.c; list it in
 * textgen_available_kernels, best first, and raise TEXTGEN_MAX_KERNELS, which x86-64 fills; choose its exp in
 * exp64.c, by the name of the set; add the name to textgen.h, and the set to docs/how-it-works.md.
 *
 * There are two types of weights: float32, here, and 8 bits, in int8_kernels.h. A network has one of them.
 *
 * To add another weight type, follow int8 through the core: its kernels in files of their own, and in
 * `KERNELS` in kernels.c; the packing in pack.c and pack_int8.c, its memory in pack_plan.c and slots.c; the
 * layers in forward.c; its nodes and tensors in onnx.c; `bits` in onnx.h and textgen.h. In Python, its
 * description in `Quantization` of `model_file/metadata.py`; the writer of the file, as in
 * export/quantized_graph.py, and its comparison by loss instead of by logits, as in export/quantizer.py. Such
 * files need a new format number (vocabulary.c).
 */
#ifndef TEXTGEN_KERNELS_H
#define TEXTGEN_KERNELS_H

#include "int8_kernels.h"

/* Units are padded to a multiple of GROUP, or of CONV_GROUP for convolutions, with zero weights. The state of
 * the padding therefore stays zero. */
#define TEXTGEN_GROUP 16
#define TEXTGEN_CONV_GROUP 32

/* Weights are stored in blocks of BLOCK sums: the four gates of a group of units, the filters and gates of a
 * larger group, or 64 logits. */
#define TEXTGEN_BLOCK 64

/* A gru has four sums too, but an input is part of three of them only: see textgen_packed_layer. */
#define TEXTGEN_GRU_BLOCK (3 * TEXTGEN_GROUP)

/* The weights of one layer, aligned to 64 bytes. A time step reads them once, from front to back. Sizes are
 * padded. */
typedef struct {
    ptrdiff_t inputs; /* 0 for a layer whose gate_inputs are rows of the token_gates table */
    ptrdiff_t outputs;
    ptrdiff_t size; /* number of weights, without the bias */
    /* lstm: [outputs / GROUP][inputs + outputs][BLOCK]. Gates are in ONNX's order: input, output, forget, cell.
     * gru: [outputs / GROUP][inputs + outputs][GRU_BLOCK]. The four sums of a group are: the inputs' part of
     * the candidate, update, reset, the hidden state's part of the candidate. The weights of an input are for
     * the first three, those of a hidden unit for the last three. conv: [outputs / CONV_GROUP][2 *
     * inputs][BLOCK]: filters, then gates. The first half of the rows is for the older inputs. linear: [outputs
     * / BLOCK][inputs][BLOCK]. */
    const float *weights;
    /* lstm, gru: [outputs / GROUP][BLOCK]; conv: [outputs / CONV_GROUP][BLOCK]; linear: [outputs]. */
    const float *bias;
} textgen_packed_layer;

/* How many of some lanes run at once: all, or with TEXTGEN_SMALL only one, and the code for more is left out.
 */
#ifdef TEXTGEN_SMALL
#define TEXTGEN_LANES(count) ((void)(count), 1)
#else
#define TEXTGEN_LANES(count) (count)
#endif

/* The kernels of one instruction set. The result for a lane does not depend on the number of lanes, because
 * every sum is computed in the same order. */
typedef struct {
    const char *name;
    /* One time step of an lstm. gate_inputs: for each lane a pointer to [outputs / GROUP][BLOCK], to which the
     * products with the weights are added: the bias, or a row of the token_gates table. input: [lanes][inputs],
     * or NULL if `inputs` is 0. hidden, cell: [lanes][outputs], updated in place. scratch: [lanes][outputs]. */
    void (*lstm)(const textgen_packed_layer *layer, const float *const *gate_inputs, const float *input,
                 float *hidden, float *cell, float *scratch, ptrdiff_t lanes);
    /* The same for a gru. */
    void (*gru)(const textgen_packed_layer *layer, const float *const *gate_inputs, const float *input,
                float *hidden, float *scratch, ptrdiff_t lanes);
    /* One time step of a convolution. older: its inputs `dilation` steps before, [lanes][inputs]. input:
     * [lanes][inputs]. output: [lanes][outputs], other memory than the input. */
    void (*conv)(const textgen_packed_layer *layer, const float *older, const float *input, float *output,
                 ptrdiff_t lanes);
    /* input: [lanes][inputs]. output: [lanes][outputs]. */
    void (*linear)(const textgen_packed_layer *layer, const float *input, float *output, ptrdiff_t lanes);
    /* Multiply float32 rows [count][inputs] by float64 weights [outputs / BLOCK][inputs][BLOCK] and add a
     * float64 bias [outputs]. products: float32 [count][outputs]. Sums are float64, in order of inputs. */
    void (*project)(const double *weights, const double *bias, const float *rows, ptrdiff_t inputs,
                    ptrdiff_t outputs, ptrdiff_t count, float *products);
    /* Activations, in place. count: a multiple of GROUP. */
    void (*sigmoid)(float *values, ptrdiff_t count);
    void (*tanh)(float *values, ptrdiff_t count);
    const textgen_int8_kernels *int8; /* the kernels for 8-bit weights */
} textgen_kernels;

enum { TEXTGEN_MAX_KERNELS = 4 };

/* List the kernels that this processor supports, best first. Return how many. */
int textgen_available_kernels(const textgen_kernels *kernels[TEXTGEN_MAX_KERNELS]);

/* Return the kernels with this name, or the best ones if `name` is NULL. Return NULL if this processor does not
 * support them. */
const textgen_kernels *textgen_find_kernels(const char *name);

#endif
