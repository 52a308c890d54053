/* Packs the layers of a network with 8-bit weights; see int8_kernels.h for the order of the weights. */
#include "pack_int8.h"

#include "exact.h"
#include "tensors.h"

#include <string.h>

/* Pack an lstm or a gru, without its inputs if there is a token_gates table. */
static int32_t pack_recurrent(textgen_packing *pack, size_t index, bool table) {
    const textgen_gate_order *order = textgen_gate_order_of(pack->network->kind);
    const textgen_layer *layer = &pack->description->layers[index + 1];
    textgen_int8_layer *packed = &pack->network->int8.layers[index];
    const size_t inputs = table ? 0 : (size_t)textgen_padded(layer->inputs, TEXTGEN_GROUP);
    const size_t rows = inputs + pack->padded_units, block = order->gates * TEXTGEN_GROUP;
    const size_t size = order->gates * pack->padded_units * rows;
    int8_t *weights = (int8_t *)textgen_pack_reserve(pack, size / sizeof(float));
    float *bias = textgen_pack_reserve(pack, TEXTGEN_SUMS * pack->padded_units);
    const textgen_int8_part input = {
        layer->tensors[0], layer->scales[0], order->input, layer->inputs, block, weights, rows, 1.0f};
    const textgen_int8_part hidden = {layer->tensors[1],
                                      layer->scales[1],
                                      order->recurrent,
                                      pack->units,
                                      block,
                                      weights + inputs * block,
                                      rows,
                                      1.0f / TEXTGEN_INT8_LEVELS};
    packed->inputs = (ptrdiff_t)inputs;
    packed->outputs = (ptrdiff_t)pack->padded_units;
    packed->size = (ptrdiff_t)size;
    packed->weights = weights;
    packed->bias = bias;
    int32_t code = table ? TEXTGEN_OK : textgen_pack_int8_part(pack, &input, &packed->input);
    if (code == TEXTGEN_OK) {
        code = textgen_pack_int8_part(pack, &hidden, &packed->hidden);
    }
    return code == TEXTGEN_OK ? textgen_pack_bias(pack, layer->tensors[2], bias) : code;
}

/* Convert the embedding of a token to inputs of the first layer. Return false if it exceeds its bounds. */
static bool pack_embedding_row(const textgen_packing *pack, size_t token, uint8_t *row) {
    const textgen_layer *embedding = &pack->description->layers[0];
    const int8_t *values = textgen_int8_values(embedding->tensors[0]) + token * embedding->outputs;
    const int zero = pack->network->kernels->int8->zero;
    memset(row, zero, (size_t)textgen_padded(embedding->outputs, TEXTGEN_GROUP));
    for (size_t i = 0; i < embedding->outputs; i++) {
        if (values[i] < -TEXTGEN_INT8_LEVELS) {
            return false;
        }
        row[i] = (uint8_t)(values[i] + zero);
    }
    return true;
}

/* Multiply the embedding by the input weights of the first layer, which is packed. The kernel for the output
 * layer computes a row. It has only blocks of TEXTGEN_BLOCK, so the sum of a gru without input weights is
 * computed, too. */
static int32_t pack_token_gates(textgen_packing *pack) {
    const textgen_layer *embedding = &pack->description->layers[0], *layer = &pack->description->layers[1];
    textgen_network *network = pack->network;
    const size_t inputs = (size_t)textgen_padded(layer->inputs, TEXTGEN_GROUP);
    const size_t outputs = TEXTGEN_SUMS * pack->padded_units;
    uint8_t *row = (uint8_t *)pack->bytes + outputs * inputs;
    float *table = textgen_pack_reserve(pack, embedding->inputs * outputs);
    textgen_int8_layer product = {.inputs = (ptrdiff_t)inputs,
                                  .outputs = (ptrdiff_t)outputs,
                                  .weights = pack->bytes,
                                  .bias = network->int8.layers[0].bias};
    const textgen_int8_part input = {layer->tensors[0],
                                     layer->scales[0],
                                     textgen_gate_order_of(network->kind)->input,
                                     layer->inputs,
                                     TEXTGEN_BLOCK,
                                     pack->bytes,
                                     inputs,
                                     1.0f};
    int32_t code = textgen_pack_int8_part(pack, &input, &product.input);
    if (code == TEXTGEN_OK) {
        code = textgen_read_int8_scales(pack, embedding->scales[0]);
    }
    for (size_t token = 0; code == TEXTGEN_OK && token < embedding->inputs; token++) {
        if (!pack_embedding_row(pack, token, row)) {
            return textgen_fail_int8_bound(pack, embedding->tensors[0]);
        }
        network->kernels->int8->linear(&product, row, pack->rows[token], table + token * outputs, 1);
        if (!textgen_all_finite(table + token * outputs, outputs)) {
            return textgen_fail_overflow(pack->error);
        }
    }
    network->token_gates = table;
    return code;
}

