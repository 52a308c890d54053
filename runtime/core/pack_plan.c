#include "pack_layers.h"

/* The limit for the token_gates table. If there are too many tokens and units, each time step multiplies the
 * embedding instead. A program with little memory may define a lower one. */
#ifndef TEXTGEN_MAX_TABLE_BYTES
#define TEXTGEN_MAX_TABLE_BYTES ((uint64_t)1 << 28)
#endif

/* Packing takes at most MAX_MEMORY_RATIO times the bytes of the weights in the file, plus EXTRA_BYTES. Padding
 * enlarges layers of few units, and the token_gates table enlarges small embeddings. */
#define MAX_MEMORY_RATIO 8
#define EXTRA_BYTES ((uint64_t)1 << 25)

/* The limit for units, inputs and symbols, so that products do not overflow. No file reaches it. */
#define MAX_SIZE ((size_t)1 << 28)

/* The token_gates table is computed in parts. These limits keep the weights and the embeddings in the cache. */
#define PART_BYTES ((uint64_t)1 << 20)
enum { MAX_PART_TOKENS = 64 };

static uint64_t maximum(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t minimum(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* The floats of a packed layer. inputs, units: with padding. */
static uint64_t layer_floats(textgen_layer_kind kind, uint64_t inputs, uint64_t units) {
    return kind == TEXTGEN_LSTM  ? 4 * units * (inputs + units + 1)
           : kind == TEXTGEN_GRU ? 3 * units * (inputs + units) + 4 * units
                                 : 2 * units * (2 * inputs + 1);
}

/* The values of the state of one lane. */
static uint64_t state_values(const textgen_description *description) {
    uint64_t values = 0;
    for (size_t i = 0; i < description->state_count; i++) {
        values += description->state[i].rows * textgen_padded(description->state[i].units, TEXTGEN_CONV_GROUP);
    }
    return values;
}

/* Nothing overflows: terms that grow with the square of the units are limited by the size of the file, and
 * MAX_SIZE limits the others. */
static textgen_pack_plan make_float_plan(const textgen_description *description, bool table) {
    const textgen_layer_kind kind = textgen_first_layer(description)->kind;
    const uint64_t units = textgen_first_layer(description)->outputs, layers = description->layer_count - 2;
    const uint64_t inputs = description->layers[0].outputs, vocabulary = description->vocabulary;
    const uint64_t padded = textgen_padded(units, textgen_group_size(kind)), gates = TEXTGEN_SUMS * padded;
    const uint64_t blocks = PART_BYTES / (sizeof(double) * TEXTGEN_BLOCK * inputs);
    textgen_pack_plan plan = {.table = table, .bias = gates, .state = state_values(description)};
    plan.rows = maximum(minimum(units, TEXTGEN_GROUP) * (table ? units : maximum(inputs, units)), vocabulary);
    plan.rows = maximum(plan.rows, 2 * units);
    plan.floats = textgen_padded(vocabulary, TEXTGEN_BLOCK) * (padded + 2) + TEXTGEN_ALIGNMENT;
    plan.floats += layer_floats(kind, table ? 0 : inputs, padded);
    plan.floats += (layers - 1) * layer_floats(kind, padded, padded);
    if (table) {
        plan.columns = minimum(maximum(blocks, 1) * TEXTGEN_BLOCK, gates);
        plan.tokens = maximum(minimum(PART_BYTES / (sizeof(float) * inputs), MAX_PART_TOKENS), 1);
        plan.rows = maximum(plan.rows, plan.tokens * inputs);
        plan.products = plan.tokens * plan.columns;
        plan.weights = plan.columns * inputs;
        plan.floats += vocabulary * gates;
    } else {
        plan.floats += vocabulary * inputs + TEXTGEN_ALIGNMENT;
    }
    return plan;
}

/* The floats of a packed layer with 8-bit weights: the weights, the bias, scales and offsets. */
static uint64_t int8_layer_floats(textgen_layer_kind kind, uint64_t inputs, uint64_t units) {
    const uint64_t gates = kind == TEXTGEN_LSTM ? 4 : 3;
    return gates * units * (inputs + units) / sizeof(float) + 5 * TEXTGEN_SUMS * units;
}

/* The same for 8-bit weights. */
static textgen_pack_plan make_int8_plan(const textgen_description *description, bool table) {
    const textgen_layer_kind kind = textgen_first_layer(description)->kind;
    const uint64_t units = textgen_first_layer(description)->outputs, layers = description->layer_count - 2;
    const uint64_t vocabulary = description->vocabulary, padded = textgen_padded(units, TEXTGEN_GROUP);
    const uint64_t inputs = textgen_padded(description->layers[0].outputs, TEXTGEN_GROUP);
    const uint64_t gates = TEXTGEN_SUMS * padded, tokens = textgen_padded(vocabulary, TEXTGEN_BLOCK);
    textgen_pack_plan plan = {.table = table, .bias = gates, .state = state_values(description)};
    plan.rows = maximum(TEXTGEN_SUMS * units, vocabulary);
    plan.floats = tokens * (padded / sizeof(float) + 4) + TEXTGEN_ALIGNMENT;
    plan.floats += int8_layer_floats(kind, table ? 0 : inputs, padded);
    plan.floats += (layers - 1) * int8_layer_floats(kind, padded, padded);
    if (table) {
        plan.bytes = (gates + 1) * inputs;
        plan.floats += vocabulary * gates;
    } else {
        plan.floats += vocabulary * (inputs / sizeof(float) + 1) + 2 * TEXTGEN_ALIGNMENT;
    }
    return plan;
}

static textgen_pack_plan make_plan(const textgen_description *description, bool table) {
    return description->bits == 8 ? make_int8_plan(description, table) : make_float_plan(description, table);
}

/* The memory of the network, and of a stream's state and its padded copy. */
static uint64_t bytes_needed(const textgen_pack_plan *plan) {
    return sizeof(float) * (plan->floats + plan->rows + plan->products + 2 * plan->state) +
           sizeof(double) * (plan->bias + plan->weights) + plan->bytes;
}

/* The size of all weights in the file, in bytes. */
static uint64_t bytes_stored(const textgen_description *description) {
    uint64_t bytes = sizeof(float) * description->scales;
    for (size_t i = 0; i < description->layer_count; i++) {
        for (size_t j = 0; j < TEXTGEN_LAYER_TENSORS && description->layers[i].tensors[j]; j++) {
            const textgen_tensor *tensor = description->layers[i].tensors[j];
            uint64_t size = tensor->type == TEXTGEN_ONNX_INT8 ? 1 : sizeof(float);
            for (size_t k = 0; k < tensor->dimensions; k++) {
                size *= (uint64_t)tensor->shape[k];
            }
            bytes += size;
        }
    }
    return bytes;
}

int32_t textgen_choose_plan(const textgen_description *description, textgen_pack_plan *chosen,
                            textgen_error *error) {
    const textgen_layer_kind kind = textgen_first_layer(description)->kind;
    const size_t units = textgen_first_layer(description)->outputs, inputs = description->layers[0].outputs;
    char formatted[4][TEXTGEN_NUMBER_SIZE];
    if (units > MAX_SIZE || description->vocabulary > MAX_SIZE || inputs > MAX_SIZE) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE, "a layer has more than %s units, inputs or symbols",
                            textgen_format_number(MAX_SIZE, formatted[0]));
    }
    if (description->bits == 8 && (units > TEXTGEN_INT8_MAX_INPUTS || inputs > TEXTGEN_INT8_MAX_INPUTS)) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE,
                            "a layer with 8-bit weights has more than %s units or inputs",
                            textgen_format_number(TEXTGEN_INT8_MAX_INPUTS, formatted[0]));
    }
    const uint64_t limit = MAX_MEMORY_RATIO * bytes_stored(description) + EXTRA_BYTES;
    const uint64_t table =
        description->vocabulary * TEXTGEN_SUMS * textgen_padded(units, TEXTGEN_GROUP) * sizeof(float);
    *chosen = make_plan(description, kind != TEXTGEN_CONV);
    if (table > TEXTGEN_MAX_TABLE_BYTES || bytes_needed(chosen) > limit) {
        *chosen = make_plan(description, false);
    }
    if (bytes_needed(chosen) > limit) {
        return textgen_fail(
            error, TEXTGEN_TOO_LARGE,
            "%s layers of %s units, %s symbols and an embedding of size %s would need many times more "
            "memory than the size of the file",
            textgen_format_number(description->layer_count - 2, formatted[0]),
            textgen_format_number(units, formatted[1]),
            textgen_format_number(description->vocabulary, formatted[2]),
            textgen_format_number(inputs, formatted[3]));
    }
    /* For 32-bit addresses. */
    return bytes_needed(chosen) > PTRDIFF_MAX ? textgen_out_of_memory(error) : TEXTGEN_OK;
}
