#include "pack_layers.h"

#include "exact.h"
#include "tensors.h"

#include <math.h>
#include <string.h>

static int32_t too_large(const textgen_error *error) {
    return textgen_fail(error, TEXTGEN_DAMAGED_MODEL,
                        "its weights are too large to be added up: the model is damaged");
}

/* Where a number of the kernels' gates is in ONNX's [4][units], or SIZE_MAX for padding. */
static size_t gate_row(size_t place, size_t units) {
    const size_t group = place / TEXTGEN_BLOCK, gate = place % TEXTGEN_BLOCK / TEXTGEN_GROUP;
    const size_t unit = group * TEXTGEN_GROUP + place % TEXTGEN_GROUP;
    return unit < units ? gate * units + unit : SIZE_MAX;
}

static float *take(textgen_packing *pack, size_t count) {
    const size_t line = TEXTGEN_ALIGNMENT / sizeof(float);
    float *taken = pack->next;
    pack->next += (count + line - 1) / line * line;
    return taken;
}

/* A matrix [4 * units][inputs] of ONNX's into the rows `first` on of an lstm's blocks [groups][all][BLOCK]. */
static int32_t pack_gates(textgen_packing *pack, const textgen_tensor *tensor, size_t inputs, float *blocks,
                          size_t first, size_t all) {
    for (size_t gate = 0; gate < TEXTGEN_GATES; gate++) {
        for (size_t unit = 0; unit < pack->units; unit += TEXTGEN_GROUP) {
            const size_t left = pack->units - unit, count = left < TEXTGEN_GROUP ? left : TEXTGEN_GROUP;
            float *block = blocks + unit / TEXTGEN_GROUP * all * TEXTGEN_BLOCK + first * TEXTGEN_BLOCK;
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

/* An lstm's bias, the sum of the input's and the recurrence's, in float64 and in the kernels' order. */
static int32_t read_bias(textgen_packing *pack, const textgen_tensor *tensor) {
    const size_t units = pack->units;
    for (size_t place = 0; place < TEXTGEN_GATES * pack->padded; place++) {
        const size_t row = gate_row(place, units);
        float input = 0;
        float recurrent = 0;
        pack->bias[place] = 0.0;
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
        pack->bias[place] = (double)input + (double)recurrent;
    }
    return TEXTGEN_OK;
}

static int32_t pack_bias(textgen_packing *pack, const textgen_tensor *tensor, float *bias) {
    const int32_t code = read_bias(pack, tensor);
    for (size_t i = 0; code == TEXTGEN_OK && i < TEXTGEN_GATES * pack->padded; i++) {
        bias[i] = (float)pack->bias[i];
        if (!isfinite(bias[i])) {
            return too_large(pack->error);
        }
    }
    return code;
}

int32_t textgen_pack_lstm(textgen_packing *pack, size_t index, bool with_inputs) {
    const textgen_layer *layer = &pack->description->layers[index + 1];
    textgen_packed_layer *packed = &pack->network->layers[index];
    /* The layer below is padded as this one is, but for the embedding. */
    const size_t below = !with_inputs ? 0 : index ? pack->padded : layer->inputs;
    const size_t all = below + pack->padded, groups = pack->padded / TEXTGEN_GROUP;
    float *weights = take(pack, groups * all * TEXTGEN_BLOCK), *bias = take(pack, groups * TEXTGEN_BLOCK);
    int32_t code = TEXTGEN_OK;
    packed->inputs = (ptrdiff_t)below;
    packed->outputs = (ptrdiff_t)pack->padded;
    packed->weights = weights;
    packed->bias = bias;
    if (with_inputs) {
        code = pack_gates(pack, layer->tensors[0], layer->inputs, weights, 0, all);
    }
    if (code == TEXTGEN_OK) {
        code = pack_gates(pack, layer->tensors[1], pack->units, weights, below, all);
    }
    return code == TEXTGEN_OK ? pack_bias(pack, layer->tensors[2], bias) : code;
}

/* The first layer's input weights for `count` columns of the table, from `first` on, as `project` reads them.
 */
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

/* The products of some columns' weights with the embedding, into the table [vocabulary][outputs]. */
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
            return too_large(pack->error);
        }
        for (size_t i = 0; i < tokens; i++) {
            memcpy(table + (token + i) * outputs + first, pack->products + i * count, count * sizeof(float));
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_pack_table(textgen_packing *pack) {
    const textgen_layer *embedding = &pack->description->layers[0], *lstm = &pack->description->layers[1];
    const size_t outputs = TEXTGEN_GATES * pack->padded;
    float *table = take(pack, embedding->inputs * outputs);
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
    float *rows = take(pack, embedding->inputs * embedding->outputs);
    pack->network->embedding = rows;
    return textgen_tensor_floats(embedding->tensors[0], 0, embedding->inputs * embedding->outputs, rows,
                                 pack->error);
}

/* The last layer: [units][vocabulary] to [vocabulary / BLOCK][padded units][BLOCK]. */
int32_t textgen_pack_output(textgen_packing *pack) {
    const textgen_layer *layer = &pack->description->layers[pack->description->layer_count - 1];
    textgen_network *network = pack->network;
    const size_t vocabulary = layer->outputs, padded = (size_t)network->padded_vocabulary;
    float *weights = take(pack, padded * pack->padded), *bias = take(pack, padded),
          *drawing = take(pack, padded);
    int32_t code = textgen_tensor_floats(layer->tensors[1], 0, vocabulary, bias, pack->error);
    for (size_t unit = 0; code == TEXTGEN_OK && unit < pack->units; unit++) {
        code = textgen_tensor_floats(layer->tensors[0], unit * vocabulary, vocabulary, pack->rows, pack->error);
        for (size_t start = 0; code == TEXTGEN_OK && start < vocabulary; start += TEXTGEN_BLOCK) {
            const size_t left = vocabulary - start, count = left < TEXTGEN_BLOCK ? left : TEXTGEN_BLOCK;
            memcpy(weights + start * pack->padded + unit * TEXTGEN_BLOCK, pack->rows + start,
                   count * sizeof(float));
        }
    }
    memcpy(drawing, bias, padded * sizeof(float));
    if (network->never_drawn >= 0) {
        drawing[network->never_drawn] = -INFINITY;
    }
    network->output.inputs = (ptrdiff_t)pack->padded;
    network->output.outputs = (ptrdiff_t)padded;
    network->output.weights = weights;
    network->output.bias = bias;
    network->drawing = network->output;
    network->drawing.bias = drawing;
    return code;
}
