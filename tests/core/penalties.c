/* Tests the penalties and mirostat, whose state depends on the drawn tokens. */
#include "samplers.h"

#include "log64.h"

#include <float.h>

/* The definition of the penalties, over the last `window` of the drawn tokens. */
static double penalized(const textgen_parameters *parameters, double logit, int64_t token, const int64_t *drawn,
                        size_t count) {
    const size_t window = (size_t)parameters->penalty_window;
    size_t occurrences = 0;
    for (size_t i = count > window ? count - window : 0; i < count; i++) {
        occurrences += drawn[i] == token;
    }
    if (occurrences == 0) {
        return logit;
    }
    logit = logit > 0 ? logit / parameters->repetition_penalty : logit * parameters->repetition_penalty;
    return logit - (double)occurrences * parameters->frequency_penalty - parameters->presence_penalty;
}

static void check_penalties(size_t window, double repetition, double frequency, double presence) {
    const textgen_parameters parameters = {0.8, repetition, frequency, presence, window, 0, 1, 1, 0, 0, 0.1, 0};
    textgen_sampler_state sampler = make_filtered(&parameters, 0);
    static int64_t drawn[DRAWS];
    double logits[TOKENS], filtered[TOKENS], scratch[8 * TOKENS];
    const double bias = 0.4;
    uint32_t recent[TEXTGEN_MAX_PENALTY_WINDOW];
    CHECK(textgen_penalties_active(&parameters) && textgen_filters_active(&parameters));
    /* The bias comes first. */
    textgen_filters_bias(sampler.filters)[TOKENS / 2] = bias;
    for (size_t i = 0; i < DRAWS; i++) {
        fill_logits(logits);
        memcpy(filtered, logits, sizeof filtered);
        textgen_filters_apply(sampler.filters, &parameters, sampler.exp64, filtered, scratch);
        for (size_t j = 0; j < TOKENS; j++) {
            const double biased = logits[j] + (j == TOKENS / 2 ? bias : 0.0);
            const double expected = penalized(&parameters, biased, (int64_t)j, drawn, i);
            CHECK(fabs(filtered[j] - expected) <= 1e-12 * (1.0 + fabs(expected)));
        }
        drawn[i] = draw(&sampler, logits);
        const size_t kept = textgen_filters_get_recent(sampler.filters, recent);
        CHECK(kept == (i + 1 < window ? i + 1 : window));
        for (size_t j = 0; j < kept; j++) {
            CHECK(recent[j] == drawn[i + 1 - kept + j]);
        }
    }
    free(sampler.filters);
}

/* A repetition penalty that overflows does not look like a damaged model. */
static void check_overflow(void) {
    textgen_parameters parameters = textgen_parameters_default;
    double logits[TOKENS];
    const uint32_t recent[] = {3, 18, 19};
    parameters.repetition_penalty = 5e-324;
    parameters.temperature = 0.0;
    textgen_sampler_state sampler = make_filtered(&parameters, 0);
    textgen_filters_set_recent(sampler.filters, &parameters, recent, 3);
    fill_logits(logits);
    CHECK(draw(&sampler, logits) == 18);
    free(sampler.filters);
}

/* A token whose penalty overflows remains possible, and a forbidden one remains forbidden. */
static void check_underflow(void) {
    textgen_parameters parameters = textgen_parameters_default;
    const uint32_t recent[] = {0, 1, 2};
    double logits[TOKENS], scratch[8 * TOKENS];
    parameters.repetition_penalty = 100.0;
    textgen_filters *filters = make_filters(&parameters);
    textgen_filters_set_recent(filters, &parameters, recent, 3);
    fill_logits(logits);
    logits[0] = -1e307;
    logits[1] = -INFINITY;
    textgen_filters_apply(filters, &parameters, textgen_find_exp64(NULL), logits, scratch);
    CHECK(logits[0] == -DBL_MAX && logits[1] == -INFINITY && logits[2] > -1000.0);
    free(filters);
}

