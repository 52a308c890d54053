/* Packs the weights of one layer; used by pack.c. */
#ifndef TEXTGEN_PACK_LAYERS_H
#define TEXTGEN_PACK_LAYERS_H

#include "pack.h"

enum { TEXTGEN_ALIGNMENT = 64 }; /* bytes */

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
    double *weights; /* the first lstm's input weights for these columns, [columns / BLOCK][inputs][BLOCK] */
    double *bias;    /* of an lstm, in the kernels' order, [4 * padded_units] */
} textgen_packing;

/* Each function takes the memory that it fills from `next`. */
int32_t textgen_pack_lstm(textgen_packing *pack, size_t index, bool with_inputs);
int32_t textgen_pack_token_gates(textgen_packing *pack);
int32_t textgen_pack_embedding(textgen_packing *pack);
int32_t textgen_pack_output(textgen_packing *pack);

#endif
