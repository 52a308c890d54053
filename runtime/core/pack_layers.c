#include "pack_layers.h"

#include "exact.h"
#include "tensors.h"

#include <math.h>
#include <string.h>

int32_t textgen_fail_overflow(textgen_error *error) {
    return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                        "sums of the weights overflow float32: export the model again");
}

static const textgen_gate_order lstm_order = {4, {0, 1, 2, 3}, {0, 1, 2, 3}};
/* In the file: update, reset, candidate. */
static const textgen_gate_order gru_order = {3, {2, 0, 1, -1}, {-1, 0, 1, 2}};

const textgen_gate_order *textgen_gate_order_of(textgen_layer_kind kind) {
    return kind == TEXTGEN_LSTM ? &lstm_order : &gru_order;
}

static const textgen_gate_order *order_of(const textgen_packing *pack) {
    return textgen_gate_order_of(pack->network->kind);
}

/* Convert an index in the kernels' order of sums, [groups][4][GROUP], to the order of the file, [gates][units].
 * gates: the gate of each sum. Padding and sums without a gate have the index SIZE_MAX. */
static size_t gate_row(size_t index, size_t units, const int *gates) {
    const size_t group = index / TEXTGEN_BLOCK, unit = group * TEXTGEN_GROUP + index % TEXTGEN_GROUP;
    const int gate = gates[index % TEXTGEN_BLOCK / TEXTGEN_GROUP];
    return unit < units && gate >= 0 ? (size_t)gate * units + unit : SIZE_MAX;
}

float *textgen_pack_reserve(textgen_packing *pack, size_t count) {
    const size_t line = TEXTGEN_ALIGNMENT / sizeof(float);
    float *start = pack->next;
    pack->next += (count + line - 1) / line * line;
    return start;
}

/* Copy ONNX's matrix [gates * units][inputs] to blocks [groups][rows][gates * GROUP], from row `first` on. The
 * blocks have columns for the sums that have a gate. */
static int32_t pack_gates(textgen_packing *pack, const textgen_tensor *tensor, const int *gates, size_t inputs,
                          float *blocks, size_t first, size_t rows) {
    const size_t block_size = order_of(pack)->gates * TEXTGEN_GROUP;
    size_t column = 0;
    for (size_t sum = 0; sum < TEXTGEN_SUMS; sum++) {
        if (gates[sum] < 0) {
            continue;
        }
        for (size_t unit = 0; unit < pack->units; unit += TEXTGEN_GROUP) {
            const size_t left = pack->units - unit, count = left < TEXTGEN_GROUP ? left : TEXTGEN_GROUP;
            const size_t row = (size_t)gates[sum] * pack->units + unit;
            float *block = blocks + (unit / TEXTGEN_GROUP * rows + first) * block_size + column;
            TEXTGEN_TRY(textgen_tensor_floats(tensor, row * inputs, count * inputs, pack->rows, pack->error));
            for (size_t i = 0; i < inputs; i++) {
                for (size_t j = 0; j < count; j++) {
                    block[i * block_size + j] = pack->rows[j * inputs + i];
                }
            }
        }
        column += TEXTGEN_GROUP;
    }
    return TEXTGEN_OK;
}

/* Read a layer's bias, input bias plus recurrent bias, as float64 in the kernels' order. */
static int32_t read_bias(textgen_packing *pack, const textgen_tensor *tensor) {
    const textgen_gate_order *order = order_of(pack);
    const size_t units = pack->units;
    for (size_t i = 0; i < TEXTGEN_SUMS * pack->padded_units; i++) {
        const size_t input_row = gate_row(i, units, order->input);
        const size_t recurrent_row = gate_row(i, units, order->recurrent);
        float input = 0, recurrent = 0;
        if (input_row != SIZE_MAX) {
            TEXTGEN_TRY(textgen_tensor_floats(tensor, input_row, 1, &input, pack->error));
        }
        if (recurrent_row != SIZE_MAX) {
            TEXTGEN_TRY(textgen_tensor_floats(tensor, order->gates * units + recurrent_row, 1, &recurrent,
                                              pack->error));
        }
        pack->bias[i] = (double)input + (double)recurrent;
    }
    return TEXTGEN_OK;
}

