/* From a description of layers to a network: weights in the order in which the kernels read them. */
#ifndef TEXTGEN_PACK_H
#define TEXTGEN_PACK_H

#include "exp64.h"
#include "kernels/kernels.h"
#include "model.h"
#include "special.h"

enum { TEXTGEN_GATES = 4 };

/* A network that is ready to run. Immutable, and independent of the file that it was read from. */
typedef struct {
    size_t vocabulary, units; /* without padding */
    size_t lstm_count;
    ptrdiff_t padded_units, padded_vocabulary;
    textgen_packed_layer *lstm_layers; /* [lstm_count] */
    size_t state_arrays;               /* each is [lstm_count][batch][units] */
    textgen_packed_layer output_layer;
    textgen_packed_layer masked_output_layer; /* the same, but without the tokens that are never drawn */
    textgen_special special;
    /* The input of the first lstm is one of two tables. token_gates: for each token, the products of its
     * embedding with the input weights, plus the bias, [vocabulary][padded_units / GROUP][BLOCK]. If that table
     * would be too large it is NULL, and `embedding` is [vocabulary][embedding_size]. */
    const float *token_gates, *embedding;
    size_t embedding_size; /* 0 if there is a token_gates table */
    const textgen_kernels *kernels;
    textgen_exp64 exp64; /* for the samplers */
    float *memory;       /* all of the tables above */
} textgen_network;

/* Read and pack all weights. On success the caller calls textgen_network_destroy. */
int32_t textgen_network_create(const textgen_description *description, const textgen_kernels *kernels,
                               textgen_special special, textgen_network **network, const textgen_error *error);
void textgen_network_destroy(textgen_network *network);

/* Return how many bytes of weights one time step of one lane reads. */
size_t textgen_network_step_bytes(const textgen_network *network);

#endif
