/* From a description of layers to a network: weights in the order in which the kernels read them. */
#ifndef TEXTGEN_PACK_H
#define TEXTGEN_PACK_H

#include "exp64.h"
#include "kernels/kernels.h"
#include "model.h"
#include "special.h"

/* One array of the state, with the padding of its units. */
typedef struct {
    size_t rows, units; /* as in textgen_state_array */
    size_t width;       /* units with padding */
    size_t start;       /* values of one lane in the arrays before this one, with padding */
    bool rotates;       /* each step replaces the oldest row; otherwise each row belongs to one layer */
} textgen_packed_state;

/* The layers of a network with 8-bit weights. */
typedef struct {
    textgen_int8_layer *layers;                           /* [layer_count] */
    textgen_int8_layer output_layer, masked_output_layer; /* as in textgen_network */
    /* [layer_count + 1], limits of the absolute inputs of the layers and of the output layer. That of the first
     * layer is not used. */
    float *input_bounds;
    /* If there is no token_gates table: the rounded inputs of the first layer, [vocabulary][embedding_size],
     * and their scales, [vocabulary]. */
    const uint8_t *embedding;
    const float *embedding_scales;
} textgen_int8_network;

/* A network that is ready to run. Immutable, and independent of the file that it was read from. */
typedef struct {
    size_t vocabulary, units; /* without padding */
    ptrdiff_t padded_units, padded_vocabulary;
    textgen_layer_kind kind; /* of all layers between the embedding and the output */
    size_t layer_count;
    int bits;                     /* of the weights, 32 for float32, or 8 */
    textgen_int8_network int8;    /* the layers, if the weights have 8 bits */
    textgen_packed_layer *layers; /* [layer_count], if they are float32 */
    bool *residual;               /* [layer_count], whether the layer's input is added to its output */
    textgen_packed_state *state;  /* [state_count] */
    size_t state_count;
    size_t state_values, padded_state_values; /* of one lane, without and with padding */
    textgen_packed_layer output_layer;
    textgen_packed_layer masked_output_layer; /* the same, but without the tokens that are never drawn */
    textgen_special special;
    /* The input of the first layer is one of two tables. token_gates, of an lstm or a gru: for each token, the
     * products of its embedding with the input weights, plus the bias, [vocabulary][padded_units /
     * GROUP][BLOCK]. If that table would be too large, and for convolutions, it is NULL, and `embedding` is
     * [vocabulary][embedding_size]. For 8-bit weights see also textgen_int8_network. */
    const float *token_gates, *embedding;
    size_t embedding_size; /* 0 if there is a token_gates table; padded for 8-bit weights */
    const textgen_kernels *kernels;
    textgen_exp64 exp64; /* for the samplers */
    float *memory;       /* all of the tables above */
} textgen_network;

/* Read and pack all weights. On success the caller calls textgen_network_destroy. */
int32_t textgen_network_create(const textgen_description *description, const textgen_kernels *kernels,
                               textgen_special special, textgen_network **network, textgen_error *error);
void textgen_network_destroy(textgen_network *network);

/* Return how many bytes of weights one time step of one lane reads. */
size_t textgen_network_step_bytes(const textgen_network *network);

/* Read all weights once, without their biases. Return a sum of their bits. */
uint32_t textgen_network_read(const textgen_network *network);

#endif
