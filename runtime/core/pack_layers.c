#include "pack_layers.h"

#include "exact.h"
#include "tensors.h"

#include <math.h>
#include <string.h>

static int32_t fail_overflow(const textgen_error *error) {
    return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                        "sums of the weights overflow float32: the file is damaged");
}

/* Convert an index in the kernels' order of gates, [groups][4][GROUP], to ONNX's order, [4][units]. Padding has
 * the index SIZE_MAX. */
static size_t gate_row(size_t index, size_t units) {
    const size_t group = index / TEXTGEN_BLOCK, gate = index % TEXTGEN_BLOCK / TEXTGEN_GROUP;
    const size_t unit = group * TEXTGEN_GROUP + index % TEXTGEN_GROUP;
    return unit < units ? gate * units + unit : SIZE_MAX;
}

static float *reserve(textgen_packing *pack, size_t count) {
    const size_t line = TEXTGEN_ALIGNMENT / sizeof(float);
    float *start = pack->next;
    pack->next += (count + line - 1) / line * line;
    return start;
}

/* Copy ONNX's matrix [4 * units][inputs] to an lstm's blocks [groups][rows][BLOCK], from row `first` on. */
static int32_t pack_gates(textgen_packing *pack, const textgen_tensor *tensor, size_t inputs, float *blocks,
                          size_t first, size_t rows) {
    for (size_t gate = 0; gate < TEXTGEN_GATES; gate++) {
        for (size_t unit = 0; unit < pack->units; unit += TEXTGEN_GROUP) {
            const size_t left = pack->units - unit, count = left < TEXTGEN_GROUP ? left : TEXTGEN_GROUP;
            float *block = blocks + unit / TEXTGEN_GROUP * rows * TEXTGEN_BLOCK + first * TEXTGEN_BLOCK;
            const int32_t code = textgen_tensor_floats(tensor, (gate * pack->units + unit) * inputs,
                                                       count * inputs, pack->rows, pack->error);
            if (code != TEXTGEN_OK) {
                return code;
            }
            for (size_t i = 0; i < inputs; i++) {
                for (size_t j = 0; j < count; j++) {
                    block[i * TEXTGEN_BLOCK + gate * TEXTGEN_GROUP + j] = pack->rows[j * inputs + i];
                }
            }
        }
    }
    return TEXTGEN_OK;
}

/* Read an lstm's bias, input bias plus recurrent bias, as float64 in the kernels' order. */
static int32_t read_bias(textgen_packing *pack, const textgen_tensor *tensor) {
    const size_t units = pack->units;
    for (size_t i = 0; i < TEXTGEN_GATES * pack->padded_units; i++) {
        const size_t row = gate_row(i, units);
        float input = 0;
        float recurrent = 0;
        pack->bias[i] = 0.0;
        if (row == SIZE_MAX) {
            continue;
        }
        int32_t code = textgen_tensor_floats(tensor, row, 1, &input, pack->error);
        if (code == TEXTGEN_OK) {
            code = textgen_tensor_floats(tensor, TEXTGEN_GATES * units + row, 1, &recurrent, pack->error);
        }
        if (code != TEXTGEN_OK) {
            return code;
        }
        pack->bias[i] = (double)input + (double)recurrent;
    }
    return TEXTGEN_OK;
}

static int32_t pack_bias(textgen_packing *pack, const textgen_tensor *tensor, float *bias) {
    const int32_t code = read_bias(pack, tensor);
    for (size_t i = 0; code == TEXTGEN_OK && i < TEXTGEN_GATES * pack->padded_units; i++) {
        bias[i] = (float)pack->bias[i];
        if (!isfinite(bias[i])) {
            return fail_overflow(pack->error);
        }
    }
    return code;
}

int32_t textgen_pack_lstm(textgen_packing *pack, size_t index, bool with_inputs) {
    const textgen_layer *layer = &pack->description->layers[index + 1];
    textgen_packed_layer *packed = &pack->network->lstm_layers[index];
    /* The output of an lstm is padded, that of the embedding is not. */
    const size_t inputs = !with_inputs ? 0 : index ? pack->padded_units : layer->inputs;
    const size_t rows = inputs + pack->padded_units, groups = pack->padded_units / TEXTGEN_GROUP;
    float *weights = reserve(pack, groups * rows * TEXTGEN_BLOCK),
          *bias = reserve(pack, groups * TEXTGEN_BLOCK);
    int32_t code = TEXTGEN_OK;
    packed->inputs = (ptrdiff_t)inputs;
    packed->outputs = (ptrdiff_t)pack->padded_units;
    packed->weights = weights;
    packed->bias = bias;
    if (with_inputs) {
        code = pack_gates(pack, layer->tensors[0], layer->inputs, weights, 0, rows);
    }
    if (code == TEXTGEN_OK) {
        code = pack_gates(pack, layer->tensors[1], pack->units, weights, inputs, rows);
    }
    return code == TEXTGEN_OK ? pack_bias(pack, layer->tensors[2], bias) : code;
}

