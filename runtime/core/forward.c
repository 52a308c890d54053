/* The layers of a network, run over tokens. */
#include "forward.h"

#include "exact.h"

#include <string.h>

/* Set the inputs of the first layer to the 8-bit embeddings of tokens. */
static void embed_int8(const textgen_network *network, const textgen_slots *slots, const int64_t *tokens,
                       size_t count) {
    const size_t size = network->embedding_size;
    for (size_t slot = 0; slot < count; slot++) {
        const size_t token = (size_t)tokens[slot];
        memcpy(slots->inputs + slot * size, network->int8.embedding + token * size, size);
        slots->input_scales[slot] = network->int8.embedding_scales[token];
        slots->gate_inputs[slot] = network->int8.layers[0].bias;
    }
}

/* Round the inputs of a layer. Return their scale. */
static float quantize(const textgen_network *network, const textgen_slots *slots, size_t layer,
                      const float *input, size_t count) {
    const float bound = network->int8.input_bounds[layer];
    network->kernels->int8->quantize(input, (ptrdiff_t)count * network->padded_units, bound, slots->inputs);
    return bound / TEXTGEN_INT8_LEVELS;
}

/* Run an lstm or a gru with 8-bit weights. The input of the first layer is set already. */
static const float *run_int8(const textgen_network *network, const textgen_slots *slots, size_t layer,
                             const float *input, size_t count) {
    const textgen_int8_kernels *kernels = network->kernels->int8;
    const textgen_int8_layer *weights = &network->int8.layers[layer];
    float *hidden = textgen_slot_row(network, slots, 0, layer);
    if (layer) {
        const float scale = quantize(network, slots, layer, input, count);
        for (size_t slot = 0; slot < count; slot++) {
            slots->input_scales[slot] = scale;
            slots->gate_inputs[slot] = weights->bias;
        }
    }
    if (network->kind == TEXTGEN_LSTM) {
        kernels->lstm(weights, slots->gate_inputs, slots->inputs, slots->input_scales, hidden,
                      textgen_slot_row(network, slots, 1, layer), slots->hidden, (ptrdiff_t)count);
    } else {
        kernels->gru(weights, slots->gate_inputs, slots->inputs, slots->input_scales, hidden, slots->hidden,
                     (ptrdiff_t)count);
    }
    return hidden;
}

static void run_int8_output(const textgen_network *network, const textgen_slots *slots, const float *features,
                            size_t count, bool masked) {
    const textgen_int8_layer *layer = masked ? &network->int8.masked_output_layer : &network->int8.output_layer;
    const float scale = quantize(network, slots, network->layer_count, features, count);
    network->kernels->int8->linear(layer, slots->inputs, scale, slots->logits, (ptrdiff_t)count);
}

/* Set the first layer's gate inputs, and return its input: NULL if the token_gates table replaces it, or if it
 * is rounded. */
static const float *embed(const textgen_network *network, const textgen_slots *slots, const int64_t *tokens,
                          size_t count) {
    const size_t size = network->embedding_size;
    if (size && network->bits == 8) {
        embed_int8(network, slots, tokens, count);
        return NULL;
    }
    for (size_t slot = 0; slot < count; slot++) {
        const size_t token = (size_t)tokens[slot];
        if (size) {
            memcpy(slots->embedded + slot * size, network->embedding + token * size, size * sizeof(float));
            slots->gate_inputs[slot] = network->layers[0].bias;
        } else {
            slots->gate_inputs[slot] =
                network->token_gates + token * (size_t)network->padded_units * (TEXTGEN_BLOCK / TEXTGEN_GROUP);
        }
    }
    return size ? slots->embedded : NULL;
}

