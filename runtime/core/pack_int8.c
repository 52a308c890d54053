/* Packs the layers of a network with 8-bit weights; see int8_kernels.h for the order of the weights. */
#include "pack_layers.h"

#include "exact.h"

#include <float.h>
#include <string.h>

/* One part of the sums of an lstm or a gru, and where it is packed. */
typedef struct {
    const textgen_tensor *tensor, *scales;
    const int *gates; /* the gate of each sum, or -1 */
    size_t inputs;    /* without padding */
    size_t block;     /* columns of a block: those of all sums, or only of those with a gate */
    int8_t *weights;  /* of the first input in the first block */
    size_t rows;      /* of a block: inputs and units with padding */
    float factor;     /* of the scales */
} int8_part;

static const int8_t *values_of(const textgen_tensor *tensor) { return (const int8_t *)tensor->raw.data; }

/* Read the scales of a weight into `rows`. */
static int32_t read_scales(textgen_packing *pack, const textgen_tensor *scales) {
    const size_t count = (size_t)scales->shape[0];
    TEXTGEN_TRY(textgen_tensor_floats(scales, 0, count, pack->rows, pack->error));
    for (size_t i = 0; i < count; i++) {
        /* Some processors replace numbers below FLT_MIN by 0. */
        if (pack->rows[i] < FLT_MIN) {
            return textgen_tensor_damaged(scales, pack->error);
        }
    }
    return TEXTGEN_OK;
}

/* Copy the weights of one sum to its column of a block [inputs / 4][block][4], and add them up. Return false if
 * they exceed their bounds. stride: the distance of two weights. */
static bool pack_sum(const int8_t *weights, size_t stride, size_t inputs, int8_t *column, size_t block,
                     int32_t *total) {
    int even = 0;
    *total = 0;
    for (size_t i = 0; i < inputs; i++) {
        const int weight = weights[i * stride], pair = i % 2 ? even + weight : weight;
        if (weight < -TEXTGEN_INT8_LEVELS || pair < -TEXTGEN_INT8_PAIR_BOUND ||
            pair > TEXTGEN_INT8_PAIR_BOUND) {
            return false;
        }
        column[i / 4 * 4 * block + i % 4] = (int8_t)weight;
        *total += weight;
        even = weight;
    }
    return true;
}

/* Pack a part. Its factors are taken from the network's memory. */
static int32_t pack_part(textgen_packing *pack, const int8_part *from, textgen_int8_factors *factors) {
    const size_t groups = pack->padded_units / TEXTGEN_GROUP;
    float *scales = textgen_pack_reserve(pack, groups * from->block);
    int32_t *offsets = (int32_t *)(void *)textgen_pack_reserve(pack, groups * from->block);
    size_t first = 0;
    TEXTGEN_TRY(read_scales(pack, from->scales));
    factors->scales = scales;
    factors->offsets = offsets;
    for (size_t sum = 0; sum < TEXTGEN_SUMS; sum++) {
        for (size_t unit = 0; from->gates[sum] >= 0 && unit < pack->units; unit++) {
            const size_t row = (size_t)from->gates[sum] * pack->units + unit, group = unit / TEXTGEN_GROUP;
            const size_t column = first + unit % TEXTGEN_GROUP, place = group * from->block + column;
            int8_t *to = from->weights + group * from->rows * from->block + 4 * column;
            int32_t total;
            if (!pack_sum(values_of(from->tensor) + row * from->inputs, 1, from->inputs, to, from->block,
                          &total)) {
                return textgen_tensor_damaged(from->tensor, pack->error);
            }
            scales[place] = pack->rows[row] * from->factor;
            offsets[place] = -pack->network->kernels->int8->zero * total;
        }
        first += from->gates[sum] >= 0 || from->block == TEXTGEN_BLOCK ? TEXTGEN_GROUP : 0;
    }
    return TEXTGEN_OK;
}

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
    const int8_part input = {
        layer->tensors[0], layer->scales[0], order->input, layer->inputs, block, weights, rows, 1.0f};
    const int8_part hidden = {layer->tensors[1],
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
    if (!table) {
        TEXTGEN_TRY(pack_part(pack, &input, &packed->input));
    }
    TEXTGEN_TRY(pack_part(pack, &hidden, &packed->hidden));
    return textgen_pack_bias(pack, layer->tensors[2], bias);
}

/* Convert the embedding of a token to inputs of the first layer. Return false if it exceeds its bounds. */
static bool pack_embedding_row(const textgen_packing *pack, size_t token, uint8_t *row) {
    const textgen_layer *embedding = &pack->description->layers[0];
    const int8_t *values = values_of(embedding->tensors[0]) + token * embedding->outputs;
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
    const int8_part input = {layer->tensors[0],
                             layer->scales[0],
                             textgen_gate_order_of(network->kind)->input,
                             layer->inputs,
                             TEXTGEN_BLOCK,
                             pack->bytes,
                             inputs,
                             1.0f};
    TEXTGEN_TRY(pack_part(pack, &input, &product.input));
    TEXTGEN_TRY(read_scales(pack, embedding->scales[0]));
    for (size_t token = 0; token < embedding->inputs; token++) {
        if (!pack_embedding_row(pack, token, row)) {
            return textgen_tensor_damaged(embedding->tensors[0], pack->error);
        }
        network->kernels->int8->linear(&product, row, pack->rows[token], table + token * outputs, 1);
        if (!textgen_all_finite(table + token * outputs, outputs)) {
            return textgen_fail_overflow(pack->error);
        }
    }
    network->token_gates = table;
    return TEXTGEN_OK;
}

static int32_t pack_embedding(textgen_packing *pack) {
    const textgen_layer *embedding = &pack->description->layers[0];
    const size_t size = pack->network->embedding_size;
    uint8_t *rows = (uint8_t *)textgen_pack_reserve(pack, embedding->inputs * size / sizeof(float));
    float *scales = textgen_pack_reserve(pack, embedding->inputs);
    TEXTGEN_TRY(read_scales(pack, embedding->scales[0]));
    for (size_t token = 0; token < embedding->inputs; token++) {
        if (!pack_embedding_row(pack, token, rows + token * size)) {
            return textgen_tensor_damaged(embedding->tensors[0], pack->error);
        }
        scales[token] = pack->rows[token];
    }
    pack->network->int8.embedding = rows;
    pack->network->int8.embedding_scales = scales;
    return TEXTGEN_OK;
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
    TEXTGEN_TRY(textgen_tensor_floats(layer->tensors[1], 0, vocabulary, bias, pack->error));
    TEXTGEN_TRY(read_scales(pack, layer->scales[0]));
    for (size_t token = 0; token < vocabulary; token++) {
        int8_t *column =
            weights + token / TEXTGEN_BLOCK * TEXTGEN_BLOCK * pack->padded_units + token % TEXTGEN_BLOCK * 4;
        int32_t total;
        if (!pack_sum(values_of(layer->tensors[0]) + token, vocabulary, pack->units, column, TEXTGEN_BLOCK,
                      &total)) {
            return textgen_tensor_damaged(layer->tensors[0], pack->error);
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
    return TEXTGEN_OK;
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
    for (size_t i = 0; i < pack->network->layer_count; i++) {
        TEXTGEN_TRY(pack_recurrent(pack, i, table && i == 0));
    }
    TEXTGEN_TRY(table ? pack_token_gates(pack) : pack_embedding(pack));
    find_bounds(pack->network);
    return pack_output(pack);
}
