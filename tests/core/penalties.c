/* Tests the penalties and mirostat, whose state depends on the drawn tokens. */
#include "samplers.h"

#include <float.h>

/* The definition of the penalties, over the last tokens. */
static double penalized(const textgen_sampling *sampling, double logit, int64_t token, const int64_t *recent,
                        size_t count) {
    size_t occurrences = 0;
    for (size_t i = 0; i < count; i++) {
        occurrences += recent[i] == token;
    }
    if (occurrences == 0) {
        return logit;
    }
    logit = logit > 0 ? logit / sampling->repetition_penalty : logit * sampling->repetition_penalty;
    return logit - (double)occurrences * sampling->frequency_penalty - sampling->presence_penalty;
}

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Draw with penalties that change: with other ones the last penalty_window tokens are kept, without any, none.
 */
static void check_penalties(const double penalties[][4], size_t count) {
    textgen_sampling sampling = plain;
    textgen_stream *sampler = NULL;
    static int64_t drawn[DRAWS];
    double logits[TOKENS], filtered[TOKENS], bias[TOKENS] = {0.0};
    size_t kept = 0;
    bias[TOKENS / 2] = 0.4; /* comes first */
    for (size_t i = 0; i < DRAWS; i++) {
        if (i % (DRAWS / count) == 0) {
            const double *changed = penalties[i / (DRAWS / count)];
            sampling.penalty_window = (uint64_t)changed[0];
            sampling.repetition_penalty = changed[1];
            sampling.frequency_penalty = changed[2];
            sampling.presence_penalty = changed[3];
            sampling.logit_bias = bias;
            sampler = sampler ? sampler : make_sampler(&sampling, TOKENS);
            CHECK_OK(textgen_stream_set_sampling(sampler, &sampling, &error));
        }
        const bool is_on = sampling.repetition_penalty != 1.0 || sampling.frequency_penalty != 0.0 ||
                           sampling.presence_penalty != 0.0;
        const size_t window = is_on ? (size_t)sampling.penalty_window : 0;
        kept = least(kept, window);
        fill_logits(logits);
        apply_filters(sampler, logits, filtered);
        for (size_t j = 0; j < TOKENS; j++) {
            const double expected =
                penalized(&sampling, logits[j] + bias[j], (int64_t)j, drawn + i - kept, kept);
            CHECK(fabs(filtered[j] - expected) <= 1e-12 * (1.0 + fabs(expected)));
        }
        drawn[i] = draw(sampler, logits);
        kept = least(kept + 1, window);
    }
    free(sampler);
}

/* A repetition penalty that overflows does not look like a damaged model, nor like a forbidden token. A
 * forbidden one remains forbidden. */
static void check_overflow(void) {
    textgen_sampling sampling = plain;
    double logits[TOKENS], filtered[TOKENS];
    sampling.repetition_penalty = 5e-324;
    textgen_stream *sampler = make_sampler(&sampling, TOKENS);
    fill_logits(logits);
    logits[0] = 1e300;
    CHECK(draw(sampler, logits) == 0);
    logits[0] = 1.0;
    logits[18] = 3e300;
    apply_filters(sampler, logits, filtered);
    CHECK(filtered[0] == DBL_MAX && filtered[18] == 3e300);
    sampling.repetition_penalty = 100.0;
    CHECK_OK(textgen_stream_set_sampling(sampler, &sampling, &error));
    logits[0] = -1e307;
    CHECK(draw(sampler, logits) == 18);
    logits[18] = -INFINITY;
    apply_filters(sampler, logits, filtered);
    CHECK(filtered[0] == -DBL_MAX && filtered[18] == -INFINITY && filtered[2] > -1000.0);
    free(sampler);
}

/* The surprisal of a token in bits, from its probability. */
static double surprisal(const double *logits, int64_t token) {
    double probabilities[TOKENS];
    CHECK_OK(textgen_softmax(logits, TOKENS, 1.0, probabilities));
    return -logarithm(probabilities[token]) / logarithm(2.0);
}

/* Another tau begins with another mu. Another eta, or temperature, does not. */
static void check_mirostat(double tau, double eta) {
    textgen_sampling sampling = plain;
    double logits[TOKENS], filtered[TOKENS], mu = 0.0, total = 0.0;
    sampling.mirostat_tau = 1.0;
    textgen_stream *sampler = make_sampler(&sampling, TOKENS);
    fill_logits(logits);
    for (int i = 0; i < DRAWS; i++) {
        if (i % (DRAWS / 2) == 0) {
            mu = i ? mu : 2.0 * tau;
            sampling.mirostat_tau = tau;
            sampling.mirostat_eta = eta;
            sampling.temperature = i ? 1.0 : 1.5;
            CHECK_OK(textgen_stream_set_sampling(sampler, &sampling, &error));
        }
        CHECK(fabs(sampler->filters->mirostat_mu - mu) < 1e-6);
        apply_filters(sampler, logits, filtered);
        for (int j = 0; j < TOKENS; j++) {
            const double margin = surprisal(logits, j) - mu;
            CHECK(filtered[j] == logits[j] || filtered[j] == -INFINITY);
            CHECK(fabs(margin) < 1e-6 || (filtered[j] == logits[j]) == (margin < 0.0 || j == TOKENS - 1));
        }
        const int64_t token = draw(sampler, logits);
        CHECK(filtered[token] == logits[token]);
        mu -= eta * (surprisal(logits, token) - tau);
        total += surprisal(logits, token);
    }
    /* The sum of all changes of mu is limited, so the mean surprisal approaches the target. */
    CHECK(fabs(total / (double)DRAWS - tau) < 0.02);
    free(sampler);
}

/* However surprising it is, the most likely token remains. */
static void check_most_likely(void) {
    textgen_sampling sampling = plain;
    double logits[TOKENS];
    sampling.mirostat_tau = 1e-9;
    textgen_stream *sampler = make_sampler(&sampling, TOKENS);
    fill_logits(logits);
    apply_filters(sampler, logits, logits);
    for (int i = 0; i < TOKENS; i++) {
        CHECK((logits[i] > -INFINITY) == (i == TOKENS - 1));
    }
    free(sampler);
}

int main(void) {
    static const double first[][4] = {{1, 1.3, 0.0, 0.0}, {7, 0.7, 0.0, 0.0}, {64, 1.0, 0.15, 0.0}};
    static const double second[][4] = {
        {1024, 1.0, -0.01, 0.5}, {100, 1.2, 0.01, -0.3}, {100, 1.0, 0.0, 0.0}, {5, 1.0, 0.0, 1.0}};
    static const double third[][4] = {{1000, 1.1, 0.0, 0.0}, {1024, 1.1, 0.0, 0.0}};
    check_penalties(first, 3);
    check_penalties(second, 4);
    check_penalties(third, 2);
    check_overflow();
    check_mirostat(3.0, 0.1);
    check_mirostat(3.5, 1.0);
    check_most_likely();
    return 0;
}