int32_t textgen_pack_bias(textgen_packing *pack, const textgen_tensor *tensor, float *bias) {
    TEXTGEN_TRY(read_bias(pack, tensor));
    for (size_t i = 0; i < TEXTGEN_SUMS * pack->padded_units; i++) {
        bias[i] = (float)pack->bias[i];
        if (!isfinite(bias[i])) {
            return textgen_fail_overflow(pack->error);
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_pack_recurrent(textgen_packing *pack, size_t index, bool with_inputs) {
    const textgen_gate_order *order = order_of(pack);
    const textgen_layer *layer = &pack->description->layers[index + 1];
    textgen_packed_layer *packed = &pack->network->layers[index];
    /* The output of a layer is padded, that of the embedding is not. */
    const size_t inputs = !with_inputs ? 0 : index ? pack->padded_units : layer->inputs;
    const size_t rows = inputs + pack->padded_units, size = order->gates * pack->padded_units * rows;
    float *weights = textgen_pack_reserve(pack, size),
          *bias = textgen_pack_reserve(pack, TEXTGEN_SUMS * pack->padded_units);
    *packed = (textgen_packed_layer){(ptrdiff_t)inputs, (ptrdiff_t)pack->padded_units, (ptrdiff_t)size, weights,
                                     bias};
    if (with_inputs) {
        TEXTGEN_TRY(pack_gates(pack, layer->tensors[0], order->input, layer->inputs, weights, 0, rows));
    }
    TEXTGEN_TRY(pack_gates(pack, layer->tensors[1], order->recurrent, pack->units, weights, inputs, rows));
    return textgen_pack_bias(pack, layer->tensors[2], bias);
}

/* Convert ONNX's matrix [2 * inputs][2 * units] to blocks [groups][2 * padded inputs][BLOCK]. */
static int32_t pack_conv_rows(textgen_packing *pack, const textgen_layer *layer, size_t inputs,
                              float *weights) {
    const size_t units = pack->units;
    for (size_t row = 0; row < 2 * layer->inputs; row++) {
        const size_t place = row < layer->inputs ? row : inputs + row - layer->inputs;
        TEXTGEN_TRY(
            textgen_tensor_floats(layer->tensors[0], row * 2 * units, 2 * units, pack->rows, pack->error));
        for (size_t unit = 0; unit < units; unit++) {
            const size_t group = unit / TEXTGEN_CONV_GROUP, column = unit % TEXTGEN_CONV_GROUP;
            float *block = weights + (group * 2 * inputs + place) * TEXTGEN_BLOCK;
            block[column] = pack->rows[unit];
            block[TEXTGEN_CONV_GROUP + column] = pack->rows[units + unit];
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_pack_conv(textgen_packing *pack, size_t index) {
    const textgen_layer *layer = &pack->description->layers[index + 1];
    textgen_packed_layer *packed = &pack->network->layers[index];
    /* The output of a layer is padded, that of the embedding is not. */
    const size_t inputs = index ? pack->padded_units : layer->inputs, size = 4 * pack->padded_units * inputs;
    float *weights = textgen_pack_reserve(pack, size),
          *bias = textgen_pack_reserve(pack, 2 * pack->padded_units);
    *packed = (textgen_packed_layer){(ptrdiff_t)inputs, (ptrdiff_t)pack->padded_units, (ptrdiff_t)size, weights,
                                     bias};
    TEXTGEN_TRY(pack_conv_rows(pack, layer, inputs, weights));
    TEXTGEN_TRY(textgen_tensor_floats(layer->tensors[1], 0, 2 * pack->units, pack->rows, pack->error));
    for (size_t unit = 0; unit < pack->units; unit++) {
        float *block = bias + unit / TEXTGEN_CONV_GROUP * TEXTGEN_BLOCK + unit % TEXTGEN_CONV_GROUP;
        block[0] = pack->rows[unit];
        block[TEXTGEN_CONV_GROUP] = pack->rows[pack->units + unit];
    }
    return TEXTGEN_OK;
}

/* Read the first layer's input weights for `count` columns of the token_gates table, starting at column
 * `first`, in the order that the kernel `project` reads. */
static int32_t read_columns(textgen_packing *pack, const textgen_tensor *tensor, size_t inputs, size_t first,
                            size_t count) {
    for (size_t i = 0; i < count; i++) {
        const size_t row = gate_row(first + i, pack->units, order_of(pack)->input);
        double *column = pack->weights + i / TEXTGEN_BLOCK * inputs * TEXTGEN_BLOCK + i % TEXTGEN_BLOCK;
        if (row != SIZE_MAX) {
            TEXTGEN_TRY(textgen_tensor_floats(tensor, row * inputs, inputs, pack->rows, pack->error));
        }
        for (size_t j = 0; j < inputs; j++) {
            column[j * TEXTGEN_BLOCK] = row == SIZE_MAX ? 0.0 : (double)pack->rows[j];
        }
    }
    return TEXTGEN_OK;
}

/* Multiply the embedding by the weights of some columns, into the table [vocabulary][outputs]. */
static int32_t fill_columns(textgen_packing *pack, size_t first, size_t count, float *table, size_t outputs) {
    const textgen_layer *embedding = &pack->description->layers[0];
    const size_t inputs = embedding->outputs;
    for (size_t token = 0; token < embedding->inputs; token += pack->tokens) {
        const size_t left = embedding->inputs - token, tokens = left < pack->tokens ? left : pack->tokens;
        TEXTGEN_TRY(textgen_tensor_floats(embedding->tensors[0], token * inputs, tokens * inputs, pack->rows,
                                          pack->error));
        pack->network->kernels->project(pack->weights, pack->bias + first, pack->rows, (ptrdiff_t)inputs,
                                        (ptrdiff_t)count, (ptrdiff_t)tokens, pack->products);
        if (!textgen_all_finite(pack->products, tokens * count)) {
            return textgen_fail_overflow(pack->error);
        }
        for (size_t i = 0; i < tokens; i++) {
            memcpy(table + (token + i) * outputs + first, pack->products + i * count, count * sizeof(float));
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_pack_token_gates(textgen_packing *pack) {
    const textgen_layer *embedding = &pack->description->layers[0], *layer = &pack->description->layers[1];
    const size_t outputs = TEXTGEN_SUMS * pack->padded_units;
    float *table = textgen_pack_reserve(pack, embedding->inputs * outputs);
    TEXTGEN_TRY(read_bias(pack, layer->tensors[2]));
    for (size_t first = 0; first < outputs; first += pack->columns) {
        const size_t left = outputs - first, count = left < pack->columns ? left : pack->columns;
        TEXTGEN_TRY(read_columns(pack, layer->tensors[0], embedding->outputs, first, count));
        TEXTGEN_TRY(fill_columns(pack, first, count, table, outputs));
    }
    pack->network->token_gates = table;
    return TEXTGEN_OK;
}

int32_t textgen_pack_embedding(textgen_packing *pack) {
    const textgen_layer *embedding = &pack->description->layers[0];
    float *rows = textgen_pack_reserve(pack, embedding->inputs * embedding->outputs);
    pack->network->embedding = rows;
    return textgen_tensor_floats(embedding->tensors[0], 0, embedding->inputs * embedding->outputs, rows,
                                 pack->error);
}

/* Convert [units][vocabulary] to [vocabulary / BLOCK][padded units][BLOCK]. */
int32_t textgen_pack_output(textgen_packing *pack) {
    const textgen_layer *layer = &pack->description->layers[pack->description->layer_count - 1];
    textgen_network *network = pack->network;
    const size_t vocabulary = layer->outputs, padded = (size_t)network->padded_vocabulary;
    float *weights = textgen_pack_reserve(pack, padded * pack->padded_units),
          *bias = textgen_pack_reserve(pack, padded), *masked_bias = textgen_pack_reserve(pack, padded);
    TEXTGEN_TRY(textgen_tensor_floats(layer->tensors[1], 0, vocabulary, bias, pack->error));
    for (size_t unit = 0; unit < pack->units; unit++) {
        TEXTGEN_TRY(
            textgen_tensor_floats(layer->tensors[0], unit * vocabulary, vocabulary, pack->rows, pack->error));
        for (size_t start = 0; start < vocabulary; start += TEXTGEN_BLOCK) {
            const size_t left = vocabulary - start, count = left < TEXTGEN_BLOCK ? left : TEXTGEN_BLOCK;
            memcpy(weights + start * pack->padded_units + unit * TEXTGEN_BLOCK, pack->rows + start,
                   count * sizeof(float));
        }
    }
    memcpy(masked_bias, bias, padded * sizeof(float));
    textgen_special_mask(&network->special, masked_bias);
    network->output_layer = (textgen_packed_layer){(ptrdiff_t)pack->padded_units, (ptrdiff_t)padded,
                                                   (ptrdiff_t)(padded * pack->padded_units), weights, bias};
    network->masked_output_layer = network->output_layer;
    network->masked_output_layer.bias = masked_bias;
    return TEXTGEN_OK;
}
