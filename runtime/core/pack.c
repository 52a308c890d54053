#include "pack.h"

#include "exact.h"

#include <math.h>
#include <string.h>

/* The limit for the token_gates table. If there are too many tokens and units, each time step multiplies the
 * embedding instead. A program with little memory may define a lower one. */
#ifndef TEXTGEN_MAX_TABLE_BYTES
#define TEXTGEN_MAX_TABLE_BYTES ((uint64_t)1 << 28)
#endif

/* A network takes at most MAX_MEMORY_RATIO times the bytes of the weights in the file, plus EXTRA_BYTES, so
 * that a small file cannot exhaust the memory. Padding enlarges layers of few units, and the token_gates table
 * enlarges small embeddings. */
#define MAX_MEMORY_RATIO 8
#define EXTRA_BYTES ((uint64_t)1 << 25)

enum { ALIGNMENT = TEXTGEN_PART_ALIGNMENT, GATES = TEXTGEN_BLOCK / TEXTGEN_GROUP };

/* A network under construction. */
typedef struct {
    const textgen_description *description;
    textgen_error *error;
    textgen_network *network;
    float *row; /* temporary: values in the order of the file */
} packing;

static size_t padded(size_t size, size_t to) { return (size + to - 1) / to * to; }

/* The bytes of the weights in the file. Their shapes match the sizes of the layers. */
static uint64_t stored_bytes(const textgen_description *description) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < description->layer_count; i++) {
        for (size_t j = 0; j < TEXTGEN_LAYER_TENSORS && description->layers[i].tensors[j]; j++) {
            const textgen_tensor *tensor = description->layers[i].tensors[j];
            bytes += tensor->raw.size;
        }
    }
    return bytes;
}

static textgen_network describe(const textgen_description *description, const textgen_kernels *kernels,
                                textgen_special special) {
    textgen_network network = {.special = special, .kernels = kernels};
    network.vocabulary = description->sizes.vocabulary;
    network.units = description->layers[1].outputs;
    network.padded_units = padded(network.units, TEXTGEN_GROUP);
    network.padded_vocabulary = padded(network.vocabulary, TEXTGEN_BLOCK);
    network.layer_count = description->layer_count - 2;
    network.state_values = 2 * network.layer_count * network.units;
    network.bits = description->sizes.bits;
    network.exp64 = textgen_find_exp64(kernels->name);
    return network;
}

/* The bytes of the token_gates table. */
static uint64_t table_bytes(const textgen_network *network) {
    return (uint64_t)GATES * network->vocabulary * network->padded_units * sizeof(float);
}

/* The bytes of the temporary memory that computing this table takes. */
static uint64_t temporary_bytes(const textgen_network *network, const textgen_description *description) {
    const uint64_t inputs = padded(description->layers[0].outputs, TEXTGEN_GROUP);
    const uint64_t outputs = (uint64_t)GATES * network->padded_units;
    return ALIGNMENT + (network->bits == 8
                            ? outputs * 2 * sizeof(float) + (outputs + 1) * inputs
                            : (network->vocabulary + 2 * TEXTGEN_BLOCK) * inputs * sizeof(float));
}

/* Place the scales and the offsets of `count` sums. */
static textgen_int8_factors place_factors(char *start, uint64_t *used, uint64_t count) {
    textgen_int8_factors factors;
    factors.scales = textgen_part(start, used, count * sizeof(float));
    factors.offsets = textgen_part(start, used, count * sizeof(int32_t));
    return factors;
}

