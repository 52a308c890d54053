/* Runs a model with 8-bit weights. Results must be equal to the last bit in every instruction set and with
 * every compiler.
 *
 *     int8 MODEL
 *
 * For each instruction set, it prints the name and the hash of the logits and the states of several lanes. It
 * checks that no kernel gets a null pointer as its input. */
#include "check.h"

#include "text.h"

enum { LANES = 6, STEPS = 100 };

/* FNV-1a (Fowler, Noll and Vo, 1991), over the bits of float32 numbers. */
static uint64_t add_to_hash(uint64_t hash, const float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        hash = (hash ^ bits) * 1099511628211u;
    }
    return hash;
}

/* The state of each lane begins with zeros, or for the last one with numbers beyond the bounds of the inputs.
 */
static float *initial_state(const textgen_network *network, size_t lanes) {
    const size_t count = lanes * network->state_values;
    float *state = memset(allocate(count * sizeof *state), 0, count * sizeof *state);
    const float extremes[] = {2.0f, -1e30f, 1.0f, -1.0f, 0.5f / 127.0f, 1e-40f, 1.5f / 127.0f};
    for (size_t row = 0; row < network->state_values / network->units; row++) {
        for (size_t unit = 0; unit < network->units; unit++) {
            state[(row * lanes + lanes - 1) * network->units + unit] = extremes[(row + unit) % 7];
        }
    }
    return state;
}

/* Check that the last lane has the same results alone. */
static void check_alone(const textgen_network *network, const int64_t *tokens, const float *logits) {
    const size_t vocabulary = network->vocabulary;
    float *state = initial_state(network, 1), *alone = allocate(STEPS * vocabulary * sizeof *alone);
    void *workspace = allocate(textgen_slots_size(network, 1, STEPS));
    int64_t own[STEPS];
    for (size_t i = 0; i < STEPS; i++) {
        own[i] = tokens[i * LANES + LANES - 1];
    }
    textgen_network_forward(network, own, STEPS, 1, state, STEPS, alone, workspace);
    for (size_t i = 0; i < STEPS; i++) {
        const float *expected = logits + (i * LANES + LANES - 1) * vocabulary;
        CHECK(!memcmp(alone + i * vocabulary, expected, vocabulary * sizeof *alone));
    }
    free(state), free(alone), free(workspace);
}

/* The kernels that `check_lstm` calls. */
static const textgen_kernels *original;

/* The kernels add an offset to `input`, even that of 0 inputs. To a null pointer, this is undefined. */
static void check_lstm(const textgen_packed_layer *layer, const float *const *gate_inputs, const void *input,
                       const float *input_scales, float *hidden, float *cell, void *scratch, ptrdiff_t lanes) {
    CHECK(input);
    original->lstm(layer, gate_inputs, input, input_scales, hidden, cell, scratch, lanes);
}

static void run(const char *path, const char *kernels) {
    loaded file = load(path, kernels);
    textgen_network checked = *file.model->network;
    const textgen_network *network = &checked;
    textgen_kernels all = *checked.kernels;
    const size_t count = (size_t)STEPS * LANES * network->vocabulary;
    float *state = initial_state(network, LANES), *logits = allocate(count * sizeof *logits);
    void *workspace = allocate(textgen_slots_size(network, LANES, STEPS));
    int64_t tokens[STEPS * LANES];
    uint64_t hash = 14695981039346656037u, random = 1;
    original = file.model->network->kernels;
    all.lstm = check_lstm;
    checked.kernels = &all;
    CHECK(file.info->bits == 8 && !strcmp(file.info->kernels, kernels));
    for (size_t i = 0; i < STEPS * LANES; i++) {
        tokens[i] = (int64_t)(next_random(&random) % network->vocabulary);
    }
    textgen_network_forward(network, tokens, STEPS, LANES, state, STEPS, logits, workspace);
    check_alone(network, tokens, logits);
    hash = add_to_hash(hash, logits, count);
    hash = add_to_hash(hash, state, LANES * network->state_values);
    printf("%s %016llx\n", kernels, (unsigned long long)hash);
    free(state), free(logits), free(workspace);
    unload(&file);
}

int main(int count, char **arguments) {
    const textgen_kernels *kernels[TEXTGEN_MAX_KERNELS];
    const int sets = textgen_available_kernels(kernels);
    CHECK(count > 1);
    for (int i = 0; i < sets; i++) {
        run(arguments[1], kernels[i]->name);
    }
    return 0;
}
