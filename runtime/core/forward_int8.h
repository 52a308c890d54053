/* The layers of a network with 8-bit weights, for forward.c. */
#ifndef TEXTGEN_FORWARD_INT8_H
#define TEXTGEN_FORWARD_INT8_H

#include "slots.h"

/* Set the first layer's gate inputs and inputs to the embeddings of tokens, if there is no token_gates table.
 */
void textgen_int8_embed(const textgen_network *network, const textgen_slots *slots, const int64_t *tokens,
                        size_t count);

/* Run an lstm or a gru. input: the output of the layer below, not used for the first layer. Return the output,
 * which is part of the state. */
const float *textgen_int8_run(const textgen_network *network, const textgen_slots *slots, size_t layer,
                              const float *input, size_t count);

/* Run the output layer over `count` features. */
void textgen_int8_logits(const textgen_network *network, const textgen_slots *slots, const float *features,
                         size_t count, bool masked);

#endif
