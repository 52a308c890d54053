/* Runs a network for several lanes, in its working memory: padded state, logits and temporary arrays. */
#ifndef TEXTGEN_FORWARD_H
#define TEXTGEN_FORWARD_H

#include "pack.h"

/* Pointers to the parts of the memory. Each running lane occupies one slot; running lanes come first. */
typedef struct {
    size_t count;              /* number of slots */
    const float **gate_inputs; /* [slots], see textgen_kernels */
    float *state;              /* [2][layers][slots][padded units] */
    float *sums;               /* of a layer and its residual connection: [slots][padded units] */
    /* Of the first layer without a token_gates table, [slots][embedding size], or with 8-bit weights the
     * rounded inputs of any layer, [logit_steps][slots][padded units]. */
    void *inputs;
    float *input_scales; /* 8-bit weights: [logit_steps][slots] */
    void *scratch;       /* see textgen_kernels */
    float *features;     /* outputs of the last layer, [logit_steps][slots][padded units] */
    float *logits;       /* [logit_steps][slots][padded vocabulary] */
    size_t bytes;
} textgen_slots;

/* Return the size in bytes. logit_steps: for how many time steps features and logits are stored. */
size_t textgen_slots_size(const textgen_network *network, size_t lanes, size_t logit_steps);

/* Find the parts in memory of that size, aligned as malloc aligns it. Nothing is kept there between calls. */
textgen_slots textgen_slots_find(const textgen_network *network, void *workspace, size_t lanes,
                                 size_t logit_steps);

/* Copy the state of one lane to or from a slot. state: of all lanes, [2][layers][batch][units]. */
void textgen_slot_load(const textgen_network *network, const textgen_slots *slots, const float *state,
                       size_t batch, size_t lane, size_t slot);
void textgen_slot_store(const textgen_network *network, const textgen_slots *slots, float *state, size_t batch,
                        size_t lane, size_t slot);

/* Copy the state and the logits of one slot to another. */
void textgen_slot_move(const textgen_network *network, const textgen_slots *slots, size_t from, size_t to);

/* Run the network over `time` tokens of each lane.
 *
 * tokens: [time][batch], each in [0, vocabulary). state: [2][layers][batch][units], the hidden states and the
 * cell states, updated in place. logits: [logit_steps][batch][vocabulary], after each of the last `logit_steps`
 * tokens, 1 to time. workspace: of textgen_slots_size(network, batch, logit_steps) bytes. With TEXTGEN_SMALL,
 * batch and logit_steps are 1. */
void textgen_network_forward(const textgen_network *network, const int64_t *tokens, size_t time, size_t batch,
                             float *state, size_t logit_steps, float *logits, void *workspace);

/* Run the output layer over `count` features, into slots->logits. masked: whether the logits of tokens that are
 * never drawn are -infinity. */
void textgen_forward_logits(const textgen_network *network, const textgen_slots *slots, const float *features,
                            size_t count, bool masked);

/* Run one token through the embedding and the layers after it, for each of the first `count` slots. Return the
 * features: the output of the last of these layers, [count][padded units]. */
const float *textgen_forward_features(const textgen_network *network, const textgen_slots *slots,
                                      const int64_t *tokens, size_t count);

#endif
