#include "pack_layers.h"

#include "memory.h"

#include <stdlib.h>

/* The first layer's products are a table of a row for each token. It must not take memory without bounds: where
 * tokens and units are too many, a step multiplies the embedding instead. */
#define MAX_TABLE_BYTES ((uint64_t)1 << 28)

/* Padding multiplies the weights of a layer of few units, and a table those of a small embedding. All memory
 * that packing takes is at most so many times what the weights take in the file, and what no file is too small
 * for. */
#define MAX_TIMES 8
#define SPARE_BYTES ((uint64_t)1 << 25)

/* Larger products could not be counted. No file has so many units or symbols. */
#define MAX_SIZE ((size_t)1 << 28)

/* Weights of the first layer, rows of the embedding: as much of each at once as stays in a cache. */
#define SLICE_BYTES ((uint64_t)1 << 20)
enum { MOST_TOKENS = 64 };

/* How a network is laid out: float32 values of its own, and room that is only needed to make it. */
typedef struct {
    bool table;
    uint64_t columns, tokens;               /* of the table: how many are computed at once */
    uint64_t rows, products, bias, weights; /* see textgen_packing */
    uint64_t floats;
} layout;

static uint64_t padded_to(uint64_t size, uint64_t to) { return (size + to - 1) / to * to; }