/* Place all arrays of a network, in memory or, if `start` is NULL, only to count their bytes. */
static uint64_t place(textgen_network *network, const textgen_description *description, char *start) {
    const bool is_int8 = network->bits == 8;
    const uint64_t units = network->padded_units, embedding_size = network->embedding_size;
    const uint64_t vocabulary = network->vocabulary;
    const size_t weight_size = is_int8 ? 1 : sizeof(float), count = network->layer_count;
    uint64_t used = 0;
    float bound = 0.0f;
    network->layers = textgen_part(start, &used, (count + 2) * sizeof *network->layers);
    uint64_t first = used;
    for (size_t i = 0; i <= count; i++) {
        const bool is_output = i == count;
        const uint64_t inputs = i ? units : embedding_size;
        const uint64_t outputs = is_output ? network->padded_vocabulary : units;
        const uint64_t rows = is_output ? inputs : inputs + units, sums = is_output ? outputs : GATES * units;
        textgen_packed_layer layer = {
            .inputs = (ptrdiff_t)inputs, .outputs = (ptrdiff_t)outputs, .bits = network->bits};
        layer.bias = textgen_part(start, &used, sums * sizeof(float));
        /* A row of the token_gates table replaces the bias of the first layer. */
        first = inputs ? first : used;
        layer.weights = textgen_part(start, &used, rows * sums * weight_size);
        if (is_int8 && inputs) {
            layer.input = place_factors(start, &used, sums);
        }
        if (is_int8 && !is_output) {
            layer.hidden = place_factors(start, &used, sums);
        }
        /* The output of an lstm is in [-1, 1]. */
        layer.bound = bound;
        layer.residual = description->layers[i + 1].residual;
        bound = layer.residual ? bound + 1.0f : 1.0f;
        if (start) {
            network->layers[i] = layer;
        }
    }
    used += (TEXTGEN_READ_BYTES - (used - first) % TEXTGEN_READ_BYTES) % TEXTGEN_READ_BYTES;
    network->weights = start ? start + first : NULL;
    network->weight_bytes = (size_t)(used - first);
    float *masked_bias = textgen_part(start, &used, network->padded_vocabulary * sizeof(float));
    if (start) {
        network->layers[count + 1] = network->layers[count];
        network->layers[count + 1].bias = masked_bias;
    }
    if (!embedding_size) {
        network->token_gates = textgen_part(start, &used, table_bytes(network));
    } else {
        network->embedding = textgen_part(start, &used, vocabulary * embedding_size * weight_size);
        network->embedding_scales = textgen_part(start, &used, is_int8 ? vocabulary * sizeof(float) : 0);
    }
    return used;
}

static int32_t fail_weights(const packing *pack, const textgen_tensor *tensor) {
    char quoted[TEXTGEN_QUOTE_SIZE];
    return textgen_fail(pack->error, TEXTGEN_DAMAGED_MODEL,
                        "the weights %s are out of range: export the model again",
                        textgen_quote(tensor->name, quoted));
}

/* The row of the file's matrix, [gates][units] or [vocabulary], that belongs to a sum in the kernels' order;
 * SIZE_MAX for padding. */
static size_t row_of(const textgen_network *network, bool is_output, size_t sum) {
    const size_t gate = sum % TEXTGEN_BLOCK / TEXTGEN_GROUP;
    const size_t unit = sum / TEXTGEN_BLOCK * TEXTGEN_GROUP + sum % TEXTGEN_GROUP;
    if (is_output) {
        return sum < network->vocabulary ? sum : SIZE_MAX;
    }
    return unit < network->units ? gate * network->units + unit : SIZE_MAX;
}

/* Copy a matrix [gates][units][inputs] to blocks [rows][BLOCK]. */
static int32_t pack_gates(const packing *pack, const textgen_tensor *tensor, size_t inputs, float *weights,
                          size_t rows) {
    for (size_t sum = 0; sum < GATES * pack->network->padded_units; sum++) {
        const size_t row = row_of(pack->network, false, sum);
        float *column = weights + sum / TEXTGEN_BLOCK * rows * TEXTGEN_BLOCK + sum % TEXTGEN_BLOCK;
        if (row != SIZE_MAX) {
            TEXTGEN_TRY(textgen_tensor_floats(tensor, row * inputs, inputs, pack->row, pack->error));
            for (size_t i = 0; i < inputs; i++) {
                column[i * TEXTGEN_BLOCK] = pack->row[i];
            }
        }
    }
    return TEXTGEN_OK;
}

/* Copy the output matrix [units][vocabulary] to blocks [padded units][BLOCK]. */
static int32_t pack_output(const packing *pack, const textgen_tensor *tensor, float *weights) {
    const textgen_network *network = pack->network;
    for (size_t unit = 0; unit < network->units; unit++) {
        TEXTGEN_TRY(textgen_tensor_floats(tensor, unit * network->vocabulary, network->vocabulary, pack->row,
                                          pack->error));
        for (size_t start = 0; start < network->vocabulary; start += TEXTGEN_BLOCK) {
            const size_t left = network->vocabulary - start,
                         count = left < TEXTGEN_BLOCK ? left : TEXTGEN_BLOCK;
            memcpy(weights + start * network->padded_units + unit * TEXTGEN_BLOCK, pack->row + start,
                   count * sizeof(float));
        }
    }
    return TEXTGEN_OK;
}

/* Read scales into `row`. */
static int32_t read_scales(const packing *pack, const textgen_tensor *scales) {
    const size_t count = (size_t)scales->shape[0];
    TEXTGEN_TRY(textgen_tensor_floats(scales, 0, count, pack->row, pack->error));
    for (size_t i = 0; i < count; i++) {
        /* Some processors replace numbers below FLT_MIN by 0. */
        if (pack->row[i] < FLT_MIN) {
            return fail_weights(pack, scales);
        }
    }
    return TEXTGEN_OK;
}

