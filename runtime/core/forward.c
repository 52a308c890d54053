/* The layers of a network, run over tokens. */
#include "forward.h"

#include <string.h>

/* Set the first layer's gate inputs, and return its input: NULL if the token_gates table replaces it. */
static const float *embed(const textgen_network *network, const textgen_slots *slots, const int64_t *tokens,
                          size_t count) {
    const size_t size = network->embedding_size;
    size_t slot;
    for (slot = 0; slot < count; slot++) {
        const size_t token = (size_t)tokens[slot];
        if (size) {
            memcpy(slots->embedded + slot * size, network->embedding + token * size, size * sizeof(float));
            slots->gate_inputs[slot] = network->lstm_layers[0].bias;
        } else {
            slots->gate_inputs[slot] =
                network->token_gates + token * (size_t)network->padded_units * TEXTGEN_GATES;
        }
    }
    return size ? slots->embedded : NULL;
}

const float *textgen_forward_features(const textgen_network *network, const textgen_slots *slots,
                                      const int64_t *tokens, size_t count) {
    const size_t layer_size = slots->count * (size_t)network->padded_units;
    const float *input = embed(network, slots, tokens, count);
    size_t layer, slot;
    for (layer = 0; layer < network->lstm_count; layer++) {
        float *hidden = slots->state[0] + layer * layer_size, *cell = slots->state[1] + layer * layer_size;
        for (slot = 0; layer && slot < count; slot++) {
            slots->gate_inputs[slot] = network->lstm_layers[layer].bias;
        }
        network->kernels->lstm(&network->lstm_layers[layer], slots->gate_inputs, input, hidden, cell,
                               slots->scratch, (ptrdiff_t)count);
        input = hidden;
    }
    return input;
}

void textgen_forward(const textgen_network *network, const int64_t *tokens, size_t time, size_t batch,
                     float *const *state, size_t logit_steps, float *logits, void *workspace) {
    const textgen_slots slots = textgen_slots_find(network, workspace, batch, logit_steps);
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
    /* The output layer runs once for all features: with a large vocabulary, most of the time is spent on
     * loading its weights. */
    for (i = 0; i < time; i++) {
        const float *features = textgen_forward_features(network, &slots, tokens + i * batch, batch);
        if (i + logit_steps >= time) {
            memcpy(slots.features + (i + logit_steps - time) * batch * width, features,
                   batch * width * sizeof(float));
        }
    }
    network->kernels->linear(&network->output_layer, slots.features, slots.logits,
                             (ptrdiff_t)(logit_steps * batch));
    for (i = 0; i < logit_steps * batch; i++) {
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