static uint64_t largest(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t smallest(uint64_t a, uint64_t b) { return a < b ? a : b; }

/* Nothing overflows: what grows with the square of the units is in the file as well, and MAX_SIZE bounds the
 * rest. */
static layout make_plan(const textgen_description *description, bool table) {
    const uint64_t units = description->state[0].units, layers = description->state[0].layers;
    const uint64_t inputs = description->layers[0].outputs, vocabulary = description->vocabulary;
    const uint64_t padded = padded_to(units, TEXTGEN_GROUP), gates = TEXTGEN_GATES * padded;
    const uint64_t blocks = SLICE_BYTES / (sizeof(double) * TEXTGEN_BLOCK * inputs);
    layout plan = {.table = table, .bias = gates};
    plan.rows = largest(smallest(units, TEXTGEN_GROUP) * (table ? units : largest(inputs, units)), vocabulary);
    plan.floats = padded_to(vocabulary, TEXTGEN_BLOCK) * (padded + 2) + TEXTGEN_ALIGNMENT;
    plan.floats += gates * (padded + 1) + (layers - 1) * gates * (2 * padded + 1);
    if (table) {
        plan.columns = smallest(largest(blocks, 1) * TEXTGEN_BLOCK, gates);
        plan.tokens = largest(smallest(SLICE_BYTES / (sizeof(float) * inputs), MOST_TOKENS), 1);
        plan.rows = largest(plan.rows, plan.tokens * inputs);
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

/* The bytes of all weights in the file. */
static uint64_t bytes_stored(const textgen_description *description) {
    const uint64_t units = description->state[0].units, layers = description->state[0].layers;
    const uint64_t inputs = description->layers[0].outputs, vocabulary = description->vocabulary;
    const uint64_t above = (layers - 1) * TEXTGEN_GATES * units * (2 * units + 2);
    return sizeof(float) *
           (vocabulary * (inputs + units + 1) + TEXTGEN_GATES * units * (inputs + units + 2) + above);
}

/* Choose whether there is a table; refuse what would take much more memory than its file. */
static int32_t choose_plan(const textgen_description *description, layout *chosen, const textgen_error *error) {
    const size_t units = description->state[0].units, inputs = description->layers[0].outputs;
    char counted[4][TEXTGEN_COUNTED];
    if (units > MAX_SIZE || description->vocabulary > MAX_SIZE || inputs > MAX_SIZE) {
        return textgen_fail(error, TEXTGEN_TOO_LARGE, "its layers are too large");
    }
    const uint64_t most = MAX_TIMES * bytes_stored(description) + SPARE_BYTES;
    const uint64_t table =
        description->vocabulary * TEXTGEN_GATES * padded_to(units, TEXTGEN_GROUP) * sizeof(float);
    *chosen = make_plan(description, true);
    if (table > MAX_TABLE_BYTES || bytes_needed(chosen) > most) {
        *chosen = make_plan(description, false);
    }
    if (bytes_needed(chosen) > most) {
        return textgen_fail(
            error, TEXTGEN_TOO_LARGE,
            "its %s layers of %s units, %s symbols and an embedding of %s would take many times "
            "the memory of the file",
            textgen_count(description->state[0].layers, counted[0]), textgen_count(units, counted[1]),
            textgen_count(description->vocabulary, counted[2]), textgen_count(inputs, counted[3]));
    }
    /* Where addresses have 32 bits. */
    return bytes_needed(chosen) > PTRDIFF_MAX ? textgen_out_of_memory(error) : TEXTGEN_OK;
}

static textgen_network *allocate(const textgen_description *description, const layout *plan,
                                 const textgen_kernels *kernels, int64_t never_drawn) {
    textgen_network *network = calloc(1, sizeof(*network));
    if (network == NULL) {
        return NULL;
    }
    network->vocabulary = description->vocabulary;
    network->units = description->state[0].units;
    network->lstms = description->state[0].layers;
    network->state_arrays = description->state_count;
    network->padded_units = (ptrdiff_t)padded_to(network->units, TEXTGEN_GROUP);
    network->padded_vocabulary = (ptrdiff_t)padded_to(description->vocabulary, TEXTGEN_BLOCK);
    network->embedding_size = plan->table ? 0 : description->layers[0].outputs;
    network->never_drawn = never_drawn;
    network->kernels = kernels;
    network->exp64 = textgen_find_exp64();
    network->layers = calloc(network->lstms, sizeof(*network->layers));
    network->memory = textgen_zeroed((size_t)plan->floats * sizeof(float));
    if (network->layers == NULL || network->memory == NULL) {
        textgen_network_destroy(network);
        return NULL;
    }
    return network;
}

static int32_t pack_all(textgen_packing *pack, const layout *plan) {
    int32_t code = plan->table ? textgen_pack_table(pack) : textgen_pack_embedding(pack);
    for (size_t i = 0; code == TEXTGEN_OK && i < pack->network->lstms; i++) {
        code = textgen_pack_lstm(pack, i, i > 0 || !plan->table);
    }
    return code == TEXTGEN_OK ? textgen_pack_output(pack) : code;
}

/* Room to work in; one double more, since there may be none. */
static void *room(uint64_t count, size_t size) { return calloc((size_t)count + 1, size); }

int32_t textgen_network_create(const textgen_description *description, const textgen_kernels *kernels,
                               int64_t never_drawn, textgen_network **network, const textgen_error *error) {
    layout plan = {.table = false};
    int32_t code = choose_plan(description, &plan, error);
    if (code != TEXTGEN_OK) {
        return code;
    }
    textgen_network *created = allocate(description, &plan, kernels, never_drawn);
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
        .padded = (size_t)created->padded_units,
        .columns = (size_t)plan.columns,
        .tokens = (size_t)plan.tokens,
        .rows = room(plan.rows, sizeof(float)),
        .products = room(plan.products, sizeof(float)),
        .bias = room(plan.bias, sizeof(double)),
        .weights = room(plan.weights, sizeof(double)),
    };
    const bool enough = pack.rows != NULL && pack.products != NULL && pack.bias != NULL && pack.weights != NULL;
    code = enough ? pack_all(&pack, &plan) : textgen_out_of_memory(error);
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
        free(network->memory);
        free(network);
    }
}

size_t textgen_network_step_bytes(const textgen_network *network) {
    const size_t padded = (size_t)network->padded_units, gates = TEXTGEN_GATES * padded;
    const size_t first = network->embedding_size ? network->embedding_size * (gates + 1) : gates;
    const size_t lstms = first + gates * padded + (network->lstms - 1) * gates * (2 * padded + 1);
    return (lstms + (size_t)network->padded_vocabulary * (padded + 1)) * sizeof(float);
}
