/* Runs a network forward, for several lanes. */
#ifndef TEXTGEN_FORWARD_H
#define TEXTGEN_FORWARD_H

#include "slots.h"

/* The next tokens of several lanes.
 *
 * tokens: [time][batch], each below the vocabulary. state: the network's arrays, each [layers][batch][units],
 * changed in place. logits: [kept][batch][vocabulary], of the last `kept` steps, 1 to time. memory: of
 * textgen_slots_size(network, batch, kept) bytes. */
void textgen_forward(const textgen_network *network, const int64_t *tokens, size_t time, size_t batch,
                     float *const *state, size_t kept, float *logits, void *memory);

/* One token through all recurrent layers, for each of the first `count` slots; returns the top layer's output
 * [count][padded units]. */
const float *textgen_forward_step(const textgen_network *network, const textgen_slots *slots,
                                  const int64_t *tokens, size_t count);

#endif
