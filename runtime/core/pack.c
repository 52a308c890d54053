#include "pack_layers.h"

#include "memory.h"

#include <stdlib.h>

/* The limit for the token_gates table. If there are too many tokens and units, each time step multiplies the
 * embedding instead. */
#define MAX_TABLE_BYTES ((uint64_t)1 << 28)

/* Packing takes at most MAX_MEMORY_RATIO times the bytes of the weights in the file, plus EXTRA_BYTES. Padding
 * enlarges layers of few units, and the token_gates table enlarges small embeddings. */
#define MAX_MEMORY_RATIO 8
#define EXTRA_BYTES ((uint64_t)1 << 25)

/* The limit for units, inputs and symbols, so that products do not overflow. No file reaches it. */
#define MAX_SIZE ((size_t)1 << 28)

/* The token_gates table is computed in parts. These limits keep the weights and the embeddings in the cache. */
#define PART_BYTES ((uint64_t)1 << 20)
enum { MAX_PART_TOKENS = 64 };

/* The memory of a network, and of the temporary buffers for packing. */
typedef struct {
    bool table;                             /* whether there is a token_gates table */
    uint64_t columns, tokens;               /* of one part of the table */
    uint64_t rows, products, bias, weights; /* temporary buffers; see textgen_packing */
    uint64_t floats;                        /* of the network */
    uint64_t state;                         /* values of the state of one lane */
} layout;

static uint64_t padded_to(uint64_t size, uint64_t to) { return (size + to - 1) / to * to; }

static uint64_t maximum(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t minimum(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* The first layer after the embedding. All layers but the embedding and the output are of its kind. */
static const textgen_layer *first_layer(const textgen_description *description) {
    return &description->layers[1];
}

/* The floats of a packed layer. inputs, units: with padding. */
static uint64_t layer_floats(textgen_layer_kind kind, uint64_t inputs, uint64_t units) {
    return kind == TEXTGEN_LSTM  ? 4 * units * (inputs + units + 1)
           : kind == TEXTGEN_GRU ? 3 * units * (inputs + units) + 4 * units
                                 : 2 * units * (2 * inputs + 1);
}

/* Nothing overflows: terms that grow with the square of the units are limited by the size of the file, and
 * MAX_SIZE limits the others. */
static layout make_plan(const textgen_description *description, bool table) {
    const textgen_layer_kind kind = first_layer(description)->kind;
    const uint64_t units = first_layer(description)->outputs, layers = description->layer_count - 2;
    const uint64_t inputs = description->layers[0].outputs, vocabulary = description->vocabulary;
    const uint64_t padded = padded_to(units, textgen_group_size(kind)), gates = TEXTGEN_SUMS * padded;
    const uint64_t blocks = PART_BYTES / (sizeof(double) * TEXTGEN_BLOCK * inputs);
    layout plan = {.table = table, .bias = gates};
    plan.rows = maximum(minimum(units, TEXTGEN_GROUP) * (table ? units : maximum(inputs, units)), vocabulary);
    plan.rows = maximum(plan.rows, 2 * units);
    plan.floats = padded_to(vocabulary, TEXTGEN_BLOCK) * (padded + 2) + TEXTGEN_ALIGNMENT;
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
    for (size_t i = 0; i < description->state_count; i++) {
        plan.state += description->state[i].rows * padded_to(description->state[i].units, TEXTGEN_CONV_GROUP);
    }
    return plan;
}

/* The memory of the network, and of a stream's state and its padded copy. */
static uint64_t bytes_needed(const layout *plan) {
    return sizeof(float) * (plan->floats + plan->rows + plan->products + 2 * plan->state) +
           sizeof(double) * (plan->bias + plan->weights);
}

/* The size of all weights in the file, in bytes. */
static uint64_t bytes_stored(const textgen_description *description) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < description->layer_count; i++) {
        for (size_t j = 0; j < TEXTGEN_LAYER_TENSORS && description->layers[i].tensors[j] != NULL; j++) {
            const textgen_tensor *tensor = description->layers[i].tensors[j];
            uint64_t size = sizeof(float);
            for (size_t k = 0; k < tensor->dimensions; k++) {
                size *= (uint64_t)tensor->shape[k];
            }
            bytes += size;
        }
    }
    return bytes;
}

