/* Prints hashes of results that must be equal to the last bit with every compiler.
 *
 *     exact
 *     exact MODEL
 *
 * Without a model: the hashes of exp64, of log64, and of distributions after filters. With one: for each
 * instruction set, its name and the hash of the logits and states of several lanes. */
#include "check.h"

#include "exact.h"
#include "text.h"

#include <math.h>

/* So many lanes that each kernel runs: those for one lane, for some and for many. */
enum { ROUNDS = 100, VALUES = 4095, LANES = 35, STEPS = 30 };

/* FNV-1a (Fowler, Noll and Vo, 1991), over 64-bit words. */
static uint64_t add_to_hash(uint64_t hash, uint64_t word) { return (hash ^ word) * 1099511628211u; }
static const uint64_t no_hash = 14695981039346656037u;
static uint64_t add_floats(uint64_t hash, const float *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        hash = add_to_hash(hash, bits);
    }
    return hash;
}
static uint64_t add_numbers(uint64_t hash, const double *numbers, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        hash = add_to_hash(hash, bits);
    }
    return hash;
}

/* Over arguments from 0 down to those whose result is 0. */
static uint64_t hash_exp64(textgen_exp64 exp64) {
    static double values[VALUES], results[VALUES];
    uint64_t hash = no_hash, state = 1;
    for (int round = 0; round < ROUNDS; round++) {
        const double range = round % 2 ? 720.0 : 3.0;
        for (int i = 0; i < VALUES; i++) {
            values[i] = (double)next_random(&state) * (-1.0 / 9007199254740992.0) * range;
        }
        exp64->exponentials(values, VALUES, 0.0, 1.0, false, results);
        hash = add_numbers(hash, results, VALUES);
    }
    return hash;
}

/* The hash, if it is the same for all instruction sets. */
static void print_exp64(void) {
    const textgen_kernels *kernels[TEXTGEN_MAX_KERNELS];
    const int count = textgen_available_kernels(kernels);
    const uint64_t hash = hash_exp64(textgen_find_exp64(NULL));
    for (int i = 0; i < count; i++) {
        CHECK(hash_exp64(textgen_find_exp64(kernels[i]->name)) == hash);
    }
    printf("exp64 %016llx\n", (unsigned long long)hash);
}

/* Over arguments of all sizes, and near 1. */
static void print_log64(void) {
    uint64_t hash = no_hash, state = 1;
    for (int i = 0; i < ROUNDS * VALUES; i++) {
        uint64_t bits = next_random(&state) << 10;
        bits = i % 2 ? bits % 0x7FF0000000000000 : 0x3FE0000000000000 + (bits >> 10);
        double argument;
        memcpy(&argument, &bits, sizeof argument);
        double result = textgen_log64(argument > 0.0 ? argument : 1.0);
        hash = add_numbers(hash, &result, 1);
    }
    printf("log64 %016llx\n", (unsigned long long)hash);
}

/* Distributions with all filters on, or with mirostat. */
static void print_filters(void) {
    const textgen_parameters parameters[2] = {{0.7, 1.3, 0.07, 0.11, 50, 40, 0.97, 0.93, 0.01, 0, 0.1, 0},
                                              {0.7, 1.3, 0.07, 0.11, 50, 0, 1, 1, 0, 3.1, 0.1, 0}};
    enum { TOKENS = 59 };
    const textgen_uint128 seed = {0, 5};
    uint64_t hash = no_hash, state = 1;
    double values[8 * TOKENS], weights[TOKENS];
    float logits[TOKENS];
    CHECK(textgen_sampler_scratch(TOKENS) <= 8 * TOKENS);
    textgen_rng rng;
    textgen_sampler_state sampler = {.rng = &rng, .exp64 = textgen_find_exp64(NULL)};
    textgen_rng_init(&rng, seed, 0);
    sampler.filters = allocate(textgen_filters_size(TOKENS));
    for (int kind = 0; kind < 2; kind++) {
        sampler.parameters = &parameters[kind];
        textgen_filters_init(sampler.filters, &parameters[kind], TOKENS);
        textgen_filters_bias(sampler.filters)[7] = -0.3;
        for (int i = 0; i < ROUNDS * 10; i++) {
            for (int j = 0; j < TOKENS; j++) {
                logits[j] = (float)(random_below(&state, 6.0) + random_below(&state, 6.0));
            }
            double sum;
            sampler.exp64->widen(logits, TOKENS, values);
            CHECK_OK(textgen_sampler_weigh(&sampler, values, TOKENS, weights, &sum));
            hash = add_numbers(hash, weights, TOKENS);
            double products = 0.0;
            for (int j = 0; j < TOKENS; j++) {
                double product = weights[j] > 0.0 ? weights[j] * textgen_log64(weights[j]) : 0.0;
                TEXTGEN_ROUND(product);
                products += product;
            }
            const double entropy = (textgen_log64(sum) - products / sum) / TEXTGEN_LN2;
            hash = add_numbers(hash, &entropy, 1);
            sampler.exp64->widen(logits, TOKENS, values);
            textgen_sampler_accept(&sampler, textgen_sampler_take(&sampler, values, TOKENS));
            hash = add_numbers(hash, &sampler.filters->mirostat_mu, 1);
        }
    }
    free(sampler.filters);
    printf("filters %016llx\n", (unsigned long long)hash);
}

