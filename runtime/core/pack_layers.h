/* Plans the memory of a network, and packs the weights of its layers; used by pack.c. */
#ifndef TEXTGEN_PACK_LAYERS_H
#define TEXTGEN_PACK_LAYERS_H

#include "pack.h"

enum { TEXTGEN_ALIGNMENT = 64 }; /* bytes */

/* The sums of a group of units of an lstm or a gru. */
enum { TEXTGEN_SUMS = TEXTGEN_BLOCK / TEXTGEN_GROUP };

/* The first layer after the embedding. All layers but the embedding and the output are of its kind. */
static inline const textgen_layer *textgen_first_layer(const textgen_description *description) {
    return &description->layers[1];
}

static inline uint64_t textgen_padded(uint64_t size, uint64_t to) { return (size + to - 1) / to * to; }

/* How many units a block of this kind of layer has. */
static inline size_t textgen_group_size(textgen_layer_kind kind) {
    return kind == TEXTGEN_CONV ? TEXTGEN_CONV_GROUP : TEXTGEN_GROUP;
}

/* The memory of a network, and of the temporary buffers for packing. */
typedef struct {
    bool table;                                    /* whether there is a token_gates table */
    uint64_t columns, tokens;                      /* of one part of the table */
    uint64_t rows, products, bias, weights, bytes; /* temporary buffers; see textgen_packing */
    uint64_t floats;                               /* of the network */
    uint64_t state;                                /* values of the state of one lane */
} textgen_pack_plan;

/* Choose whether to use a token_gates table. Fails if packing would need much more memory than the file. */
int32_t textgen_choose_plan(const textgen_description *description, textgen_pack_plan *chosen,
                            textgen_error *error);

/* A network under construction, with temporary buffers. */
typedef struct {
    const textgen_description *description;
    textgen_error *error;
    textgen_network *network;
    float *next; /* free memory of the network */
    size_t units, padded_units;
    size_t columns, tokens; /* how much of the token_gates table is computed at once; columns are full blocks */
    float *rows;            /* weights in the order of the file */
    float *products;        /* part of the token_gates table, [tokens][columns] */
    double *weights; /* the first layer's input weights for these columns, [columns / BLOCK][inputs][BLOCK] */
    double *bias;    /* of a layer, in the kernels' order, [SUMS * padded_units] */
    int8_t *bytes;   /* with a token_gates table of 8-bit weights: those of the first layer, and an embedding */
} textgen_packing;

/* The gates of a kind of layer. Each of the four sums of a unit is the sum of an input part and a recurrent
 * part, of the gates with these indexes in the file; -1 for none. */
typedef struct {
    size_t gates; /* in the file, in ONNX's order */
    int input[TEXTGEN_SUMS], recurrent[TEXTGEN_SUMS];
} textgen_gate_order;
const textgen_gate_order *textgen_gate_order_of(textgen_layer_kind kind);

/* Take memory for `count` floats from `next`. */
float *textgen_pack_reserve(textgen_packing *pack, size_t count);

/* Each function takes the memory that it fills from `next`. */
int32_t textgen_pack_recurrent(textgen_packing *pack, size_t index, bool with_inputs);
int32_t textgen_pack_conv(textgen_packing *pack, size_t index);
int32_t textgen_pack_token_gates(textgen_packing *pack);
int32_t textgen_pack_embedding(textgen_packing *pack);
int32_t textgen_pack_output(textgen_packing *pack);
/* Fill in the bias of an lstm or a gru, with the sums of both biases in the kernels' order. */
int32_t textgen_pack_bias(textgen_packing *pack, const textgen_tensor *tensor, float *bias);
/* Pack all layers of a network with 8-bit weights. */
int32_t textgen_pack_int8(textgen_packing *pack, bool table);
int32_t textgen_fail_overflow(textgen_error *error);

#endif
