/* Plans the memory of a network; used by pack.c. */
#ifndef TEXTGEN_PACK_PLAN_H
#define TEXTGEN_PACK_PLAN_H

#include "pack_layers.h"

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
                            const textgen_error *error);

#endif
