/* From a description of layers to weights as the kernels read them. */
#ifndef TEXTGEN_PACK_H
#define TEXTGEN_PACK_H

#include "exp64.h"
#include "kernels/kernels.h"
#include "model.h"

enum { TEXTGEN_GATES = 4 };

/* A network that can be run. Immutable, and independent of the file that it was read from. */
typedef struct {
    size_t vocabulary, units, lstms; /* without padding */
    ptrdiff_t padded_units, padded_vocabulary;
    textgen_packed_layer *layers; /* the lstms */
    size_t state_arrays;          /* each [lstms][batch][units] */
    textgen_packed_layer output;
    textgen_packed_layer drawing; /* the same, with minus infinity for the token that is never drawn */
    int64_t never_drawn;          /* a token, or -1 */
    /* What the first lstm's gates start from. Either the products with its input weights, by token:
     * [vocabulary][padded_units / GROUP][BLOCK]; or NULL where that table would be too large: then the
     * embedding is [vocabulary][first layer's inputs]. */
    const float *token_gates, *embedding;
    size_t embedding_size; /* 0 where there is the table */
    const textgen_kernels *kernels;
    textgen_exp64 exp64; /* what draws from its logits use */
    float *memory;       /* all of the above */
} textgen_network;

/* Read and lay out all weights. never_drawn: a token, or -1. On success the caller frees it with
 * textgen_network_destroy. */
int32_t textgen_network_create(const textgen_description *description, const textgen_kernels *kernels,
                               int64_t never_drawn, textgen_network **network, const textgen_error *error);
void textgen_network_destroy(textgen_network *network);

/* The bytes that one step of one lane reads. */
size_t textgen_network_step_bytes(const textgen_network *network);

#endif
