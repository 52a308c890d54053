#include "pack_layers.h"

/* Describe the state arrays. The inputs of the first layer are not padded. */
static void fill_state(textgen_network *network, const textgen_description *description) {
    for (size_t i = 0; i < network->state_count; i++) {
        textgen_packed_state *array = &network->state[i];
        const size_t units = description->state[i].units;
        array->rotates = network->kind == TEXTGEN_CONV;
        array->rows = description->state[i].rows;
        array->units = units;
        array->width = array->rotates && i == 0 ? units : (size_t)network->padded_units;
        array->start = network->padded_state_values;
        network->state_values += array->rows * array->units;
        network->padded_state_values += array->rows * array->width;
    }
}

static textgen_network *allocate_network(const textgen_description *description, const textgen_pack_plan *plan,
                                         const textgen_kernels *kernels, textgen_special special) {
    textgen_arena *arena = description->arena;
    textgen_network *network = textgen_allocate(arena, 1, sizeof *network);
    if (!network) {
        return NULL;
    }
    network->vocabulary = description->vocabulary;
    network->bits = description->bits;
    network->kind = textgen_first_layer(description)->kind;
    network->units = textgen_first_layer(description)->outputs;
    network->layer_count = description->layer_count - 2;
    network->state_count = description->state_count;
    network->padded_units = (ptrdiff_t)textgen_padded(network->units, textgen_group_size(network->kind));
    network->padded_vocabulary = (ptrdiff_t)textgen_padded(description->vocabulary, TEXTGEN_BLOCK);
    network->embedding_size = plan->table ? 0
                                          : (size_t)textgen_padded(description->layers[0].outputs,
                                                                   network->bits == 8 ? TEXTGEN_GROUP : 1);
    network->special = special;
    network->kernels = kernels;
    network->exp64 = textgen_find_exp64(kernels->name);
    if (network->bits == 8) {
        network->int8.layers = textgen_allocate(arena, network->layer_count, sizeof *network->int8.layers);
        network->int8.input_bounds = textgen_allocate(arena, network->layer_count + 1, sizeof(float));
    } else {
        network->layers = textgen_allocate(arena, network->layer_count, sizeof *network->layers);
    }
    network->residual = textgen_allocate(arena, network->layer_count, sizeof *network->residual);
    network->state = textgen_allocate(arena, network->state_count, sizeof *network->state);
    network->memory = textgen_allocate(arena, (size_t)plan->floats, sizeof(float));
    const bool has_layers =
        network->bits == 8 ? network->int8.layers && network->int8.input_bounds : network->layers != NULL;
    if (!has_layers || !network->residual || !network->state || !network->memory) {
        textgen_network_destroy(network);
        return NULL;
    }
    for (size_t i = 0; i < network->layer_count; i++) {
        network->residual[i] = description->layers[i + 1].residual;
    }
    fill_state(network, description);
    return network;
}

static int32_t pack_all(textgen_packing *pack, const textgen_pack_plan *plan) {
    if (pack->network->bits == 8) {
        return textgen_pack_int8(pack, plan->table);
    }
    TEXTGEN_TRY(plan->table ? textgen_pack_token_gates(pack) : textgen_pack_embedding(pack));
    for (size_t i = 0; i < pack->network->layer_count; i++) {
        TEXTGEN_TRY(pack->network->kind == TEXTGEN_CONV
                        ? textgen_pack_conv(pack, i)
                        : textgen_pack_recurrent(pack, i, i > 0 || !plan->table));
    }
    return textgen_pack_output(pack);
}

/* Allocate a temporary buffer. One more element, because `count` may be 0. */
static void *allocate_buffer(textgen_arena *arena, uint64_t count, size_t size) {
    return textgen_allocate(arena, (size_t)count + 1, size);
}

int32_t textgen_network_create(const textgen_description *description, const textgen_kernels *kernels,
                               textgen_special special, textgen_network **network, textgen_error *error) {
    textgen_pack_plan plan;
    TEXTGEN_TRY(textgen_choose_plan(description, &plan, error));
    textgen_network *created = allocate_network(description, &plan, kernels, special);
    if (!created) {
        return textgen_out_of_memory(error);
    }
    const size_t unaligned = (uintptr_t)created->memory % TEXTGEN_ALIGNMENT;
    textgen_packing pack = {
        .description = description,
        .error = error,
        .network = created,
        .next = created->memory + (TEXTGEN_ALIGNMENT - unaligned) % TEXTGEN_ALIGNMENT / sizeof(float),
        .units = created->units,
        .padded_units = (size_t)created->padded_units,
        .columns = (size_t)plan.columns,
        .tokens = (size_t)plan.tokens,
        .rows = allocate_buffer(description->arena, plan.rows, sizeof(float)),
        .products = allocate_buffer(description->arena, plan.products, sizeof(float)),
        .bias = allocate_buffer(description->arena, plan.bias, sizeof(double)),
        .weights = allocate_buffer(description->arena, plan.weights, sizeof(double)),
        .bytes = allocate_buffer(description->arena, plan.bytes, 1),
    };
    const bool allocated = pack.rows && pack.products && pack.bias && pack.weights && pack.bytes;
    const int32_t code = allocated ? pack_all(&pack, &plan) : textgen_out_of_memory(error);
    textgen_release(pack.bytes);
    textgen_release(pack.weights);
    textgen_release(pack.bias);
    textgen_release(pack.products);
    textgen_release(pack.rows);
    if (code < 0) {
        textgen_network_destroy(created);
    } else {
        *network = created;
    }
    return code;
}

void textgen_network_destroy(textgen_network *network) {
    if (network) {
        textgen_release(network->layers);
        textgen_release(network->int8.layers);
        textgen_release(network->int8.input_bounds);
        textgen_release(network->residual);
        textgen_release(network->state);
        textgen_release(network->memory);
        textgen_release(network);
    }
}

size_t textgen_network_step_bytes(const textgen_network *network) {
    const size_t sums = network->kind == TEXTGEN_CONV ? 2 : TEXTGEN_SUMS;
    /* The first layer reads a row of token_gates in place of its bias, or a row of the embedding. */
    size_t weights = network->embedding_size;
    const size_t biases =
        (size_t)network->padded_vocabulary + network->layer_count * sums * (size_t)network->padded_units;
    weights += (size_t)(network->bits == 8 ? network->int8.output_layer.size : network->output_layer.size);
    for (size_t i = 0; i < network->layer_count; i++) {
        weights += (size_t)(network->bits == 8 ? network->int8.layers[i].size : network->layers[i].size);
    }
    return network->bits == 8 ? weights + biases * sizeof(float) : (weights + biases) * sizeof(float);
}

uint32_t textgen_network_read(const textgen_network *network) {
    const bool is_int8 = network->bits == 8;
    uint32_t (*sum)(const void *values, ptrdiff_t bytes) = network->kernels->int8->sum;
    uint32_t total =
        is_int8 ? sum(network->int8.output_layer.weights, network->int8.output_layer.size)
                : sum(network->output_layer.weights, (ptrdiff_t)sizeof(float) * network->output_layer.size);
    for (size_t i = 0; i < network->layer_count; i++) {
        total += is_int8 ? sum(network->int8.layers[i].weights, network->int8.layers[i].size)
                         : sum(network->layers[i].weights, (ptrdiff_t)sizeof(float) * network->layers[i].size);
    }
    return total;
}