/* Copy the weights of one sum to its column of a block [inputs / 4][BLOCK][4], and add them up. Return false if
 * they exceed their bounds. stride: the distance of two weights. */
static bool pack_column(const int8_t *weights, size_t stride, size_t inputs, int8_t *column, int32_t *total) {
    int even = 0;
    *total = 0;
    for (size_t i = 0; i < inputs; i++) {
        const int weight = weights[i * stride], pair = i % 2 ? even + weight : weight;
        if (weight < -TEXTGEN_INT8_LEVELS || pair < -TEXTGEN_INT8_PAIR_BOUND ||
            pair > TEXTGEN_INT8_PAIR_BOUND) {
            return false;
        }
        column[i / 4 * 4 * TEXTGEN_BLOCK + i % 4] = (int8_t)weight;
        *total += weight;
        even = weight;
    }
    return true;
}

/* Pack one of the 8-bit matrices of a layer. part: 0 for that of the inputs, 1 for that of the hidden state.
 * weights: its first row in the first block. rows: of a block. */
static int32_t pack_int8(const packing *pack, const textgen_layer *layer, int part, int8_t *weights,
                         size_t rows, textgen_int8_factors factors) {
    const textgen_network *network = pack->network;
    const textgen_tensor *tensor = layer->tensors[part];
    const int8_t *values = (const int8_t *)tensor->raw.data;
    const bool is_output = layer->kind == TEXTGEN_LINEAR;
    const size_t inputs = part ? network->units : layer->inputs;
    TEXTGEN_TRY(read_scales(pack, layer->scales[part]));
    for (size_t sum = 0; sum < (is_output ? network->padded_vocabulary : GATES * network->padded_units);
         sum++) {
        const size_t row = row_of(network, is_output, sum);
        int8_t *column = weights + sum / TEXTGEN_BLOCK * rows * TEXTGEN_BLOCK + sum % TEXTGEN_BLOCK * 4;
        int32_t total;
        if (row == SIZE_MAX) {
            continue;
        }
        /* The outputs are the columns of the output matrix, and the rows of the others. */
        if (!pack_column(values + (is_output ? row : row * inputs), is_output ? network->vocabulary : 1, inputs,
                         column, &total)) {
            return fail_weights(pack, tensor);
        }
        factors.scales[sum] = part ? pack->row[row] * (1.0f / TEXTGEN_INT8_LEVELS) : pack->row[row];
        factors.offsets[sum] = -network->kernels->zero * total;
    }
    return TEXTGEN_OK;
}

/* Add the two biases of a gate of an lstm; 0 for padding. */
static int32_t read_bias(const packing *pack, const textgen_tensor *tensor, size_t sum, double *bias) {
    const size_t row = row_of(pack->network, false, sum);
    float input = 0.0f, recurrent = 0.0f;
    if (row != SIZE_MAX) {
        TEXTGEN_TRY(textgen_tensor_floats(tensor, row, 1, &input, pack->error));
        TEXTGEN_TRY(
            textgen_tensor_floats(tensor, GATES * pack->network->units + row, 1, &recurrent, pack->error));
    }
    *bias = (double)input + (double)recurrent;
    return TEXTGEN_OK;
}

static int32_t pack_lstm(const packing *pack, const textgen_layer *layer, const textgen_packed_layer *packed) {
    const size_t inputs = (size_t)packed->inputs, rows = inputs + (size_t)packed->outputs;
    for (int part = inputs ? 0 : 1; part < 2; part++) {
        const size_t first = part ? inputs * TEXTGEN_BLOCK : 0;
        TEXTGEN_TRY(pack->network->bits == 8
                        ? pack_int8(pack, layer, part, (int8_t *)packed->weights + first, rows,
                                    part ? packed->hidden : packed->input)
                        : pack_gates(pack, layer->tensors[part], part ? pack->network->units : layer->inputs,
                                     (float *)packed->weights + first, rows));
    }
    for (size_t sum = 0; sum < GATES * pack->network->padded_units; sum++) {
        double bias;
        TEXTGEN_TRY(read_bias(pack, layer->tensors[2], sum, &bias));
        packed->bias[sum] = (float)bias;
        if (!isfinite(packed->bias[sum])) {
            return fail_weights(pack, layer->tensors[2]);
        }
    }
    return TEXTGEN_OK;
}

