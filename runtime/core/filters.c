/* See filters.h for how to add a filter. Sources of the penalties:
 *
 *   repetition  N. Keskar and others, CTRL: a conditional transformer language model, 2019. A positive logit is
 *               divided and a negative one multiplied, so that the token always becomes less likely.
 *   frequency and presence  the formula of OpenAI's API, over a window of recent tokens */
#include "filters.h"
#include "exact.h"

#include <math.h>
#include <string.h>

size_t textgen_filters_size(size_t vocabulary) {
    const size_t per_token = 2 * sizeof(double);
    return vocabulary > (SIZE_MAX - sizeof(textgen_filters)) / per_token
               ? 0
               : sizeof(textgen_filters) + vocabulary * per_token;
}

double *textgen_filters_bias(textgen_filters *filters) { return (void *)(filters + 1); }

static double *counts_of(textgen_filters *filters) {
    return textgen_filters_bias(filters) + filters->vocabulary;
}

void textgen_filters_init(textgen_filters *filters, const textgen_parameters *parameters, size_t vocabulary) {
    memset(filters, 0, textgen_filters_size(vocabulary));
    filters->vocabulary = vocabulary;
    filters->mirostat_mu = 2.0 * parameters->mirostat_tau;
}

bool textgen_penalties_active(const textgen_parameters *parameters) {
    return parameters->repetition_penalty != 1.0 || parameters->frequency_penalty != 0.0 ||
           parameters->presence_penalty != 0.0;
}

bool textgen_filters_active(const textgen_parameters *parameters) {
    return textgen_penalties_active(parameters) || textgen_truncation_active(parameters);
}

static void add_recent(textgen_filters *filters, size_t window, uint32_t token) {
    double *counts = counts_of(filters);
    if (filters->recent_count < window) {
        filters->recent[filters->recent_count++] = token;
    } else {
        counts[filters->recent[filters->recent_next]] -= 1.0;
        filters->recent[filters->recent_next] = token;
        filters->recent_next = filters->recent_next + 1 < window ? filters->recent_next + 1 : 0;
    }
    counts[token] += 1.0;
}

void textgen_filters_set_recent(textgen_filters *filters, const textgen_parameters *parameters,
                                const uint32_t *tokens, size_t count) {
    filters->recent_count = filters->recent_next = 0;
    memset(counts_of(filters), 0, (size_t)filters->vocabulary * sizeof(double));
    for (size_t i = 0; i < count && textgen_penalties_active(parameters); i++) {
        add_recent(filters, (size_t)parameters->penalty_window, tokens[i]);
    }
}

size_t textgen_filters_get_recent(const textgen_filters *filters, uint32_t *tokens) {
    const size_t oldest = (size_t)filters->recent_next, count = (size_t)filters->recent_count;
    memcpy(tokens, filters->recent + oldest, (count - oldest) * sizeof *tokens);
    memcpy(tokens + (count - oldest), filters->recent, oldest * sizeof *tokens);
    return count;
}

void textgen_filters_change(textgen_filters *filters, const textgen_parameters *before,
                            const textgen_parameters *parameters) {
    uint32_t recent[TEXTGEN_MAX_PENALTY_WINDOW];
    const size_t count = textgen_filters_get_recent(filters, recent);
    filters->drawn_surprisal = 0.0;
    if (before->mirostat_tau != parameters->mirostat_tau) {
        filters->mirostat_mu = 2.0 * parameters->mirostat_tau;
    }
    textgen_filters_set_recent(filters, parameters, recent, count);
}

/* Lower the logits of the recent tokens. counts: how often each token is among them. Without branches, which
 * would often be mispredicted. */
static void penalize(const textgen_parameters *parameters, const double *counts, double *logits, size_t count,
                     double *scratch) {
    const double repetition = parameters->repetition_penalty, frequency = parameters->frequency_penalty;
    const double presence = parameters->presence_penalty;
    for (size_t i = 0; i < count; i++) {
        double penalized = logits[i] > 0.0 ? logits[i] / repetition : logits[i] * repetition;
        /* An overflow would look like a damaged model, or like a forbidden token. */
        penalized = penalized > DBL_MAX ? DBL_MAX : penalized;
        penalized = penalized < -DBL_MAX && logits[i] >= -DBL_MAX ? -DBL_MAX : penalized;
        logits[i] = counts[i] > 0.0 ? penalized : logits[i];
        scratch[i] = counts[i] * frequency;
    }
    TEXTGEN_ROUND_ARRAY(logits);
    TEXTGEN_ROUND_ARRAY(scratch);
    for (size_t i = 0; i < count; i++) {
        logits[i] = logits[i] - scratch[i] - (counts[i] > 0.0 ? presence : 0.0);
    }
}

double textgen_filters_apply(const textgen_filters *filters, const textgen_parameters *parameters,
                             textgen_exp64 exp64, double *logits, double *scratch) {
    const size_t count = (size_t)filters->vocabulary;
    const double *bias = (const void *)(filters + 1), *counts = bias + count;
    for (size_t i = 0; i < count; i++) {
        logits[i] += bias[i];
    }
    if (filters->recent_count > 0) {
        penalize(parameters, counts, logits, count, scratch);
    }
    if (textgen_truncation_active(parameters)) {
        return textgen_truncate(parameters, filters->mirostat_mu, exp64, logits, count, scratch);
    }
    return 0.0;
}

void textgen_filters_accept(textgen_filters *filters, const textgen_parameters *parameters, int64_t token) {
    if (textgen_penalties_active(parameters)) {
        add_recent(filters, (size_t)parameters->penalty_window, (uint32_t)token);
    }
    if (parameters->mirostat_tau > 0.0) {
        double change = parameters->mirostat_eta * (filters->drawn_surprisal - parameters->mirostat_tau);
        TEXTGEN_ROUND(change);
        filters->mirostat_mu -= change;
    }
}
