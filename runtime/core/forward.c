#include "forward.h"

#include <string.h>

/* What the first layer's gates start from, and its input: none where its products are in the table. */
static const float *embed(const textgen_network *network, const textgen_slots *slots, const int64_t *tokens,
                          size_t count) {
    const size_t size = network->embedding_size;
    size_t slot;
    for (slot = 0; slot < count; slot++) {
        const size_t token = (size_t)tokens[slot];
        if (size) {
            memcpy(slots->embedded + slot * size, network->embedding + token * size, size * sizeof(float));
            slots->starts[slot] = network->layers[0].bias;
        } else {
            slots->starts[slot] = network->token_gates + token * (size_t)network->padded_units * TEXTGEN_GATES;
        }
    }
    return size ? slots->embedded : NULL;
}

const float *textgen_forward_step(const textgen_network *network, const textgen_slots *slots,
                                  const int64_t *tokens, size_t count) {
    const size_t layer_size = slots->count * (size_t)network->padded_units;
    const float *below = embed(network, slots, tokens, count);
    size_t layer, slot;
    for (layer = 0; layer < network->lstms; layer++) {
        float *hidden = slots->state[0] + layer * layer_size, *cell = slots->state[1] + layer * layer_size;
        for (slot = 0; layer && slot < count; slot++) {
            slots->starts[slot] = network->layers[layer].bias;
        }
        network->kernels->lstm(&network->layers[layer], slots->starts, below, hidden, cell, slots->scratch,
                               (ptrdiff_t)count);
        below = hidden;
    }
    return below;
}

void textgen_forward(const textgen_network *network, const int64_t *tokens, size_t time, size_t batch,
                     float *const *state, size_t kept, float *logits, void *memory) {
    const textgen_slots slots = textgen_slots_find(network, memory, batch, kept);
    const size_t units = network->units, width = (size_t)network->padded_units;
    const size_t padded = (size_t)network->padded_vocabulary;
    float *lane[TEXTGEN_STATE_ARRAYS];
    size_t i, array;
    for (i = 0; i < batch; i++) {
        for (array = 0; array < network->state_arrays; array++) {
            lane[array] = state[array] + i * units;
        }
        textgen_slot_load(network, &slots, lane, batch * units, i);
    }
    /* The outputs of the kept steps are multiplied together at the end: the output weights are loaded once
     * for all, which with a large vocabulary is most of the work. */
    for (i = 0; i < time; i++) {
        const float *top = textgen_forward_step(network, &slots, tokens + i * batch, batch);
        if (i + kept >= time) {
            memcpy(slots.outputs + (i + kept - time) * batch * width, top, batch * width * sizeof(float));
        }
    }
    network->kernels->linear(&network->output, slots.outputs, slots.logits, (ptrdiff_t)(kept * batch));
    for (i = 0; i < kept * batch; i++) {
        memcpy(logits + i * network->vocabulary, slots.logits + i * padded,
               network->vocabulary * sizeof(float));
    }
    for (i = 0; i < batch; i++) {
        for (array = 0; array < network->state_arrays; array++) {
            lane[array] = state[array] + i * units;
        }
        textgen_slot_store(network, &slots, lane, batch * units, i);
    }
}
