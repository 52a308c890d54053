/* Tests the sampler: without filters (the golden draws), with a bias, and its errors. */
#include "samplers.h"

static void print_golden_draws(uint64_t substream) {
    textgen_sampling sampling = plain;
    double logits[TOKENS];
    float narrow[TOKENS];
    sampling.substream = substream;
    textgen_stream *sampler = make_sampler(&sampling, TOKENS), *other = make_sampler(&sampling, TOKENS);
    fill_logits(logits);
    for (int i = 0; i < TOKENS; i++) {
        narrow[i] = (float)logits[i];
    }
    for (int i = 0; i < TOKENS; i++) {
        const int64_t token = draw(sampler, logits);
        /* Rounding the logits to float32 does not change these draws. */
        CHECK(textgen_sampler_draw(other, narrow, 1) == token);
        printf("%d ", (int)token);
    }
    printf("\n");
    free(sampler), free(other);
}

/* A draw takes the first token whose cumulative probability exceeds the uniform number. */
static void check_borders(void) {
    const double logits[4] = {-INFINITY, 0.0, 0.0, -1e9}, uniforms[] = {0.0, 0.5 - 1e-9, 0.5, 1.0 - 1e-16};
    double weights[4];
    for (int i = 0; i < 4; i++) {
        CHECK(textgen_draw_with(logits, 4, 0.7, uniforms[i], weights) == 1 + i / 2);
    }
}

/* A bias is added to the logits. That of zeros changes nothing. */
static void check_bias(void) {
    textgen_sampling sampling = plain;
    double logits[TOKENS], bias[TOKENS] = {0.0}, biased[TOKENS], expected[TOKENS], probabilities[TOKENS];
    sampling.logit_bias = bias;
    textgen_stream *without = make_sampler(&plain, TOKENS), *sampler = make_sampler(&sampling, TOKENS);
    fill_logits(logits);
    for (int i = 0; i < DRAWS; i++) {
        CHECK(draw(without, logits) == draw(sampler, logits));
    }
    for (int i = 0; i < TOKENS; i++) {
        bias[i] = i % 3 ? 0.25 * i - 1.0 : -INFINITY;
        biased[i] = logits[i] + bias[i];
    }
    CHECK_OK(textgen_stream_set_sampling(sampler, &sampling, &error));
    CHECK_OK(textgen_sampler_probabilities(sampler, logits, probabilities));
    CHECK_OK(textgen_softmax(biased, TOKENS, 0.8, expected));
    CHECK(!memcmp(expected, probabilities, sizeof expected));
    free(without), free(sampler);
}

/* A draw that fails takes a random number, and changes nothing else. */
static void check_error(textgen_stream *sampler, const double logits[TOKENS], int64_t code) {
    const int64_t position = sampler->text.rng.position;
    double values[TOKENS], probabilities[TOKENS], *copy = copied(logits, TOKENS);
    const textgen_sampler_state state = textgen_stream_sampler(sampler);
    const double mu = sampler->filters->mirostat_mu;
    CHECK(textgen_sampler_draw(sampler, logits, 0) == code);
    CHECK(sampler->text.rng.position == position + 1);
    CHECK(!sampler->text.filtered || (!sampler->filters->recent_count && sampler->filters->mirostat_mu == mu));
    CHECK(textgen_sampler_probabilities(sampler, logits, probabilities) == code);
    CHECK(textgen_sampler_entropy(&state, copy, TOKENS) == 0.0);
    CHECK(code == TEXTGEN_NO_TOKEN || (isnan(textgen_log_sum_exp(logits, TOKENS, values, state.exp64)) &&
                                       textgen_argmax(logits, TOKENS, state.exp64) == code));
    free(copy);
}

static void check_errors(textgen_sampling sampling) {
    const double bad[] = {NAN, INFINITY};
    double logits[TOKENS], bias[TOKENS];
    textgen_stream *sampler = make_sampler(&sampling, TOKENS);
    for (int i = 0; i < 2; i++) {
        fill_logits(logits);
        logits[3] = bad[i];
        check_error(sampler, logits, TEXTGEN_INVALID_LOGITS);
    }
    for (int i = 0; i < TOKENS; i++) {
        logits[i] = bias[i] = -INFINITY;
    }
    check_error(sampler, logits, TEXTGEN_INVALID_LOGITS);
    /* The bias leaves only what the logits forbid. */
    fill_logits(logits);
    logits[7] = -INFINITY;
    bias[7] = 0.0;
    sampling.logit_bias = bias;
    CHECK_OK(textgen_stream_set_sampling(sampler, &sampling, &error));
    check_error(sampler, logits, TEXTGEN_NO_TOKEN);
    textgen_stream_seek(sampler, INT64_MAX);
    CHECK(textgen_sampler_draw(sampler, logits, 0) == TEXTGEN_RNG_EXHAUSTED);
    CHECK(sampler->text.rng.position == INT64_MAX);
    free(sampler);
}

int main(void) {
    textgen_sampling penalties = plain, truncations = plain, mirostat = plain;
    print_golden_draws(0);
    print_golden_draws(3);
    check_borders();
    check_bias();
    penalties.repetition_penalty = 1.5;
    truncations.typical_p = truncations.top_p = 0.9;
    mirostat.mirostat_tau = 3.0;
    check_errors(plain);
    check_errors(penalties);
    check_errors(truncations);
    check_errors(mirostat);
    return 0;
}