static int32_t pack_linear(const packing *pack, const textgen_layer *layer) {
    const textgen_network *network = pack->network;
    const textgen_packed_layer *packed = textgen_output_layer(network, false);
    float *masked_bias = textgen_output_layer(network, true)->bias;
    TEXTGEN_TRY(network->bits == 8
                    ? pack_int8(pack, layer, 0, packed->weights, network->padded_units, packed->input)
                    : pack_output(pack, layer->tensors[0], packed->weights));
    TEXTGEN_TRY(textgen_tensor_floats(layer->tensors[1], 0, network->vocabulary, packed->bias, pack->error));
    memcpy(masked_bias, packed->bias, network->vocabulary * sizeof(float));
    textgen_special_mask(&network->special, masked_bias);
    return TEXTGEN_OK;
}

/* Round the embedding of a token to `row`, of padded inputs, as the first layer reads it. */
static int32_t pack_embedding_row(const packing *pack, size_t token, uint8_t *row) {
    const textgen_layer *embedding = &pack->description->layers[0];
    const int8_t *values = (const int8_t *)embedding->tensors[0]->raw.data + token * embedding->outputs;
    const int zero = pack->network->kernels->zero;
    memset(row, zero, padded(embedding->outputs, TEXTGEN_GROUP));
    for (size_t i = 0; i < embedding->outputs; i++) {
        if (values[i] < -TEXTGEN_INT8_LEVELS) {
            return fail_weights(pack, embedding->tensors[0]);
        }
        row[i] = (uint8_t)(values[i] + zero);
    }
    return TEXTGEN_OK;
}

static int32_t pack_embedding(const packing *pack) {
    const textgen_layer *layer = &pack->description->layers[0];
    textgen_network *network = pack->network;
    const size_t size = network->embedding_size;
    if (network->bits == 32) {
        return textgen_tensor_floats(layer->tensors[0], 0, network->vocabulary * size, network->embedding,
                                     pack->error);
    }
    TEXTGEN_TRY(read_scales(pack, layer->scales[0]));
    memcpy(network->embedding_scales, pack->row, network->vocabulary * sizeof(float));
    for (size_t token = 0; token < network->vocabulary; token++) {
        TEXTGEN_TRY(pack_embedding_row(pack, token, (uint8_t *)network->embedding + token * size));
    }
    return TEXTGEN_OK;
}

/* Multiply the embedding by the input weights of the first layer, one block at a time. memory: [vocabulary +
 * 2 * BLOCK][inputs] floats, aligned. */
static int32_t pack_float_table(const packing *pack, char *memory) {
    const textgen_layer *embedding = &pack->description->layers[0], *layer = &pack->description->layers[1];
    textgen_network *network = pack->network;
    const size_t inputs = embedding->outputs, outputs = GATES * network->padded_units;
    double *weights = (double *)(void *)memory, bias[TEXTGEN_BLOCK];
    float *rows = (float *)(void *)(weights + inputs * TEXTGEN_BLOCK);
    TEXTGEN_TRY(
        textgen_tensor_floats(embedding->tensors[0], 0, network->vocabulary * inputs, rows, pack->error));
    for (size_t start = 0; start < outputs; start += TEXTGEN_BLOCK) {
        for (size_t i = 0; i < TEXTGEN_BLOCK; i++) {
            const size_t row = row_of(network, false, start + i);
            TEXTGEN_TRY(read_bias(pack, layer->tensors[2], start + i, &bias[i]));
            if (row != SIZE_MAX) {
                TEXTGEN_TRY(
                    textgen_tensor_floats(layer->tensors[0], row * inputs, inputs, pack->row, pack->error));
            }
            for (size_t j = 0; j < inputs; j++) {
                weights[j * TEXTGEN_BLOCK + i] = row == SIZE_MAX ? 0.0 : (double)pack->row[j];
            }
        }
        network->kernels->project(weights, bias, rows, (ptrdiff_t)inputs, (ptrdiff_t)network->vocabulary,
                                  network->token_gates + start, (ptrdiff_t)outputs);
    }
    return TEXTGEN_OK;
}

/* The same for 8-bit weights. The kernel for the output layer computes a row. memory: [inputs + 9][outputs]
 * bytes, aligned. */