static void check_change(void) {
    textgen_parameters parameters = textgen_parameters_default;
    uint32_t tokens[200], recent[TEXTGEN_MAX_PENALTY_WINDOW];
    for (size_t i = 0; i < 200; i++) {
        tokens[i] = (uint32_t)(i * i % TOKENS);
    }
    parameters.presence_penalty = 1.0;
    parameters.mirostat_tau = 3.0;
    textgen_filters *filters = make_filters(&parameters);
    CHECK(filters->mirostat_mu == 6.0);
    filters->mirostat_mu = 5.0;
    textgen_filters_bias(filters)[1] = -1.0;
    textgen_filters_set_recent(filters, &parameters, tokens, 200);
    CHECK(textgen_filters_get_recent(filters, recent) == 64 && !memcmp(recent, tokens + 136, 64 * 4));
    /* A smaller window keeps the latest tokens. */
    textgen_parameters before = parameters;
    parameters.penalty_window = 10;
    textgen_filters_change(filters, &before, &parameters);
    CHECK(textgen_filters_get_recent(filters, recent) == 10 && !memcmp(recent, tokens + 190, 10 * 4));
    CHECK(filters->mirostat_mu == 5.0 && textgen_filters_bias(filters)[1] == -1.0);
    before = parameters;
    parameters.mirostat_tau = 2.0;
    textgen_filters_change(filters, &before, &parameters);
    CHECK(filters->mirostat_mu == 4.0 && filters->recent_count == 10);
    /* Without penalties, no tokens are kept. */
    before = parameters;
    parameters.presence_penalty = 0.0;
    textgen_filters_change(filters, &before, &parameters);
    CHECK(textgen_filters_get_recent(filters, recent) == 0);
    textgen_filters_accept(filters, &parameters, 1);
    CHECK(textgen_filters_get_recent(filters, recent) == 0);
    free(filters);
}

/* The surprisal of a token in bits, from its probability. */
static double surprisal(const double *logits, int64_t token, textgen_exp64 exp64) {
    double sum = 0.0;
    for (int i = 0; i < TOKENS; i++) {
        double weight = logits[i] - logits[token];
        weight = weight > 0.0 ? -weight : weight;
        exp64(&weight, 1);
        sum += logits[i] > logits[token] ? 1.0 / weight : weight;
    }
    return textgen_log64(sum) / TEXTGEN_LN2;
}

static void check_mirostat(double tau, double eta) {
    textgen_parameters parameters = textgen_parameters_default;
    double logits[TOKENS], filtered[TOKENS], scratch[8 * TOKENS], mu = 2.0 * tau, total = 0.0;
    parameters.mirostat_tau = tau;
    parameters.mirostat_eta = eta;
    parameters.temperature = 1.5;
    textgen_sampler_state sampler = make_filtered(&parameters, 0);
    CHECK(textgen_filters_active(&parameters));
    fill_logits(logits);
    for (int i = 0; i < DRAWS; i++) {
        CHECK(fabs(sampler.filters->mirostat_mu - mu) < 1e-6);
        memcpy(filtered, logits, sizeof filtered);
        textgen_filters_apply(sampler.filters, &parameters, sampler.exp64, filtered, scratch);
        for (int j = 0; j < TOKENS; j++) {
            const double margin = surprisal(logits, j, sampler.exp64) - mu;
            CHECK(filtered[j] == logits[j] || filtered[j] == -INFINITY);
            CHECK(fabs(margin) < 1e-6 || (filtered[j] == logits[j]) == (margin < 0.0 || j == TOKENS - 1));
        }
        const int64_t token = draw(&sampler, logits);
        CHECK(filtered[token] == logits[token]);
        mu -= eta * (surprisal(logits, token, sampler.exp64) - tau);
        total += surprisal(logits, token, sampler.exp64);
    }
    /* The sum of all changes of mu is limited, so the mean surprisal approaches the target. */
    CHECK(fabs(total / (double)DRAWS - tau) < 0.02);
    free(sampler.filters);
}

/* However surprising it is, the most likely token remains. */
static void check_most_likely(void) {
    textgen_parameters parameters = textgen_parameters_default;
    parameters.mirostat_tau = 1e-9;
    textgen_filters *filters = make_filters(&parameters);
    double logits[TOKENS], scratch[8 * TOKENS];
    fill_logits(logits);
    textgen_filters_apply(filters, &parameters, textgen_find_exp64(NULL), logits, scratch);
    for (int i = 0; i < TOKENS; i++) {
        CHECK((logits[i] > -INFINITY) == (i == TOKENS - 1));
    }
    free(filters);
}

int main(void) {
    check_penalties(1, 1.3, 0.0, 0.0);
    check_penalties(7, 0.7, 0.0, 0.0);
    check_penalties(64, 1.0, 0.15, 0.0);
    check_penalties(1024, 1.0, -0.01, 0.5);
    check_penalties(100, 1.2, 0.01, -0.3);
    check_overflow();
    check_underflow();
    check_change();
    check_mirostat(3.0, 0.1);
    check_mirostat(3.5, 1.0);
    check_most_likely();
    return 0;
}
