/* Laying out the weights of one layer after the other, for pack.c. */
#ifndef TEXTGEN_PACK_LAYERS_H
#define TEXTGEN_PACK_LAYERS_H

#include "pack.h"

enum { TEXTGEN_ALIGNMENT = 64 }; /* bytes */

/* A network that is being made, and room to work in. */
typedef struct {
    const textgen_description *description;
    const textgen_error *error;
    textgen_network *network;
    float *next; /* memory of the network that is still free */
    size_t units, padded;
    size_t columns, tokens; /* of the table: how many are computed at once; columns are whole blocks */
    float *rows;            /* of any weights, as they stand in the file */
    float *products;        /* a part of the table [tokens][columns] */
    double *weights; /* the first layer's input weights for these columns [columns / BLOCK][inputs][BLOCK] */
    double *bias;    /* [4 * padded] */
} textgen_packing;

/* Each takes its part of the network's memory. */
int32_t textgen_pack_lstm(textgen_packing *pack, size_t index, bool with_inputs);
/* The first lstm's products with the embedding, token by token. */
int32_t textgen_pack_table(textgen_packing *pack);
int32_t textgen_pack_embedding(textgen_packing *pack);
int32_t textgen_pack_output(textgen_packing *pack);

#endif
