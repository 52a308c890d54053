/* Tests top_k, typical_p, top_p and min_p against their definitions, on random logits of many kinds.
 *
 * tests/runtime/sampling/test_filter_distributions.py has examples with known probabilities. */
#include "definitions.h"

#include "log64.h"
#include "sort.h"

#include <math.h>

enum { ROUNDS = 4000 };

static uint64_t state = 7;

static double random_number(void) { return random_below(&state, 1.0); }

/* Fill in logits of one of several kinds: spread, with equal ones, all equal, extreme, or with some of
 * -infinity. */
static void random_logits(double *logits, size_t count) {
    const size_t kind = random_up_to(&state, 5);
    const double scales[] = {4.0, 3.0, 0.0, 1e300, 1e-300, 12.0};
    for (size_t i = 0; i < count; i++) {
        logits[i] = (random_number() + random_number() - 1.0) * scales[kind];
        logits[i] = kind == 1 || kind == 5 ? (double)(int)logits[i] : logits[i];
        if (logits[i] == 0.0 && random_number() < 0.5) {
            logits[i] = -0.0;
        }
        if (kind == 5 && random_number() < 0.7) {
            logits[i] = -INFINITY;
        }
    }
    if (kind == 5) {
        logits[random_up_to(&state, count - 1)] = -1.0;
    }
}

static double random_probability(void) {
    const double extremes[] = {1.0, 1.0, 0.5, 0.25, 0.9, 5e-324, 1.0 - 1e-16, 1e-9};
    return random_number() < 0.5 ? 1.0 - random_number() : extremes[random_up_to(&state, 7)];
}

static textgen_parameters random_parameters(size_t count) {
    const double temperatures[] = {0.0, 5e-324, 0.3, 1.0, 1e300};
    textgen_parameters parameters = textgen_parameters_default;
    const size_t chosen = 1 + random_up_to(&state, 14);
    parameters.temperature = temperatures[random_up_to(&state, 4)];
    parameters.top_k = chosen & 1 ? random_up_to(&state, count + 2) : 0;
    parameters.typical_p = chosen & 2 ? random_probability() : 1.0;
    parameters.top_p = chosen & 4 ? random_probability() : 1.0;
    parameters.min_p = chosen & 8 ? random_probability() * random_probability() : 0.0;
    return parameters;
}

static textgen_sampler_state make_sampler(const textgen_parameters *parameters, size_t count) {
    const textgen_uint128 seed = {0, next_random(&state)};
    textgen_sampler_state sampler;
    textgen_sampler_start(&sampler, parameters, seed, 0, textgen_find_exp64(NULL));
    sampler.filters = allocate(textgen_filters_size(count));
    textgen_filters_init(sampler.filters, parameters, count);
    for (size_t i = 0; i < count; i++) {
        textgen_filters_bias(sampler.filters)[i] = -0.0;
    }
    return sampler;
}

/* Check that the distribution of the next draw consists of the tokens that the definition keeps, and that the
 * draw inverts it. */
static void check_draws(textgen_sampler_state *sampler, const double *logits, size_t count, double *scratch) {
    static double kept[MOST], weights[MOST];
    double entropy = 0.0, cumulative = 0.0;
    textgen_rng rng = sampler->rng;
    size_t i;
    for (i = 0; i < count; i++) {
        kept[i] = defined.kept[i] ? logits[i] : -INFINITY;
    }
    double expected_sum;
    CHECK(textgen_reweight(kept, count, sampler->parameters.temperature, weights, &expected_sum,
                           sampler->exp64) == 0);
    double sum;
    CHECK(textgen_filtered_reweight(sampler, logits, count, scratch, &sum) == 0);
    CHECK(sum == expected_sum && !memcmp(scratch, weights, count * sizeof *weights));
    for (i = 0; i < count; i++) {
        entropy -= weights[i] > 0.0 ? weights[i] / sum * textgen_log64(weights[i] / sum) / TEXTGEN_LN2 : 0.0;
    }
    CHECK(fabs(textgen_filtered_entropy(sampler, logits, count, scratch) - entropy) < 1e-9);
    const double threshold = textgen_rng_uniform(&rng) * sum;
    for (i = 0; cumulative <= threshold; i++) {
        cumulative += weights[i];
    }
    CHECK(textgen_filtered_draw(sampler, logits, count, scratch) == (int64_t)(i - 1));
    CHECK(sampler->rng.position == rng.position && defined.kept[i - 1]);
}

