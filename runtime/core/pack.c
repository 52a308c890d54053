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
} layout;

static uint64_t padded_to(uint64_t size, uint64_t to) { return (size + to - 1) / to * to; }

static uint64_t maximum(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t minimum(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Nothing overflows: terms that grow with the square of the units are limited by the size of the file, and
 * MAX_SIZE limits the others. */
static layout make_plan(const textgen_description *description, bool table) {
    const uint64_t units = description->state[0].units, layers = description->state[0].layers;
    const uint64_t inputs = description->layers[0].outputs, vocabulary = description->vocabulary;
    const uint64_t padded = padded_to(units, TEXTGEN_GROUP), gates = TEXTGEN_GATES * padded;
    const uint64_t blocks = PART_BYTES / (sizeof(double) * TEXTGEN_BLOCK * inputs);
    layout plan = {.table = table, .bias = gates};
    plan.rows = maximum(minimum(units, TEXTGEN_GROUP) * (table ? units : maximum(inputs, units)), vocabulary);
    plan.floats = padded_to(vocabulary, TEXTGEN_BLOCK) * (padded + 2) + TEXTGEN_ALIGNMENT;
    plan.floats += gates * (padded + 1) + (layers - 1) * gates * (2 * padded + 1);
    if (table) {
        plan.columns = minimum(maximum(blocks, 1) * TEXTGEN_BLOCK, gates);
        plan.tokens = maximum(minimum(PART_BYTES / (sizeof(float) * inputs), MAX_PART_TOKENS), 1);
        plan.rows = maximum(plan.rows, plan.tokens * inputs);
        plan.products = plan.tokens * plan.columns;
        plan.weights = plan.columns * inputs;
        plan.floats += vocabulary * gates;
    } else {
        plan.floats += vocabulary * inputs + gates * inputs + TEXTGEN_ALIGNMENT;
    }
    return plan;
}

static uint64_t bytes_needed(const layout *plan) {
    return sizeof(float) * (plan->floats + plan->rows + plan->products) +
           sizeof(double) * (plan->bias + plan->weights);
}

/* The size of all weights in the file, in bytes. */
static uint64_t bytes_stored(const textgen_description *description) {
    const uint64_t units = description->state[0].units, layers = description->state[0].layers;
    const uint64_t inputs = description->layers[0].outputs, vocabulary = description->vocabulary;
    const uint64_t other_lstms = (layers - 1) * TEXTGEN_GATES * units * (2 * units + 2);
    return sizeof(float) *
           (vocabulary * (inputs + units + 1) + TEXTGEN_GATES * units * (inputs + units + 2) + other_lstms);
}

/* Choose whether to use a token_gates table. Fails if packing would need much more memory than the file. */
static int32_t choose_plan(const textgen_description *description, layout *chosen, const textgen_error *error) {
    const size_t units = description->state[0].units, inputs = description->layers[0].outputs;
    char formatted[4][TEXTGEN_NUMBER_SIZE];
    if (units > MAX_SIZE || description->vocabulary > MAX_SIZE || inputs > MAX_SIZE) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE, "a layer has more than %s units, inputs or symbols",
                            textgen_format_number(MAX_SIZE, formatted[0]));
    }
    const uint64_t limit = MAX_MEMORY_RATIO * bytes_stored(description) + EXTRA_BYTES;
    const uint64_t table =
        description->vocabulary * TEXTGEN_GATES * padded_to(units, TEXTGEN_GROUP) * sizeof(float);
    *chosen = make_plan(description, true);
    if (table > MAX_TABLE_BYTES || bytes_needed(chosen) > limit) {
        *chosen = make_plan(description, false);
    }
    if (bytes_needed(chosen) > limit) {
        return textgen_fail(
            error, TEXTGEN_TOO_LARGE,
            "%s layers of %s units, %s symbols and an embedding of size %s would need many times more "
            "memory than the size of the file",
            textgen_format_number(description->state[0].layers, formatted[0]),
            textgen_format_number(units, formatted[1]),
            textgen_format_number(description->vocabulary, formatted[2]),
            textgen_format_number(inputs, formatted[3]));
    }
    /* For 32-bit addresses. */
    return bytes_needed(chosen) > PTRDIFF_MAX ? textgen_out_of_memory(error) : TEXTGEN_OK;
}

static textgen_network *allocate_network(const textgen_description *description, const layout *plan,
                                         const textgen_kernels *kernels, textgen_special special) {
    textgen_network *network = calloc(1, sizeof(*network));
    if (network == NULL) {
        return NULL;
    }
    network->vocabulary = description->vocabulary;
    network->units = description->state[0].units;
    network->lstm_count = description->state[0].layers;
    network->state_arrays = description->state_count;
    network->padded_units = (ptrdiff_t)padded_to(network->units, TEXTGEN_GROUP);
    network->padded_vocabulary = (ptrdiff_t)padded_to(description->vocabulary, TEXTGEN_BLOCK);
    network->embedding_size = plan->table ? 0 : description->layers[0].outputs;
    network->special = special;
    network->kernels = kernels;
    network->exp64 = textgen_find_exp64();
    network->lstm_layers = calloc(network->lstm_count, sizeof(*network->lstm_layers));
    network->memory = textgen_allocate_zeroed((size_t)plan->floats * sizeof(float));
    if (network->lstm_layers == NULL || network->memory == NULL) {
        textgen_network_destroy(network);
        return NULL;
    }
    return network;
}

static int32_t pack_all(textgen_packing *pack, const layout *plan) {
    int32_t code = plan->table ? textgen_pack_token_gates(pack) : textgen_pack_embedding(pack);
    for (size_t i = 0; code == TEXTGEN_OK && i < pack->network->lstm_count; i++) {
        code = textgen_pack_lstm(pack, i, i > 0 || !plan->table);
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
        free(network->lstm_layers);
        free(network->memory);
        free(network);
    }
}

size_t textgen_network_step_bytes(const textgen_network *network) {
    const size_t padded = (size_t)network->padded_units, gates = TEXTGEN_GATES * padded;
    const size_t first = network->embedding_size ? network->embedding_size * (gates + 1) : gates;
    const size_t lstms = first + gates * padded + (network->lstm_count - 1) * gates * (2 * padded + 1);
    return (lstms + (size_t)network->padded_vocabulary * (padded + 1)) * sizeof(float);
}
