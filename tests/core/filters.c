/* Tests the sampler: without filters (the golden draws), with a bias, and its errors. */
#include "samplers.h"

static void print_golden_draws(uint32_t substream) {
    const textgen_parameters parameters = make_parameters();
    textgen_sampler_state sampler = make_sampler(&parameters, substream);
    double logits[TOKENS], values[8 * TOKENS];
    float narrow[TOKENS];
    fill_logits(logits);
    for (int i = 0; i < TOKENS; i++) {
        textgen_rng rng = sampler.rng;
        const int64_t token = draw(&sampler, logits);
        /* With the same random number, rounding the logits to float32 does not change these draws. */
        for (int j = 0; j < TOKENS; j++) {
            narrow[j] = (float)logits[j];
        }
        sampler.rng = rng;
        CHECK(textgen_filtered_draw(&sampler, textgen_widen(narrow, TOKENS, values, sampler.exp64), TOKENS) ==
              token);
        printf("%d ", (int)token);
    }
    printf("\n");
}

/* A draw takes the first token whose cumulative probability exceeds the uniform number. */
static void check_borders(void) {
    const double logits[4] = {-INFINITY, 0.0, 0.0, -1e9}, uniforms[] = {0.0, 0.5 - 1e-9, 0.5, 1.0 - 1e-16};
    double weights[4];
    for (int i = 0; i < 4; i++) {
        CHECK(textgen_unfiltered_draw(logits, 4, 0.7, uniforms[i], weights, textgen_find_exp64(NULL)) ==
              1 + i / 2);
    }
}

/* Filters that do nothing change nothing. */
static void check_off(void) {
    const textgen_parameters off = make_parameters();
    textgen_sampler_state plain = make_sampler(&off, 1), filtered = make_filtered(&off, 1);
    double logits[TOKENS];
    CHECK(!textgen_filters_active(&off));
    fill_logits(logits);
    for (int i = 0; i < DRAWS; i++) {
        CHECK(draw(&plain, logits) == draw(&filtered, logits));
    }
    CHECK(filtered.rng.position == DRAWS && filtered.filters->recent_count == 0);
    free(filtered.filters);
}

static void check_bias(void) {
    const textgen_parameters parameters = make_parameters();
    textgen_sampler_state sampler = make_filtered(&parameters, 0);
    double logits[TOKENS], biased[TOKENS], expected[TOKENS], weights[TOKENS], expected_sum, sum;
    fill_logits(logits);
    for (int i = 0; i < TOKENS; i++) {
        const double bias = i % 3 ? 0.25 * i - 1.0 : -INFINITY;
        textgen_filters_bias(sampler.filters)[i] = bias;
        biased[i] = logits[i] + bias;
    }
    double *values = copied(logits, TOKENS);
    CHECK_OK(textgen_filtered_reweight(&sampler, values, TOKENS, weights, &sum));
    CHECK_OK(textgen_reweight(biased, TOKENS, 0.8, expected, &expected_sum, sampler.exp64));
    CHECK(sum == expected_sum && !memcmp(expected, weights, sizeof weights));
    free(sampler.filters), free(values);
}

static void check_error(textgen_sampler_state *sampler, const double logits[TOKENS], int64_t code) {
    const int64_t position = sampler->rng.position;
    double *values[3] = {copied(logits, TOKENS), copied(logits, TOKENS), copied(logits, TOKENS)};
    double weights[TOKENS], sum;
    CHECK(textgen_filtered_draw(sampler, values[0], TOKENS) == code);
    CHECK(sampler->rng.position == position + 1);
    CHECK(textgen_filtered_reweight(sampler, values[1], TOKENS, weights, &sum) == code);
    CHECK(textgen_filtered_entropy(sampler, values[2], TOKENS) == 0.0);
    free(values[0]), free(values[1]), free(values[2]);
}

static void check_errors(textgen_sampler_state sampler) {
    const double bad[] = {NAN, INFINITY};
    textgen_filters *filters = sampler.filters;
    double logits[TOKENS], values[8 * TOKENS];
    for (int i = 0; i < 2; i++) {
        fill_logits(logits);
        logits[3] = bad[i];
        check_error(&sampler, logits, TEXTGEN_INVALID_LOGITS);
        CHECK(isnan(textgen_log_sum_exp(logits, TOKENS, values, sampler.exp64)));
        CHECK(textgen_argmax(logits, TOKENS, sampler.exp64) == TEXTGEN_INVALID_LOGITS);
    }
    for (int i = 0; i < TOKENS; i++) {
        logits[i] = -INFINITY;
    }
    check_error(&sampler, logits, TEXTGEN_INVALID_LOGITS);
    fill_logits(logits);
    if (filters) {
        for (int i = 0; i < TOKENS; i++) {
            textgen_filters_bias(filters)[i] = -INFINITY;
        }
        check_error(&sampler, logits, TEXTGEN_NO_TOKEN);
        CHECK(filters->recent_count == 0 && filters->mirostat_mu == 2.0 * sampler.parameters.mirostat_tau);
    }
    sampler.rng.position = INT64_MAX;
    CHECK(textgen_filtered_draw(&sampler, logits, TOKENS) == TEXTGEN_RNG_EXHAUSTED);
    CHECK(sampler.rng.position == INT64_MAX);
    free(filters);
}

static void check_sizes(void) {
    CHECK(textgen_filters_size(0) == sizeof(textgen_filters) && textgen_filters_size(SIZE_MAX / 16) == 0);
    CHECK(textgen_filters_size(SIZE_MAX / 32) > SIZE_MAX / 32 * 16);
}

int main(void) {
    const textgen_parameters off = make_parameters();
    textgen_parameters penalties = off, truncations = off, mirostat = off;
    print_golden_draws(0);
    print_golden_draws(3);
    check_borders();
    check_off();
    check_bias();
    penalties.repetition_penalty = 1.5;
    truncations.typical_p = truncations.top_p = 0.9;
    mirostat.mirostat_tau = 3.0;
    check_errors(make_sampler(&off, 0));
    check_errors(make_filtered(&off, 0));
    check_errors(make_filtered(&penalties, 0));
    check_errors(make_filtered(&truncations, 0));
    check_errors(make_filtered(&mirostat, 0));
    check_sizes();
    return 0;
}
