#include "forward_int8.h"

#include "exact.h"

#include <string.h>

void textgen_int8_embed(const textgen_network *network, const textgen_slots *slots, const int64_t *tokens,
                        size_t count) {
    const size_t size = network->embedding_size;
    size_t slot;
    for (slot = 0; slot < count; slot++) {
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

const float *textgen_int8_run(const textgen_network *network, const textgen_slots *slots, size_t layer,
                              const float *input, size_t count) {
    const textgen_int8_kernels *kernels = network->kernels->int8;
    const textgen_int8_layer *weights = &network->int8.layers[layer];
    float *hidden = textgen_slot_row(network, slots, 0, layer);
    size_t slot;
    if (layer) {
        const float scale = quantize(network, slots, layer, input, count);
        for (slot = 0; slot < count; slot++) {
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

void textgen_int8_logits(const textgen_network *network, const textgen_slots *slots, const float *features,
                         size_t count, bool masked) {
    const textgen_int8_layer *layer = masked ? &network->int8.masked_output_layer : &network->int8.output_layer;
    const float scale = quantize(network, slots, network->layer_count, features, count);
    network->kernels->int8->linear(layer, slots->inputs, scale, slots->logits, (ptrdiff_t)count);
}