static int32_t pack_int8_table(const packing *pack, char *memory) {
    const textgen_layer *embedding = &pack->description->layers[0];
    textgen_network *network = pack->network;
    const size_t inputs = padded(embedding->outputs, TEXTGEN_GROUP), outputs = GATES * network->padded_units;
    uint64_t used = 0;
    textgen_packed_layer product = {.inputs = (ptrdiff_t)inputs, .outputs = (ptrdiff_t)outputs, .bits = 8};
    product.input = place_factors(memory, &used, outputs);
    product.weights = textgen_part(memory, &used, inputs * outputs);
    product.bias = network->layers[0].bias;
    uint8_t *row = textgen_part(memory, &used, inputs);
    TEXTGEN_TRY(pack_int8(pack, &pack->description->layers[1], 0, product.weights, inputs, product.input));
    TEXTGEN_TRY(read_scales(pack, embedding->scales[0]));
    for (size_t token = 0; token < network->vocabulary; token++) {
        TEXTGEN_TRY(pack_embedding_row(pack, token, row));
        network->kernels->linear(&product, row, &pack->row[token], network->token_gates + token * outputs, 1);
    }
    return TEXTGEN_OK;
}

static int32_t pack_token_gates(const packing *pack) {
    textgen_network *network = pack->network;
    const uint64_t bytes = temporary_bytes(network, pack->description);
    char *memory = textgen_allocate(pack->description->arena, 1, (size_t)bytes);
    if (!memory) {
        return textgen_out_of_memory(pack->error);
    }
    char *aligned = memory + (ALIGNMENT - (uintptr_t)memory % ALIGNMENT) % ALIGNMENT;
    const int32_t code = network->bits == 8 ? pack_int8_table(pack, aligned) : pack_float_table(pack, aligned);
    textgen_release(memory);
    TEXTGEN_TRY(code);
    return textgen_all_finite(network->token_gates, (size_t)table_bytes(network) / sizeof(float))
               ? TEXTGEN_OK
               : fail_weights(pack, pack->description->layers[0].tensors[0]);
}

static int32_t pack_all(const packing *pack) {
    const textgen_network *network = pack->network;
    const textgen_layer *layers = pack->description->layers + 1;
    for (size_t i = 0; i < network->layer_count; i++) {
        TEXTGEN_TRY(pack_lstm(pack, &layers[i], &network->layers[i]));
    }
    TEXTGEN_TRY(network->token_gates ? pack_token_gates(pack) : pack_embedding(pack));
    return pack_linear(pack, &layers[network->layer_count]);
}

int32_t textgen_network_create(const textgen_description *description, const textgen_kernels *kernels,
                               textgen_special special, textgen_network **network, textgen_error *error) {
    textgen_network found = describe(description, kernels, special);
    const size_t inputs = description->layers[0].outputs;
    if (found.bits == 8 && (found.units > TEXTGEN_INT8_MAX_INPUTS || inputs > TEXTGEN_INT8_MAX_INPUTS)) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE, "a layer with 8-bit weights has more than %d inputs",
                            TEXTGEN_INT8_MAX_INPUTS);
    }
    const uint64_t limit = MAX_MEMORY_RATIO * stored_bytes(description) + EXTRA_BYTES;
    uint64_t bytes = place(&found, description, NULL);
    if (table_bytes(&found) > TEXTGEN_MAX_TABLE_BYTES || bytes + temporary_bytes(&found, description) > limit) {
        found.embedding_size = padded(inputs, found.bits == 8 ? TEXTGEN_GROUP : 1);
        bytes = place(&found, description, NULL);
    }
    if (bytes > limit) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE,
                            "the network would need many times more memory than the size of the file");
    }
    bytes += sizeof found + ALIGNMENT;
    /* For 32-bit addresses. */
    textgen_network *created =
        bytes < PTRDIFF_MAX ? textgen_allocate(description->arena, 1, (size_t)bytes) : NULL;
    if (!created) {
        return textgen_out_of_memory(error);
    }
    char *start = (char *)(created + 1);
    place(&found, description, start + (ALIGNMENT - (uintptr_t)start % ALIGNMENT) % ALIGNMENT);
    *created = found;
    const packing pack = {
        description, error, created,
        textgen_allocate(description->arena, GATES * found.units + inputs + found.vocabulary, sizeof(float))};
    const int32_t code = pack.row ? pack_all(&pack) : textgen_out_of_memory(error);
    textgen_release(pack.row);
    if (code < 0) {
        textgen_network_destroy(created);
    } else {
        *network = created;
    }
    return code;
}

void textgen_network_destroy(textgen_network *network) { textgen_release(network); }

size_t textgen_network_step_bytes(const textgen_network *network) {
    const size_t embedding = network->embedding_size * (network->bits == 8 ? 1 : sizeof(float));
    return network->weight_bytes + (embedding ? embedding : GATES * network->padded_units * sizeof(float));
}

uint32_t textgen_network_read(const textgen_network *network) {
    return network->kernels->sum(network->weights, (ptrdiff_t)network->weight_bytes);
}
