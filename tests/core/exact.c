/* Prints hashes of results that must be equal to the last bit with every compiler.
 *
 *     exact MODEL
 *
 * The first lines are the hashes of exp64, of log64, and of distributions after filters. The others are, for
 * each instruction set, its name and the hash of float64 sums and of the logits of a long text. */
#include "check.h"

#include "exact.h"
#include "text.h"

#include <math.h>

enum { ROUNDS = 100, VALUES = 4095, LANES = 5, STEPS = 200 };

/* FNV-1a (Fowler, Noll and Vo, 1991), over 64-bit words. */
static uint64_t add_to_hash(uint64_t hash, uint64_t word) { return (hash ^ word) * 1099511628211u; }
static const uint64_t no_hash = 14695981039346656037u;
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
            sampler.exp64->widen(logits, TOKENS, values);
            double entropy = textgen_sampler_entropy(&sampler, values, TOKENS);
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

static void print_logits(const char *path, const char *kernels) {
    loaded file = load(path, kernels);
    const textgen_network *network = file.model->network;
    const size_t count = (size_t)STEPS * LANES * network->vocabulary;
    const size_t state_bytes = LANES * network->state_values * sizeof(float);
    const size_t workspace_bytes = textgen_slots_size(network, LANES, STEPS);
    /* NaN, which padding must not have. */
    void *workspace = memset(allocate(workspace_bytes), 255, workspace_bytes);
    float *logits = allocate(count * sizeof *logits);
    float *state = memset(allocate(state_bytes), 0, state_bytes);
    static int64_t tokens[STEPS * LANES];
    uint64_t hash = no_hash, random = 1;
    for (size_t i = 0; i < STEPS * LANES; i++) {
        tokens[i] = (int64_t)(next_random(&random) % network->vocabulary);
    }
    textgen_network_forward(network, tokens, STEPS, LANES, state, STEPS, logits, workspace);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &logits[i], sizeof bits);
        hash = add_to_hash(hash, bits);
    }
    printf("%s %016llx\n", kernels, (unsigned long long)hash);
    free(workspace), free(logits), free(state);
    unload(&file);
}

int main(int count, char **arguments) {
    const textgen_kernels *kernels[TEXTGEN_MAX_KERNELS];
    const int sets = textgen_available_kernels(kernels);
    CHECK(count > 1);
    for (int i = 0; i < sets; i++) {
        check_counts(textgen_find_exp64(kernels[i]->name));
    }
    print_exp64();
    print_log64();
    print_filters();
    for (int i = 0; i < sets; i++) {
        print_logits(arguments[1], kernels[i]->name);
    }
    return 0;
}