static void check_random(size_t count) {
    const textgen_parameters parameters = random_parameters(count);
    textgen_sampler_state sampler = make_sampler(&parameters, count);
    /* Of exactly this size, for sanitizers to see accesses beyond it. */
    double *scratch = allocate(textgen_sampler_scratch(count) * sizeof(double));
    double *logits = allocate(count * sizeof(double)), *filtered = allocate(count * sizeof(double));
    size_t remaining = 0;
    random_logits(logits, count);
    define(&parameters, logits, count);
    memcpy(filtered, logits, count * sizeof *logits);
    textgen_filters_apply(sampler.filters, &parameters, sampler.exp64, filtered, scratch);
    for (size_t i = 0; i < count; i++) {
        CHECK(filtered[i] == (defined.kept[i] ? logits[i] : -INFINITY));
        remaining += filtered[i] > -INFINITY;
    }
    CHECK(remaining > 0);
    check_draws(&sampler, logits, count, scratch);
    free(sampler.filters), free(scratch), free(logits), free(filtered);
}

/* Check how many of the first tokens remain of some tokens, whose logits are multiples of ln 2. */
static void check_first(const textgen_parameters *parameters, const int *gaps, size_t count, size_t expected) {
    textgen_sampler_state sampler = make_sampler(parameters, count);
    double filtered[8], scratch[64];
    for (size_t i = 0; i < count; i++) {
        filtered[i] = -TEXTGEN_LN2 * gaps[i];
    }
    textgen_filters_apply(sampler.filters, parameters, sampler.exp64, filtered, scratch);
    for (size_t i = 0; i < count; i++) {
        CHECK((filtered[i] > -INFINITY) == (i < expected));
    }
    free(sampler.filters);
}

/* Weights that are exactly at the border of a filter, and surprisals that are equally near to the entropy. */
static void check_borders(void) {
    static const int halves[] = {0, 1, 2, 3}, symmetric[] = {0, 2, 2, 2, 2};
    textgen_parameters parameters = textgen_parameters_default;
    double weight = -TEXTGEN_LN2;
    textgen_find_exp64(NULL)(&weight, 1);
    CHECK(weight == 0.5);
    parameters.min_p = 0.25;
    check_first(&parameters, halves, 4, 3);
    parameters.top_k = 4;
    check_first(&parameters, halves, 4, 3);
    parameters = textgen_parameters_default;
    /* The surprisals are 1 bit and 3 bits, and the entropy is 2 bits. The more likely token comes first. */
    parameters.typical_p = 0.4;
    check_first(&parameters, symmetric, 5, 1);
    parameters.typical_p = 0.6;
    check_first(&parameters, symmetric, 5, 2);
}

static void check_sort(size_t count) {
    const size_t room = textgen_sort_room(count);
    double *values = allocate(room * sizeof(double)), *scratch = allocate(room * sizeof(double));
    double sum = 0.0, sorted_sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        values[i] = (double)random_up_to(&state, random_number() < 0.5 ? 9 : 1 << 30);
        sum += values[i];
    }
    textgen_sort(values, count, scratch);
    for (size_t i = 0; i < count; i++) {
        CHECK(i == 0 || values[i - 1] <= values[i]);
        sorted_sum += values[i];
    }
    CHECK(sum == sorted_sum);
    free(values), free(scratch);
}

int main(void) {
    const size_t sizes[] = {1, 2, 3, 7, 8, 9, 17, 31, 59, 59, 64, 65, 200};
    for (size_t i = 0; i < 300; i++) {
        check_sort(i);
    }
    check_borders();
    for (size_t i = 0; i < ROUNDS; i++) {
        check_random(sizes[random_up_to(&state, sizeof sizes / sizeof *sizes - 1)]);
    }
    for (size_t i = 0; i < 8; i++) {
        check_random(MOST);
    }
    return 0;
}