/* Check that a result depends neither on the number of values nor on its place, and that sums are of all
 * before. Each kernel finds the largest value, and NaN. */
static void check_counts(textgen_exp64 exp64) {
    double values[100], batch[100], sums[100], single;
    for (size_t count = 1; count <= 100; count++) {
        double sum = 0.0;
        for (size_t i = 0; i < count; i++) {
            values[i] = 5.0 - 0.37 * (double)((i + 7) % count);
        }
        CHECK(exp64->largest(values, count) == 5.0);
        const double total = exp64->exponentials(values, count, 5.0, 0.7, false, batch);
        CHECK(exp64->exponentials(values, count, 5.0, 0.7, true, sums) == total);
        for (size_t i = 0; i < count; i++) {
            (void)exp64->exponentials(&values[i], 1, 5.0, 0.7, false, &single);
            CHECK(batch[i] == single && sums[i] == (sum += single));
        }
        CHECK(sum == total);
        for (size_t i = 0; i < count; i++) {
            const double before = values[i];
            values[i] = NAN;
            CHECK(isnan(exp64->largest(values, count)));
            values[i] = INFINITY;
            CHECK(exp64->largest(values, count) == INFINITY);
            values[i] = before;
        }
    }
    CHECK(exp64->largest(NULL, 0) == -INFINITY);
}

/* The state of each lane begins with zeros; with 8-bit weights, the last one with numbers beyond the bounds of
 * the inputs. */
static float *initial_state(const textgen_network *network, size_t lanes) {
    const size_t count = lanes * network->state_values;
    float *state = memset(allocate(count * sizeof *state), 0, count * sizeof *state);
    const float extremes[] = {2.0f, -1e30f, 1.0f, -1.0f, 0.5f / 127.0f, 1e-40f, 1.5f / 127.0f};
    for (size_t row = 0; network->bits == 8 && row < network->state_values / network->units; row++) {
        for (size_t unit = 0; unit < network->units; unit++) {
            state[(row * lanes + lanes - 1) * network->units + unit] = extremes[(row + unit) % 7];
        }
    }
    return state;
}

/* Run tokens [STEPS][lanes] of some lanes, and return the logits. */
static float *run(const textgen_network *network, const int64_t *tokens, size_t lanes, float *state) {
    float *logits = allocate(STEPS * lanes * network->vocabulary * sizeof *logits);
    const size_t bytes = textgen_slots_size(network, lanes, STEPS);
    /* NaN, which padding must not have. */
    void *workspace = memset(allocate(bytes), 255, bytes);
    textgen_network_forward(network, tokens, STEPS, lanes, state, STEPS, logits, workspace);
    free(workspace);
    return logits;
}

static void print_network(const char *path, const char *kernels) {
    loaded file = load(path, kernels);
    const textgen_network *network = file.model->network;
    const size_t vocabulary = network->vocabulary;
    int64_t tokens[STEPS * LANES], own[STEPS];
    uint64_t random = 1;
    uint32_t total = 0, word;
    for (size_t i = 0; i < STEPS * LANES; i++) {
        tokens[i] = (int64_t)(next_random(&random) % vocabulary);
        own[i / LANES] = tokens[i];
    }
    float *state = initial_state(network, LANES), *alone_state = initial_state(network, 1);
    float *logits = run(network, tokens, LANES, state), *alone = run(network, own, 1, alone_state);
    uint64_t hash = add_floats(no_hash, logits, STEPS * LANES * vocabulary);
    printf("%s %016llx\n", kernels, (unsigned long long)add_floats(hash, state, LANES * network->state_values));
    /* The last lane has the same results alone. */
    for (size_t i = 0; i < STEPS; i++) {
        CHECK(!memcmp(alone + i * vocabulary, logits + (i * LANES + LANES - 1) * vocabulary,
                      vocabulary * sizeof *alone));
    }
    for (size_t i = 0; i < network->weight_bytes; i += sizeof word) {
        memcpy(&word, (const char *)network->weights + i, sizeof word);
        total += word;
    }
    CHECK(total && textgen_network_read(network) == total);
    free(state), free(alone_state), free(logits), free(alone);
    unload(&file);
}

int main(int count, char **arguments) {
    const textgen_kernels *kernels[TEXTGEN_MAX_KERNELS];
    const int sets = textgen_available_kernels(kernels);
    for (int i = 0; i < sets; i++) {
        if (count > 1) {
            print_network(arguments[1], kernels[i]->name);
        } else {
            check_counts(textgen_find_exp64(kernels[i]->name));
        }
    }
    if (count == 1) {
        print_exp64();
        print_log64();
        print_filters();
    }
    return 0;
}