/* Run an lstm or a gru. Return its output, which is part of the state. */
static const float *run_recurrent(const textgen_network *network, const textgen_slots *slots, size_t layer,
                                  const float *input, size_t count) {
    const textgen_packed_layer *weights = &network->layers[layer];
    float *hidden = textgen_slot_row(network, slots, 0, layer);
    for (size_t slot = 0; layer && slot < count; slot++) {
        slots->gate_inputs[slot] = weights->bias;
    }
    if (network->kind == TEXTGEN_LSTM) {
        network->kernels->lstm(weights, slots->gate_inputs, input, hidden,
                               textgen_slot_row(network, slots, 1, layer), slots->scratch, (ptrdiff_t)count);
    } else {
        network->kernels->gru(weights, slots->gate_inputs, input, hidden, slots->scratch, (ptrdiff_t)count);
    }
    return hidden;
}

/* Run a convolution, and replace its oldest input by the present one. */
static const float *run_conv(const textgen_network *network, const textgen_slots *slots, size_t layer,
                             const float *input, size_t count) {
    float *oldest = textgen_slot_row(network, slots, layer, 0);
    float *output = input == slots->outputs ? slots->scratch : slots->outputs;
    network->kernels->conv(&network->layers[layer], oldest, input, output, (ptrdiff_t)count);
    memcpy(oldest, input, count * network->state[layer].width * sizeof(float));
    return output;
}

static const float *run_layer(const textgen_network *network, const textgen_slots *slots, size_t layer,
                              const float *input, size_t count) {
    return network->bits == 8              ? run_int8(network, slots, layer, input, count)
           : network->kind == TEXTGEN_CONV ? run_conv(network, slots, layer, input, count)
                                           : run_recurrent(network, slots, layer, input, count);
}

/* Return the sum of a layer's output and its input. `output` or `input` may be the memory of the sum. */
static const float *add_residual(const textgen_network *network, float *sum, const float *output,
                                 const float *input, size_t count) {
    const size_t values = count * (size_t)network->padded_units;
    for (size_t i = 0; i < values; i++) {
        sum[i] = output[i] + input[i];
    }
    return sum;
}

const float *textgen_forward_features(const textgen_network *network, textgen_slots *slots,
                                      const int64_t *tokens, size_t count) {
    const float *input = embed(network, slots, tokens, count);
    for (size_t layer = 0; layer < network->layer_count; layer++) {
        const float *output = run_layer(network, slots, layer, input, count);
        if (network->residual[layer]) {
            float *sum = output == slots->scratch ? slots->scratch : slots->outputs;
            output = add_residual(network, sum, output, input, count);
        }
        input = output;
    }
    slots->step++;
    return input;
}

void textgen_forward_logits(const textgen_network *network, const textgen_slots *slots, const float *features,
                            size_t count, bool masked) {
    const textgen_packed_layer *layer = masked ? &network->masked_output_layer : &network->output_layer;
    if (network->bits == 8) {
        run_int8_output(network, slots, features, count, masked);
    } else {
        network->kernels->linear(layer, features, slots->logits, (ptrdiff_t)count);
    }
}

void textgen_network_forward(const textgen_network *network, const int64_t *tokens, size_t time, size_t batch,
                             float *state, size_t logit_steps, float *logits, void *workspace) {
    textgen_slots slots = textgen_slots_find(network, workspace, batch, logit_steps);
    const size_t width = (size_t)network->padded_units, padded = (size_t)network->padded_vocabulary;
    for (size_t i = 0; i < batch; i++) {
        textgen_slot_load(network, &slots, state, batch, i, i);
    }
    /* The output layer runs once for all features: with a large vocabulary, most of the time is spent on
     * loading its weights. */
    for (size_t i = 0; i < time; i++) {
        const float *features = textgen_forward_features(network, &slots, tokens + i * batch, batch);
        if (i + logit_steps >= time) {
            memcpy(slots.features + (i + logit_steps - time) * batch * width, features,
                   batch * width * sizeof(float));
        }
    }
    textgen_forward_logits(network, &slots, slots.features, logit_steps * batch, false);
    for (size_t i = 0; i < logit_steps * batch; i++) {
        memcpy(logits + i * network->vocabulary, slots.logits + i * padded,
               network->vocabulary * sizeof(float));
    }
    for (size_t i = 0; i < batch; i++) {
        textgen_slot_store(network, &slots, state, batch, i, i);
    }
}