/* Choose whether to use a token_gates table. Fails if packing would need much more memory than the file. */
static int32_t choose_plan(const textgen_description *description, layout *chosen, const textgen_error *error) {
    const textgen_layer_kind kind = first_layer(description)->kind;
    const size_t units = first_layer(description)->outputs, inputs = description->layers[0].outputs;
    char formatted[4][TEXTGEN_NUMBER_SIZE];
    if (units > MAX_SIZE || description->vocabulary > MAX_SIZE || inputs > MAX_SIZE) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE, "a layer has more than %s units, inputs or symbols",
                            textgen_format_number(MAX_SIZE, formatted[0]));
    }
    const uint64_t limit = MAX_MEMORY_RATIO * bytes_stored(description) + EXTRA_BYTES;
    const uint64_t table =
        description->vocabulary * TEXTGEN_SUMS * padded_to(units, TEXTGEN_GROUP) * sizeof(float);
    *chosen = make_plan(description, kind != TEXTGEN_CONV);
    if (table > MAX_TABLE_BYTES || bytes_needed(chosen) > limit) {
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

static textgen_network *allocate_network(const textgen_description *description, const layout *plan,
                                         const textgen_kernels *kernels, textgen_special special) {
    textgen_network *network = calloc(1, sizeof(*network));
    if (network == NULL) {
        return NULL;
    }
    network->vocabulary = description->vocabulary;
    network->kind = first_layer(description)->kind;
    network->units = first_layer(description)->outputs;
    network->layer_count = description->layer_count - 2;
    network->state_count = description->state_count;
    network->padded_units = (ptrdiff_t)padded_to(network->units, textgen_group_size(network->kind));
    network->padded_vocabulary = (ptrdiff_t)padded_to(description->vocabulary, TEXTGEN_BLOCK);
    network->embedding_size = plan->table ? 0 : description->layers[0].outputs;
    network->special = special;
    network->kernels = kernels;
    network->exp64 = textgen_find_exp64();
    network->layers = calloc(network->layer_count, sizeof(*network->layers));
    network->residual = calloc(network->layer_count, sizeof(*network->residual));
    network->state = calloc(network->state_count, sizeof(*network->state));
    network->memory = textgen_allocate_zeroed((size_t)plan->floats * sizeof(float));
    if (network->layers == NULL || network->residual == NULL || network->state == NULL ||
        network->memory == NULL) {
        textgen_network_destroy(network);
        return NULL;
    }
    for (size_t i = 0; i < network->layer_count; i++) {
        network->residual[i] = description->layers[i + 1].residual;
    }
    fill_state(network, description);
    return network;
}

static int32_t pack_all(textgen_packing *pack, const layout *plan) {
    int32_t code = plan->table ? textgen_pack_token_gates(pack) : textgen_pack_embedding(pack);
    for (size_t i = 0; code == TEXTGEN_OK && i < pack->network->layer_count; i++) {
        code = pack->network->kind == TEXTGEN_CONV ? textgen_pack_conv(pack, i)
                                                   : textgen_pack_recurrent(pack, i, i > 0 || !plan->table);
    }
    return code == TEXTGEN_OK ? textgen_pack_output(pack) : code;
}

/* Allocate a temporary buffer. One more element, because `count` may be 0. */
static void *allocate_buffer(uint64_t count, size_t size) { return calloc((size_t)count + 1, size); }

int32_t textgen_network_create(const textgen_description *description, const textgen_kernels *kernels,
                               textgen_special special, textgen_network **network, const textgen_error *error) {
    layout plan = {.table = false};
    int32_t code = choose_plan(description, &plan, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    textgen_network *created = allocate_network(description, &plan, kernels, special);
    if (created == NULL) {
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
        .rows = allocate_buffer(plan.rows, sizeof(float)),
        .products = allocate_buffer(plan.products, sizeof(float)),
        .bias = allocate_buffer(plan.bias, sizeof(double)),
        .weights = allocate_buffer(plan.weights, sizeof(double)),
    };
    const bool allocated =
        pack.rows != NULL && pack.products != NULL && pack.bias != NULL && pack.weights != NULL;
    code = allocated ? pack_all(&pack, &plan) : textgen_out_of_memory(error);
    free(pack.rows);
    free(pack.products);
    free(pack.bias);
    free(pack.weights);
    if (code != TEXTGEN_OK) {
        textgen_network_destroy(created);
        return code;
    }
    *network = created;
    return TEXTGEN_OK;
}

void textgen_network_destroy(textgen_network *network) {
    if (network != NULL) {
        free(network->layers);
        free(network->residual);
        free(network->state);
        free(network->memory);
        free(network);
    }
}

size_t textgen_network_step_bytes(const textgen_network *network) {
    const size_t padded = (size_t)network->padded_units;
    const size_t sums = network->kind == TEXTGEN_CONV ? 2 : TEXTGEN_SUMS;
    /* The first layer reads a row of token_gates in place of its bias, or a row of the embedding. */
    size_t floats = network->embedding_size + (size_t)network->padded_vocabulary * (padded + 1);
    for (size_t i = 0; i < network->layer_count; i++) {
        floats += (size_t)network->layers[i].size + sums * padded;
    }
    return floats * sizeof(float);
}
