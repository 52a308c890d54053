/* Runs a network forward for several lanes. */
#ifndef TEXTGEN_FORWARD_H
#define TEXTGEN_FORWARD_H

#include "slots.h"

/* Run the network over `time` tokens of each lane.
 *
 * tokens: [time][batch], each in [0, vocabulary). state: the network's state arrays one
 * after the other, each [rows][batch][units], updated in place. logits: [logit_steps][batch][vocabulary], after
 * each of the last `logit_steps` tokens, 1 to time. workspace: of textgen_slots_size(network, batch,
 * logit_steps) bytes. With TEXTGEN_SMALL, batch and logit_steps are 1. */
void textgen_forward(const textgen_network *network, const int64_t *tokens, size_t time, size_t batch,
                     float *state, size_t logit_steps, float *logits, void *workspace);

/* Run the output layer over `count` features, into slots->logits. masked: whether the logits of tokens that are
 * never drawn are -infinity. */
void textgen_forward_logits(const textgen_network *network, const textgen_slots *slots, const float *features,
                            size_t count, bool masked);

/* Run one token through the embedding and the layers after it, for each of the first `count` slots. Return the
 * features: the output of the last of these layers, [count][padded units]. */
const float *textgen_forward_features(const textgen_network *network, textgen_slots *slots,
                                      const int64_t *tokens, size_t count);

#endif