static int32_t pack_embedding(textgen_packing *pack) {
    const textgen_layer *embedding = &pack->description->layers[0];
    const size_t size = pack->network->embedding_size;
    uint8_t *rows = (uint8_t *)textgen_pack_reserve(pack, embedding->inputs * size / sizeof(float));
    float *scales = textgen_pack_reserve(pack, embedding->inputs);
    const int32_t code = textgen_read_int8_scales(pack, embedding->scales[0]);
    for (size_t token = 0; code == TEXTGEN_OK && token < embedding->inputs; token++) {
        if (!pack_embedding_row(pack, token, rows + token * size)) {
            return textgen_fail_int8_bound(pack, embedding->tensors[0]);
        }
        scales[token] = pack->rows[token];
    }
    pack->network->int8.embedding = rows;
    pack->network->int8.embedding_scales = scales;
    return code;
}

/* Convert [units][vocabulary] to [vocabulary / BLOCK][padded units / 4][BLOCK][4]. */
static int32_t pack_output(textgen_packing *pack) {
    const textgen_layer *layer = &pack->description->layers[pack->description->layer_count - 1];
    textgen_network *network = pack->network;
    const size_t vocabulary = layer->outputs, padded = (size_t)network->padded_vocabulary;
    int8_t *weights = (int8_t *)textgen_pack_reserve(pack, padded * pack->padded_units / sizeof(float));
    float *bias = textgen_pack_reserve(pack, padded), *masked_bias = textgen_pack_reserve(pack, padded);
    float *scales = textgen_pack_reserve(pack, padded);
    int32_t *offsets = (int32_t *)(void *)textgen_pack_reserve(pack, padded);
    int32_t code = textgen_tensor_floats(layer->tensors[1], 0, vocabulary, bias, pack->error);
    if (code == TEXTGEN_OK) {
        code = textgen_read_int8_scales(pack, layer->scales[0]);
    }
    for (size_t token = 0; code == TEXTGEN_OK && token < vocabulary; token++) {
        int8_t *column =
            weights + token / TEXTGEN_BLOCK * TEXTGEN_BLOCK * pack->padded_units + token % TEXTGEN_BLOCK * 4;
        int32_t total;
        if (!textgen_pack_int8_sum(textgen_int8_values(layer->tensors[0]) + token, vocabulary, pack->units,
                                   column, TEXTGEN_BLOCK, &total)) {
            return textgen_fail_int8_bound(pack, layer->tensors[0]);
        }
        scales[token] = pack->rows[token];
        offsets[token] = -network->kernels->int8->zero * total;
    }
    memcpy(masked_bias, bias, padded * sizeof(float));
    textgen_special_mask(&network->special, masked_bias);
    network->int8.output_layer = (textgen_int8_layer){.inputs = (ptrdiff_t)pack->padded_units,
                                                      .outputs = (ptrdiff_t)padded,
                                                      .size = (ptrdiff_t)(padded * pack->padded_units),
                                                      .weights = weights,
                                                      .bias = bias,
                                                      .input = {scales, offsets}};
    network->int8.masked_output_layer = network->int8.output_layer;
    network->int8.masked_output_layer.bias = masked_bias;
    return code;
}

/* The output of an lstm or a gru is in [-1, 1]. A residual connection adds the bound of the layer's input. The
 * first bound is 0 and is not used: the inputs of layer 0 are a token's gates or its 8-bit embedding. */
static void find_bounds(textgen_network *network) {
    float bound = 0.0f;
    for (size_t i = 0; i < network->layer_count; i++) {
        network->int8.input_bounds[i] = bound;
        bound = network->residual[i] ? bound + 1.0f : 1.0f;
    }
    network->int8.input_bounds[network->layer_count] = bound;
}

int32_t textgen_pack_int8(textgen_packing *pack, bool table) {
    int32_t code = TEXTGEN_OK;
    for (size_t i = 0; code == TEXTGEN_OK && i < pack->network->layer_count; i++) {
        code = pack_recurrent(pack, i, table && i == 0);
    }
    if (code == TEXTGEN_OK) {
        code = table ? pack_token_gates(pack) : pack_embedding(pack);
    }
    find_bounds(pack->network);
    return code == TEXTGEN_OK ? pack_output(pack) : code;
}
