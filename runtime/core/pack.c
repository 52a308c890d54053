#include "pack.h"

#include "exact.h"

#include <float.h>
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
    textgen_network *network;
    const textgen_tensor *damaged; /* with values out of range; or NULL */
} packing;

static size_t padded(size_t size, size_t to) { return (size + to - 1) / to * to; }

static textgen_network describe(const textgen_description *description, const textgen_kernels *kernels,
                                textgen_special special) {
    textgen_network network = {.special = special, .kernels = kernels};
    network.vocabulary = description->sizes.vocabulary;
    network.units = description->layers[1].outputs;
    network.padded_units = padded(network.units, TEXTGEN_GROUP);
    network.padded_vocabulary = padded(network.vocabulary, TEXTGEN_BLOCK);
    network.layer_count = description->sizes.layers;
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

/* Note a tensor with values out of range: the first one is reported. */
static void require(packing *pack, bool valid, const textgen_tensor *tensor) {
    if (!valid && !pack->damaged) {
        pack->damaged = tensor;
    }
}

/* Return a value of a float32 tensor, which must be finite. */
static float read_float(packing *pack, const textgen_tensor *tensor, size_t index) {
    const float value = textgen_tensor_float(tensor, index);
    require(pack, isfinite(value), tensor);
    return value;
}

/* Return a scale. Some processors replace numbers less than FLT_MIN by 0. */
static float read_scale(packing *pack, const textgen_tensor *tensor, size_t index) {
    const float scale = read_float(pack, tensor, index);
    require(pack, scale >= FLT_MIN, tensor);
    return scale;
}

/* Copy the weights of one sum to its column of a block [inputs / 4][BLOCK][4]. Return their sum. stride: the
 * distance of two weights. */
static int32_t pack_column(packing *pack, const textgen_tensor *tensor, size_t first, size_t stride,
                           size_t inputs, int8_t *column) {
    const int8_t *weights = (const int8_t *)tensor->raw.data + first;
    int32_t total = 0;
    bool valid = true;
    for (size_t i = 0; i < inputs; i += 2) {
        const int even = weights[i * stride], odd = i + 1 < inputs ? weights[(i + 1) * stride] : 0;
        int8_t *to = column + i / 4 * 4 * TEXTGEN_BLOCK + i % 4;
        to[0] = (int8_t)even;
        to[1] = (int8_t)odd;
        total += even + odd;
        if (even < -TEXTGEN_INT8_LEVELS || odd < -TEXTGEN_INT8_LEVELS ||
            even + odd < -TEXTGEN_INT8_PAIR_BOUND || even + odd > TEXTGEN_INT8_PAIR_BOUND) {
            valid = false;
        }
    }
    require(pack, valid, tensor);
    return total;
}

/* Copy the weights of `count` sums to their columns of a block [inputs][BLOCK]. row_stride, stride: the
 * distance of two sums, and of two weights of one. */
static void pack_columns(packing *pack, const textgen_tensor *tensor, size_t first, size_t row_stride,
                         size_t stride, size_t count, size_t inputs, float *columns) {
    uint32_t carries = 0; /* see all_finite */
    for (size_t i = 0; i < inputs; i++) {
        for (size_t j = 0; j < count; j++) {
            const size_t index = first + j * row_stride + i * stride;
            carries |= (textgen_tensor_bits(tensor, index) & 0x7FFFFFFF) + 0x00800000;
            columns[i * TEXTGEN_BLOCK + j] = textgen_tensor_float(tensor, index);
        }
    }
    require(pack, carries < 0x80000000, tensor);
}

/* Pack one of the matrices of a layer: [gates][units][inputs], or [units][vocabulary] of the output layer.
 * part: 0 for that of the inputs, 1 for that of the hidden state. weights: its first row in the first block.
 * rows: of a block. factors: of 8-bit weights. */
static void pack_matrix(packing *pack, const textgen_layer *layer, int part, void *weights, size_t rows,
                        textgen_int8_factors factors) {
    const textgen_network *network = pack->network;
    const textgen_tensor *tensor = layer->tensors[part];
    const bool is_output = layer->kind == TEXTGEN_LINEAR;
    const size_t inputs = part ? network->units : layer->inputs;
    const size_t stride = is_output ? network->vocabulary : 1, row_stride = is_output ? 1 : inputs;
    const size_t sums = is_output ? network->padded_vocabulary : GATES * network->padded_units;
    for (size_t first = 0; first < sums; first += TEXTGEN_GROUP) {
        const size_t row = row_of(network, is_output, first),
                     block = first / TEXTGEN_BLOCK * rows * TEXTGEN_BLOCK;
        size_t count = 0;
        while (count < TEXTGEN_GROUP && row_of(network, is_output, first + count) != SIZE_MAX) {
            count++;
        }
        if (network->bits == 32) {
            pack_columns(pack, tensor, row * row_stride, row_stride, stride, count, inputs,
                         (float *)weights + block + first % TEXTGEN_BLOCK);
            continue;
        }
        for (size_t i = 0; i < count; i++) {
            const size_t sum = first + i;
            int8_t *column = (int8_t *)weights + block + sum % TEXTGEN_BLOCK * 4;
            const int32_t total = pack_column(pack, tensor, (row + i) * row_stride, stride, inputs, column);
            const float scale = read_scale(pack, layer->scales[part], row + i);
            factors.scales[sum] = part ? scale * (1.0f / TEXTGEN_INT8_LEVELS) : scale;
            factors.offsets[sum] = -network->kernels->zero * total;
        }
    }
}

/* The sum of the two biases of a gate of an lstm; 0 for padding. */
static double bias_of(const packing *pack, const textgen_layer *layer, size_t sum) {
    const size_t row = row_of(pack->network, false, sum);
    const textgen_tensor *tensor = layer->tensors[2];
    return row == SIZE_MAX ? 0.0
                           : (double)textgen_tensor_float(tensor, row) +
                                 (double)textgen_tensor_float(tensor, GATES * pack->network->units + row);
}

static void pack_lstm(packing *pack, const textgen_layer *layer, const textgen_packed_layer *packed) {
    const size_t inputs = (size_t)packed->inputs, rows = inputs + (size_t)packed->outputs;
    const size_t weight_size = pack->network->bits == 8 ? 1 : sizeof(float);
    if (inputs) {
        pack_matrix(pack, layer, 0, packed->weights, rows, packed->input);
    }
    pack_matrix(pack, layer, 1, (char *)packed->weights + inputs * TEXTGEN_BLOCK * weight_size, rows,
                packed->hidden);
    for (size_t sum = 0; sum < GATES * pack->network->padded_units; sum++) {
        packed->bias[sum] = (float)bias_of(pack, layer, sum);
        require(pack, isfinite(packed->bias[sum]), layer->tensors[2]);
    }
}

static void pack_linear(packing *pack, const textgen_layer *layer) {
    const textgen_network *network = pack->network;
    const textgen_packed_layer *packed = textgen_output_layer(network, false);
    float *masked_bias = textgen_output_layer(network, true)->bias;
    pack_matrix(pack, layer, 0, packed->weights, network->padded_units, packed->input);
    for (size_t i = 0; i < network->vocabulary; i++) {
        packed->bias[i] = masked_bias[i] = read_float(pack, layer->tensors[1], i);
    }
    textgen_special_mask(&network->special, masked_bias);
}

/* Round the embedding of a token to `row`, of padded inputs, as the first layer reads it. Return its scale. */
static float pack_embedding_row(packing *pack, size_t token, uint8_t *row) {
    const textgen_layer *embedding = &pack->description->layers[0];
    const int8_t *values = (const int8_t *)embedding->tensors[0]->raw.data + token * embedding->outputs;
    const int zero = pack->network->kernels->zero;
    memset(row, zero, padded(embedding->outputs, TEXTGEN_GROUP));
    for (size_t i = 0; i < embedding->outputs; i++) {
        require(pack, values[i] >= -TEXTGEN_INT8_LEVELS, embedding->tensors[0]);
        row[i] = (uint8_t)(values[i] + zero);
    }
    return read_scale(pack, embedding->scales[0], token);
}

static void pack_embedding(packing *pack) {
    const textgen_tensor *values = pack->description->layers[0].tensors[0];
    textgen_network *network = pack->network;
    const size_t size = network->embedding_size;
    for (size_t i = 0; network->bits == 32 && i < network->vocabulary * size; i++) {
        ((float *)network->embedding)[i] = read_float(pack, values, i);
    }
    for (size_t token = 0; network->bits == 8 && token < network->vocabulary; token++) {
        network->embedding_scales[token] =
            pack_embedding_row(pack, token, (uint8_t *)network->embedding + token * size);
    }
}

/* Multiply the embedding by the input weights of the first layer, one block at a time. memory: [vocabulary +
 * 2 * BLOCK][inputs] floats, aligned. */
static void pack_float_table(packing *pack, char *memory) {
    const textgen_layer *embedding = &pack->description->layers[0], *layer = &pack->description->layers[1];
    textgen_network *network = pack->network;
    const size_t inputs = embedding->outputs, outputs = GATES * network->padded_units;
    double *weights = (double *)(void *)memory, bias[TEXTGEN_BLOCK];
    float *rows = (float *)(void *)(weights + inputs * TEXTGEN_BLOCK);
    for (size_t i = 0; i < network->vocabulary * inputs; i++) {
        rows[i] = textgen_tensor_float(embedding->tensors[0], i);
    }
    for (size_t start = 0; start < outputs; start += TEXTGEN_BLOCK) {
        for (size_t i = 0; i < TEXTGEN_BLOCK; i++) {
            const size_t row = row_of(network, false, start + i);
            bias[i] = bias_of(pack, layer, start + i);
            for (size_t j = 0; j < inputs; j++) {
                weights[j * TEXTGEN_BLOCK + i] =
                    row == SIZE_MAX ? 0.0 : (double)read_float(pack, layer->tensors[0], row * inputs + j);
            }
        }
        network->kernels->project(weights, bias, rows, (ptrdiff_t)inputs, (ptrdiff_t)network->vocabulary,
                                  network->token_gates + start, (ptrdiff_t)outputs);
    }
}

/* The same for 8-bit weights. The kernel for the output layer computes a row. memory: [inputs + 9][outputs]
 * bytes, aligned. */
static void pack_int8_table(packing *pack, char *memory) {
    textgen_network *network = pack->network;
    const size_t inputs = padded(pack->description->layers[0].outputs, TEXTGEN_GROUP);
    const size_t outputs = GATES * network->padded_units;
    uint64_t used = 0;
    textgen_packed_layer product = {.inputs = (ptrdiff_t)inputs, .outputs = (ptrdiff_t)outputs, .bits = 8};
    product.input = place_factors(memory, &used, outputs);
    product.weights = textgen_part(memory, &used, inputs * outputs);
    product.bias = network->layers[0].bias;
    uint8_t *row = textgen_part(memory, &used, inputs);
    pack_matrix(pack, &pack->description->layers[1], 0, product.weights, inputs, product.input);
    for (size_t token = 0; token < network->vocabulary; token++) {
        const float scale = pack_embedding_row(pack, token, row);
        network->kernels->linear(&product, row, &scale, network->token_gates + token * outputs, 1);
    }
}

/* The exponent of infinity and NaN has all bits set, so that this addition carries into the sign. Unlike
 * isfinite, compilers do this for several numbers at once. */
static bool all_finite(const float *values, size_t count) {
    uint32_t carries = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        carries |= (bits & 0x7FFFFFFF) + 0x00800000;
    }
    return carries < 0x80000000;
}