/* Read the first lstm's input weights for `count` columns of the token_gates table, starting at column `first`,
 * in the order that the kernel `project` reads. */
static int32_t read_columns(textgen_packing *pack, const textgen_tensor *tensor, size_t inputs, size_t first,
                            size_t count) {
    for (size_t i = 0; i < count; i++) {
        const size_t row = gate_row(first + i, pack->units);
        double *column = pack->weights + i / TEXTGEN_BLOCK * inputs * TEXTGEN_BLOCK + i % TEXTGEN_BLOCK;
        if (row != SIZE_MAX) {
            const int32_t code = textgen_tensor_floats(tensor, row * inputs, inputs, pack->rows, pack->error);
            if (code != TEXTGEN_OK) {
                return code;
            }
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
        const int32_t code = textgen_tensor_floats(embedding->tensors[0], token * inputs, tokens * inputs,
                                                   pack->rows, pack->error);
        if (code != TEXTGEN_OK) {
            return code;
        }
        pack->network->kernels->project(pack->weights, pack->bias + first, pack->rows, (ptrdiff_t)inputs,
                                        (ptrdiff_t)count, (ptrdiff_t)tokens, pack->products);
        if (!textgen_all_finite(pack->products, tokens * count)) {
            return fail_overflow(pack->error);
        }
        for (size_t i = 0; i < tokens; i++) {
            memcpy(table + (token + i) * outputs + first, pack->products + i * count, count * sizeof(float));
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_pack_token_gates(textgen_packing *pack) {
    const textgen_layer *embedding = &pack->description->layers[0], *lstm = &pack->description->layers[1];
    const size_t outputs = TEXTGEN_GATES * pack->padded_units;
    float *table = reserve(pack, embedding->inputs * outputs);
    int32_t code = read_bias(pack, lstm->tensors[2]);
    for (size_t first = 0; code == TEXTGEN_OK && first < outputs; first += pack->columns) {
        const size_t left = outputs - first, count = left < pack->columns ? left : pack->columns;
        code = read_columns(pack, lstm->tensors[0], embedding->outputs, first, count);
        if (code == TEXTGEN_OK) {
            code = fill_columns(pack, first, count, table, outputs);
        }
    }
    pack->network->token_gates = table;
    return code;
}

int32_t textgen_pack_embedding(textgen_packing *pack) {
    const textgen_layer *embedding = &pack->description->layers[0];
    float *rows = reserve(pack, embedding->inputs * embedding->outputs);
    pack->network->embedding = rows;
    return textgen_tensor_floats(embedding->tensors[0], 0, embedding->inputs * embedding->outputs, rows,
                                 pack->error);
}

/* Convert [units][vocabulary] to [vocabulary / BLOCK][padded units][BLOCK]. */
int32_t textgen_pack_output(textgen_packing *pack) {
    const textgen_layer *layer = &pack->description->layers[pack->description->layer_count - 1];
    textgen_network *network = pack->network;
    const size_t vocabulary = layer->outputs, padded = (size_t)network->padded_vocabulary;
    float *weights = reserve(pack, padded * pack->padded_units), *bias = reserve(pack, padded),
          *masked_bias = reserve(pack, padded);
    int32_t code = textgen_tensor_floats(layer->tensors[1], 0, vocabulary, bias, pack->error);
    for (size_t unit = 0; code == TEXTGEN_OK && unit < pack->units; unit++) {
        code = textgen_tensor_floats(layer->tensors[0], unit * vocabulary, vocabulary, pack->rows, pack->error);
        for (size_t start = 0; code == TEXTGEN_OK && start < vocabulary; start += TEXTGEN_BLOCK) {
            const size_t left = vocabulary - start, count = left < TEXTGEN_BLOCK ? left : TEXTGEN_BLOCK;
            memcpy(weights + start * pack->padded_units + unit * TEXTGEN_BLOCK, pack->rows + start,
                   count * sizeof(float));
        }
    }
    memcpy(masked_bias, bias, padded * sizeof(float));
    textgen_special_mask(&network->special, masked_bias);
    network->output_layer.inputs = (ptrdiff_t)pack->padded_units;
    network->output_layer.outputs = (ptrdiff_t)padded;
    network->output_layer.weights = weights;
    network->output_layer.bias = bias;
    network->masked_output_layer = network->output_layer;
    network->masked_output_layer.bias = masked_bias;
    return code;
}
