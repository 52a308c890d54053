/* Tests top_k, typical_p, top_p and min_p against their definitions, on random logits of many kinds.
 *
 * tests/runtime/sampling/test_filter_distributions.py has examples with known probabilities. */
#include "definitions.h"
#include "samplers.h"

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

static textgen_sampling random_sampling(size_t count) {
    const double temperatures[] = {0.0, 5e-324, 0.3, 1.0, 1e300};
    const size_t chosen = 1 + random_up_to(&state, 14);
    return (textgen_sampling){.seed = next_random(&state),
                              .temperature = temperatures[random_up_to(&state, 4)],
                              .top_k = chosen & 1 ? random_up_to(&state, count + 2) : 0,
                              .typical_p = chosen & 2 ? random_probability() : 1.0,
                              .top_p = chosen & 4 ? random_probability() : 1.0,
                              .min_p = chosen & 8 ? random_probability() * random_probability() : 0.0};
}

/* Check that the distribution of the next draw consists of the tokens that the definition keeps, and that the
 * draw inverts it. */
static void check_draws(textgen_stream *sampler, const double *logits, size_t count) {
    static double kept[MOST], expected[MOST], weights[MOST];
    const textgen_sampler_state state_of = textgen_stream_sampler(sampler);
    double entropy = 0.0, cumulative = 0.0, expected_sum, sum;
    double *values[2] = {copied(logits, count), copied(logits, count)};
    textgen_rng rng = sampler->text.rng;
    size_t i;
    for (i = 0; i < count; i++) {
        kept[i] = defined.kept[i] ? logits[i] : -INFINITY;
    }
    CHECK_OK(textgen_reweight(kept, count, sampler->text.parameters.temperature, expected, &expected_sum,
                              state_of.exp64));
    CHECK_OK(textgen_sampler_weigh(&state_of, values[0], count, weights, &sum));
    CHECK(sum == expected_sum && !memcmp(expected, weights, count * sizeof *weights));
    for (i = 0; i < count; i++) {
        entropy -= weights[i] > 0.0 ? weights[i] / sum * textgen_log64(weights[i] / sum) / TEXTGEN_LN2 : 0.0;
    }
    CHECK(fabs(textgen_sampler_entropy(&state_of, values[1], count) - entropy) < 1e-9);
    const double threshold = textgen_rng_uniform(&rng) * sum;
    for (i = 0; cumulative <= threshold; i++) {
        cumulative += weights[i];
    }
    CHECK(draw(sampler, logits) == (int64_t)(i - 1));
    CHECK(sampler->text.rng.position == rng.position && defined.kept[i - 1]);
    free(values[0]), free(values[1]);
}

static void check_random(size_t count) {
    const textgen_sampling sampling = random_sampling(count);
    textgen_stream *sampler = make_sampler(&sampling, count);
    double *logits = allocate(count * sizeof(double)), *left = allocate(count * sizeof(double));
    size_t remaining = 0;
    random_logits(logits, count);
    define(&sampler->text.parameters, logits, count);
    apply_filters(sampler, logits, left);
    for (size_t i = 0; i < count; i++) {
        CHECK(left[i] == (defined.kept[i] ? logits[i] : -INFINITY));
        remaining += left[i] > -INFINITY;
    }
    CHECK(remaining > 0);
    check_draws(sampler, logits, count);
    free(sampler), free(logits), free(left);
}

/* Check how many of the first tokens remain of some tokens, whose logits are multiples of ln 2. */
static void check_first(textgen_sampling sampling, const int *gaps, size_t count, size_t expected) {
    textgen_stream *sampler = make_sampler(&sampling, count);
    double logits[8];
    for (size_t i = 0; i < count; i++) {
        logits[i] = -TEXTGEN_LN2 * gaps[i];
    }
    apply_filters(sampler, logits, logits);
    for (size_t i = 0; i < count; i++) {
        CHECK((logits[i] > -INFINITY) == (i < expected));
    }
    free(sampler);
}

/* Weights that are exactly at the border of a filter, and surprisals that are equally near to the entropy. */
static void check_borders(void) {
    static const int halves[] = {0, 1, 2, 3}, symmetric[] = {0, 2, 2, 2, 2};
    const double difference = TEXTGEN_LN2;
    double weight;
    (void)textgen_find_exp64(NULL)->exponentials(&difference, 1, 0.0, -1.0, false, &weight);
    CHECK(weight == 0.5);
    check_first((textgen_sampling){.min_p = 0.25}, halves, 4, 3);
    check_first((textgen_sampling){.min_p = 0.25, .top_k = 4}, halves, 4, 3);
    /* The surprisals are 1 bit and 3 bits, and the entropy is 2 bits. The more likely token comes first. */
    check_first((textgen_sampling){.typical_p = 0.4}, symmetric, 5, 1);
    check_first((textgen_sampling){.typical_p = 0.6}, symmetric, 5, 2);
}

int main(void) {
    const size_t sizes[] = {1, 2, 3, 7, 8, 9, 17, 31, 59, 59, 64, 65, 200};
    check_borders();
    for (size_t i = 0; i < ROUNDS; i++) {
        check_random(sizes[random_up_to(&state, sizeof sizes / sizeof *sizes - 1)]);
    }
    for (size_t i = 0; i < 8; i++) {
        check_random(MOST);
    }
    return 0;
}
