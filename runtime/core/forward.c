#include "forward.h"

#include "exact.h"

#include <string.h>

textgen_slots textgen_slots_find(const textgen_network *network, void *workspace, size_t lanes,
                                 size_t logit_steps) {
    const size_t units = network->padded_units;
    const bool is_int8 = network->bits == 8;
    const size_t unit_size = is_int8 ? 1 : sizeof(float);
    char *start = textgen_align(workspace);
    uint64_t used = 0;
    textgen_slots slots;
    slots.count = lanes;
    slots.gate_inputs = textgen_part(start, &used, lanes * sizeof(float *));
    slots.state = textgen_part(start, &used, 2 * network->layer_count * lanes * units * sizeof(float));
    slots.sums = textgen_part(start, &used, lanes * units * sizeof(float));
    slots.inputs = textgen_part(
        start, &used, lanes * ((is_int8 ? logit_steps * units : 0) + network->embedding_size * unit_size));
    slots.input_scales = textgen_part(start, &used, is_int8 ? logit_steps * lanes * sizeof(float) : 0);
    slots.scratch = textgen_part(start, &used, lanes * units * unit_size);
    slots.features = textgen_part(start, &used, logit_steps * lanes * units * sizeof(float));
    slots.logits = textgen_part(start, &used, logit_steps * lanes * network->padded_vocabulary * sizeof(float));
    slots.bytes = (size_t)used + TEXTGEN_PART_ALIGNMENT;
    return slots;
}

size_t textgen_slots_size(const textgen_network *network, size_t lanes, size_t logit_steps) {
    return textgen_slots_find(network, NULL, lanes, logit_steps).bytes;
}

/* Return the hidden states of a layer, or its cell states, [slots][padded units]. */
static float *state_of(const textgen_network *network, const textgen_slots *slots, bool cell, size_t layer) {
    const size_t row = (cell ? network->layer_count : 0) + layer;
    return slots->state + row * slots->count * network->padded_units;
}

void textgen_slot_load(const textgen_network *network, const textgen_slots *slots, const float *state,
                       size_t batch, size_t lane, size_t slot) {
    const size_t units = network->units, width = network->padded_units;
    for (size_t row = 0; row < 2 * network->layer_count; row++) {
        float *to = slots->state + (row * slots->count + slot) * width;
        memcpy(to, state + (row * batch + lane) * units, units * sizeof(float));
        memset(to + units, 0, (width - units) * sizeof(float));
    }
}

void textgen_slot_store(const textgen_network *network, const textgen_slots *slots, float *state, size_t batch,
                        size_t lane, size_t slot) {
    const size_t units = network->units;
    for (size_t row = 0; row < 2 * network->layer_count; row++) {
        const float *from = slots->state + (row * slots->count + slot) * network->padded_units;
        memcpy(state + (row * batch + lane) * units, from, units * sizeof(float));
    }
}

void textgen_slot_move(const textgen_network *network, const textgen_slots *slots, size_t from, size_t to) {
    const size_t width = network->padded_units, padded = network->padded_vocabulary;
    if (from == to) {
        return;
    }
    for (size_t row = 0; row < 2 * network->layer_count; row++) {
        float *values = slots->state + row * slots->count * width;
        memcpy(values + to * width, values + from * width, width * sizeof(float));
    }
    memcpy(slots->logits + to * padded, slots->logits + from * padded, padded * sizeof(float));
}

/* Set the first layer's gate inputs and, without a token_gates table, its inputs. */
static void embed(const textgen_network *network, const textgen_slots *slots, const int64_t *tokens,
                  size_t count) {
    const size_t size = network->embedding_size * (size_t)network->bits / 8;
    for (size_t slot = 0; slot < count; slot++) {
        const size_t token = (size_t)tokens[slot];
        if (!size) {
            slots->gate_inputs[slot] =
                network->token_gates + token * network->padded_units * (TEXTGEN_BLOCK / TEXTGEN_GROUP);
            continue;
        }
        memcpy((char *)slots->inputs + slot * size, (const char *)network->embedding + token * size, size);
        slots->gate_inputs[slot] = network->layers[0].bias;
        if (network->bits == 8) {
            slots->input_scales[slot] = network->embedding_scales[token];
        }
    }
}

/* Return values as the inputs of a layer: with 8-bit weights, rounded. */
static const void *inputs_of(const textgen_network *network, const textgen_slots *slots,
                             const textgen_packed_layer *layer, const float *values, size_t count) {
    if (network->bits != 8) {
        return values;
    }
    network->kernels->quantize(values, (ptrdiff_t)(count * network->padded_units), layer->bound, slots->inputs);
    for (size_t i = 0; i < count; i++) {
        slots->input_scales[i] = layer->bound / TEXTGEN_INT8_LEVELS;
    }
    return slots->inputs;
}

const float *textgen_forward_features(const textgen_network *network, const textgen_slots *slots,
                                      const int64_t *tokens, size_t count) {
    const float *values = NULL;
    embed(network, slots, tokens, count);
    for (size_t i = 0; i < network->layer_count; i++) {
        const textgen_packed_layer *layer = &network->layers[i];
        const void *inputs = i ? inputs_of(network, slots, layer, values, count) : slots->inputs;
        for (size_t slot = 0; i && slot < count; slot++) {
            slots->gate_inputs[slot] = layer->bias;
        }
        float *hidden = state_of(network, slots, false, i);
        network->kernels->lstm(layer, slots->gate_inputs, inputs, slots->input_scales, hidden,
                               state_of(network, slots, true, i), slots->scratch, (ptrdiff_t)count);
        for (size_t j = 0; layer->residual && j < count * network->padded_units; j++) {
            slots->sums[j] = hidden[j] + values[j];
        }
        values = layer->residual ? slots->sums : hidden;
    }
    return values;
}

void textgen_forward_logits(const textgen_network *network, const textgen_slots *slots, const float *features,
                            size_t count, bool masked) {
    const textgen_packed_layer *layer = textgen_output_layer(network, masked);
    const void *inputs = inputs_of(network, slots, layer, features, count);
    network->kernels->linear(layer, inputs, slots->input_scales, slots->logits, (ptrdiff_t)count);
}

void textgen_network_forward(const textgen_network *network, const int64_t *tokens, size_t time, size_t batch,
                             float *state, size_t logit_steps, float *logits, void *workspace) {
    const textgen_slots slots = textgen_slots_find(network, workspace, batch, logit_steps);
    const size_t values = batch * network->padded_units;
    for (size_t i = 0; i < batch; i++) {
        textgen_slot_load(network, &slots, state, batch, i, i);
    }
    /* The output layer runs once for all features: with a large vocabulary, most of the time is spent on
     * loading its weights. */
    for (size_t i = 0; i < time; i++) {
        const float *features = textgen_forward_features(network, &slots, tokens + i * batch, batch);
        if (i + logit_steps >= time) {
            memcpy(slots.features + (i + logit_steps - time) * values, features, values * sizeof(float));
        }
    }
    textgen_forward_logits(network, &slots, slots.features, logit_steps * batch, false);
    for (size_t i = 0; i < logit_steps * batch; i++) {
        memcpy(logits + i * network->vocabulary, slots.logits + i * network->padded_vocabulary,
               network->vocabulary * sizeof(float));
    }
    for (size_t i = 0; i < batch; i++) {
        textgen_slot_store(network, &slots, state, batch, i, i);
    }
}
