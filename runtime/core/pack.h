/* From a description of layers to a network: weights in the order in which the kernels read them. */
#ifndef TEXTGEN_PACK_H
#define TEXTGEN_PACK_H

#include "exp.h"
#include "kernels/kernels.h"
#include "vocabulary.h"

/* A network that is ready to run. Immutable, and independent of the file that it was read from. The state of a
 * lane is the hidden state of each layer, then the cell state of each layer: [2][layers][units]. */
typedef struct {
    size_t vocabulary, units; /* without padding */
    size_t padded_units, padded_vocabulary;
    size_t layer_count;           /* between the embedding and the output */
    size_t state_values;          /* of one lane, without padding */
    int bits;                     /* of the weights, 32 for float32, or 8 */
    textgen_packed_layer *layers; /* [layer_count + 2]: the last two are those of textgen_output_layer */
    /* The input of the first layer is one of two tables. token_gates: for each token, the products of its
     * embedding with the input weights, plus the bias, [vocabulary][padded_units / GROUP][BLOCK]. If that table
     * would be too large, it is NULL, and `embedding` is [vocabulary][embedding_size]: float32, or rounded
     * inputs with a scale for each token. */
    float *token_gates;
    void *embedding;
    float *embedding_scales;
    size_t embedding_size; /* 0 if there is a token_gates table; padded for 8-bit weights */
    const void *weights;   /* of all layers, with their biases, one after the other */
    size_t weight_bytes;   /* a multiple of TEXTGEN_READ_BYTES */
    textgen_special special;
    const textgen_kernels *kernels;
    textgen_exp64 exp64; /* for the samplers */
} textgen_network;

/* Return the output layer. masked: the one that gives tokens that are never drawn a logit of -infinity. */
static inline const textgen_packed_layer *textgen_output_layer(const textgen_network *network, bool masked) {
    return &network->layers[network->layer_count + masked];
}

/* Read and pack all weights. */
int32_t textgen_network_create(const textgen_description *description, const textgen_kernels *kernels,
                               textgen_special special, textgen_network **network, textgen_error *error);

/* Return how many bytes one time step of one lane reads. */
size_t textgen_network_step_bytes(const textgen_network *network);

/* Read all weights once. Return a sum of their bits. */
uint32_t textgen_network_read(const textgen_network *network);

#endif