static int32_t pack_token_gates(packing *pack, textgen_error *error) {
    const textgen_network *network = pack->network;
    const uint64_t bytes = temporary_bytes(network, pack->description);
    char *memory = textgen_allocate(pack->description->arena, 1, (size_t)bytes);
    if (!memory) {
        return textgen_out_of_memory(error);
    }
    (network->bits == 8 ? pack_int8_table : pack_float_table)(pack, textgen_align(memory));
    textgen_release(memory);
    const size_t count = (size_t)table_bytes(network) / sizeof(float);
    require(pack, all_finite(network->token_gates, count), pack->description->layers[0].tensors[0]);
    return TEXTGEN_OK;
}

static int32_t pack_all(packing *pack, textgen_error *error) {
    const textgen_network *network = pack->network;
    const textgen_layer *layers = pack->description->layers + 1;
    for (size_t i = 0; i < network->layer_count; i++) {
        pack_lstm(pack, &layers[i], &network->layers[i]);
    }
    if (network->token_gates) {
        TEXTGEN_TRY(pack_token_gates(pack, error));
    } else {
        pack_embedding(pack);
    }
    pack_linear(pack, &layers[network->layer_count]);
    return pack->damaged ? textgen_tensor_damaged(pack->damaged, error) : TEXTGEN_OK;
}

int32_t textgen_network_create(const textgen_description *description, const textgen_kernels *kernels,
                               textgen_special special, textgen_network **network, textgen_error *error) {
    textgen_network found = describe(description, kernels, special);
    const size_t inputs = description->layers[0].outputs;
    if (found.bits == 8 && (found.units > TEXTGEN_INT8_MAX_INPUTS || inputs > TEXTGEN_INT8_MAX_INPUTS)) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE, "a layer with 8-bit weights has more than %d inputs",
                            TEXTGEN_INT8_MAX_INPUTS);
    }
    const uint64_t limit = MAX_MEMORY_RATIO * description->bytes + EXTRA_BYTES;
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
    place(&found, description, textgen_align(created + 1));
    *created = found;
    packing pack = {description, created, NULL};
    *network = created;
    return pack_all(&pack, error);
}

size_t textgen_network_step_bytes(const textgen_network *network) {
    const size_t embedding = network->embedding_size * (network->bits == 8 ? 1 : sizeof(float));
    return network->weight_bytes + (embedding ? embedding : GATES * network->padded_units * sizeof(float));
}

uint32_t textgen_network_read(const textgen_network *network) {
    return network->kernels->sum(network->weights, (ptrdiff_t)network->weight_bytes);
}
