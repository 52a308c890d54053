/* Packs the weights of one layer; used by pack.c. */
#ifndef TEXTGEN_PACK_LAYERS_H
#define TEXTGEN_PACK_LAYERS_H

#include "pack.h"

enum { TEXTGEN_ALIGNMENT = 64 }; /* bytes */

/* The sums of a group of units of an lstm or a gru. */
enum { TEXTGEN_SUMS = TEXTGEN_BLOCK / TEXTGEN_GROUP };

/* How many units a block of this kind of layer has. */
static inline size_t textgen_group_size(textgen_layer_kind kind) {
    return kind == TEXTGEN_CONV ? TEXTGEN_CONV_GROUP : TEXTGEN_GROUP;
}

/* A network under construction, with temporary buffers. */
typedef struct {
    const textgen_description *description;
    const textgen_error *error;
    textgen_network *network;
    float *next; /* free memory of the network */
    size_t units, padded_units;
    size_t columns, tokens; /* how much of the token_gates table is computed at once; columns are full blocks */
    float *rows;            /* weights in the order of the file */
    float *products;        /* part of the token_gates table, [tokens][columns] */
    double *weights; /* the first layer's input weights for these columns, [columns / BLOCK][inputs][BLOCK] */
    double *bias;    /* of a layer, in the kernels' order, [SUMS * padded_units] */
} textgen_packing;

/* Take memory for `count` floats from `next`. */
float *textgen_pack_reserve(textgen_packing *pack, size_t count);

/* Each function takes the memory that it fills from `next`. */
int32_t textgen_pack_recurrent(textgen_packing *pack, size_t index, bool with_inputs);
int32_t textgen_pack_conv(textgen_packing *pack, size_t index);
int32_t textgen_pack_token_gates(textgen_packing *pack);
int32_t textgen_pack_embedding(textgen_packing *pack);
int32_t textgen_pack_output(textgen_packing *pack);

#endif
