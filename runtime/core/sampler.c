/* Sources:
 *   repetition  N. Keskar and others, CTRL: a conditional transformer language model, 2019. A positive logit is
 *               divided and a negative one multiplied, so that the token always becomes less likely.
 *   frequency and presence  the formula of OpenAI's API, over a window of recent tokens
 *   top_k       A. Fan, M. Lewis and Y. Dauphin, Hierarchical neural story generation, 2018
 *   typical_p   C. Meister and others, Locally typical sampling, 2022
 *   top_p       A. Holtzman and others, The curious case of neural text degeneration, 2019
 *   min_p       M. Nguyen and others, Turning up the heat: min-p sampling, 2024
 *   mirostat    S. Basu and others, Mirostat: a neural text decoding algorithm, 2020, algorithm 2 */
#include "sampler.h"
#include "exact.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* --- The parameters. */

const textgen_parameters textgen_parameters_default = {
#define TEXTGEN_PARAMETER(name, kind, initial, ...) .name = initial,
#include "parameters.def"
};

#define NONE NAN
#define CLOSED 0
#define OPEN 1
#define HEADING_DRAW ""
#define HEADING_FILTER "filters, applied before the temperature"
#define HEADING_TRUNCATION HEADING_FILTER
#define HEADING_CHARACTER "characters"
#define HEADING_ENDING "where a text ends"
#define HEADING_CONSTRAINT "constraints of the complete text"
#define DESCRIBE(name, kind, initial, off, low, limit, high, order, group, value, help, offset)                \
    {#name,         #kind,         HEADING_##group, value, help,  (double)(initial),                           \
     (double)(off), (double)(low), (double)(high),  limit, order, offset},

static const textgen_parameter_info all_parameters[] = {
#define TEXTGEN_PARAMETER(name, ...) DESCRIBE(name, __VA_ARGS__, offsetof(textgen_sampling, name))
#define TEXTGEN_TEXT_PARAMETER(name, ...) DESCRIBE(name, __VA_ARGS__, 0)
#include "parameters.def"
};

const textgen_parameter_info *textgen_parameter(size_t index) {
    return index < sizeof all_parameters / sizeof *all_parameters ? &all_parameters[index] : NULL;
}

const char *textgen_parameter_requirement(const textgen_parameter_info *parameter,
                                          char buffer[TEXTGEN_REQUIREMENT_SIZE]) {
    const char *what = strcmp(parameter->kind, "whole") ? "a number" : "an integer";
    if (parameter->high == DBL_MAX) {
        snprintf(buffer, TEXTGEN_REQUIREMENT_SIZE, "a finite number, %g or more", parameter->low);
    } else {
        snprintf(buffer, TEXTGEN_REQUIREMENT_SIZE,
                 parameter->low_is_open ? "%s more than %g, at most %.10g" : "%s from %g to %.10g", what,
                 parameter->low, parameter->high);
    }
    return buffer;
}

int32_t textgen_parameter_accepts(const textgen_parameter_info *parameter, double value) {
    return value <= parameter->high &&
           (parameter->low_is_open ? value > parameter->low : value >= parameter->low);
}

const textgen_parameter_info *textgen_parameters_wrong(const textgen_parameters *parameters, double *value) {
#define TEXTGEN_PARAMETER(name, ...)                                                                           \
    *value = (double)parameters->name;                                                                         \
    if (!textgen_parameter_accepts(&all_parameters[TEXTGEN_PARAMETER_##name], *value)) {                       \
        return &all_parameters[TEXTGEN_PARAMETER_##name];                                                      \
    }
#include "parameters.def"
    return NULL;
}

int32_t textgen_parameters_read(const textgen_sampling *sampling, textgen_parameters *parameters,
                                textgen_error *error) {
    char requirement[TEXTGEN_REQUIREMENT_SIZE];
    double value;
    *parameters = textgen_parameters_default;
#define TEXTGEN_PARAMETER(name, ...)                                                                           \
    if (sampling->name != 0 || textgen_parameter_accepts(&all_parameters[TEXTGEN_PARAMETER_##name], 0.0)) {    \
        parameters->name = sampling->name;                                                                     \
    }
#include "parameters.def"
    const textgen_parameter_info *wrong = textgen_parameters_wrong(parameters, &value);
    return wrong ? textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, wrong->name, -1, "must be %s, not %.10g",
                                   textgen_parameter_requirement(wrong, requirement), value)
                 : TEXTGEN_OK;
}

const char *textgen_parameters_truncation(const textgen_parameters *parameters) {
    return parameters->top_k > 0         ? "top_k"
           : parameters->typical_p < 1.0 ? "typical_p"
           : parameters->top_p < 1.0     ? "top_p"
           : parameters->min_p > 0.0     ? "min_p"
                                         : NULL;
}

/* --- The state of the filters. */

size_t textgen_filters_size(size_t vocabulary) {
    return sizeof(textgen_filters) + vocabulary * 2 * sizeof(double);
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

static bool has_penalties(const textgen_parameters *parameters) {
    return parameters->repetition_penalty != 1.0 || parameters->frequency_penalty != 0.0 ||
           parameters->presence_penalty != 0.0;
}

bool textgen_filters_active(const textgen_parameters *parameters) {
    return has_penalties(parameters) || textgen_parameters_truncation(parameters) ||
           parameters->mirostat_tau > 0.0;
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

void textgen_filters_count(textgen_filters *filters) {
    memset(counts_of(filters), 0, (size_t)filters->vocabulary * sizeof(double));
    for (uint64_t i = 0; i < filters->recent_count; i++) {
        counts_of(filters)[filters->recent[i]] += 1.0;
    }
}

void textgen_filters_change(textgen_filters *filters, const textgen_parameters *before,
                            const textgen_parameters *parameters) {
    uint32_t recent[TEXTGEN_MAX_PENALTY_WINDOW];
    const size_t oldest = (size_t)filters->recent_next, count = (size_t)filters->recent_count;
    const size_t window = has_penalties(parameters) ? (size_t)parameters->penalty_window : 0;
    const size_t kept = count < window ? count : window;
    memcpy(recent, filters->recent + oldest, (count - oldest) * sizeof *recent);
    memcpy(recent + (count - oldest), filters->recent, oldest * sizeof *recent);
    memcpy(filters->recent, recent + (count - kept), kept * sizeof *recent);
    filters->recent_count = kept;
    filters->recent_next = 0;
    textgen_filters_count(filters);
    if (before->mirostat_tau != parameters->mirostat_tau) {
        filters->mirostat_mu = 2.0 * parameters->mirostat_tau;
    }
}

void textgen_sampler_accept(const textgen_sampler_state *sampler, int64_t token) {
    const textgen_parameters *parameters = sampler->parameters;
    textgen_filters *filters = sampler->filters;
    if (filters && has_penalties(parameters)) {
        add_recent(filters, (size_t)parameters->penalty_window, (uint32_t)token);
    }
    if (filters && parameters->mirostat_tau > 0.0) {
        double change = parameters->mirostat_eta * (sampler->surprisal - parameters->mirostat_tau);
        TEXTGEN_ROUND(change);
        filters->mirostat_mu -= change;
    }
}

/* --- The distribution at a temperature. */

int64_t textgen_argmax(const double *logits, size_t count, textgen_exp64 exp64) {
    const double largest = exp64->largest(logits, count);
    int64_t best = 0;
    if (!isfinite(largest)) {
        return TEXTGEN_INVALID_LOGITS;
    }
    while (logits[best] < largest) {
        best++;
    }
    return best;
}

int32_t textgen_reweight(const double *logits, size_t count, double temperature, double *weights, double *sum,
                         textgen_exp64 exp64) {
    const double largest = exp64->largest(logits, count);
    if (!isfinite(largest)) {
        return TEXTGEN_INVALID_LOGITS;
    }
    if (temperature == 0.0) {
        /* The weights may take the place of the logits. */
        const int64_t best = textgen_argmax(logits, count, exp64);
        memset(weights, 0, count * sizeof *weights);
        weights[best] = *sum = 1.0;
    } else {
        *sum = exp64->exponentials(logits, count, largest, temperature, false, weights);
    }
    return TEXTGEN_OK;
}

void textgen_normalize(double *weights, size_t count, double sum) {
    for (size_t i = 0; i < count; i++) {
        weights[i] /= sum;
    }
}

int64_t textgen_invert(const double *logits, size_t count, double temperature, double uniform, double *weights,
                       textgen_exp64 exp64) {
    if (temperature == 0.0) {
        return textgen_argmax(logits, count, exp64);
    }
    const double largest = exp64->largest(logits, count);
    if (!isfinite(largest)) {
        return TEXTGEN_INVALID_LOGITS;
    }
    /* The largest weight is 1, so the sum is at least 1, and `threshold` is less than the sum. So the loop ends
     * at a token, and at one whose weight is not zero. */
    const double threshold = uniform * exp64->exponentials(logits, count, largest, temperature, true, weights);
    int64_t token = 0;
    while (weights[token] <= threshold) {
        token++;
    }
    return token;
}

double textgen_log_sum_exp(const double *logits, size_t count, double *weights, textgen_exp64 exp64) {
    const double largest = exp64->largest(logits, count);
    double sum;
    return textgen_reweight(logits, count, 1.0, weights, &sum, exp64) < 0 ? NAN : largest + textgen_log64(sum);
}

/* --- A merge sort. Logits are in random order, so a processor would mispredict half of the branches that
 * depend on a comparison. Here comparisons only select values and move indices. The bits of numbers that are
 * not negative have the same order as the numbers, and integers are compared faster. */

static inline uint64_t get(const double *value) {
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    return bits;
}

static inline void put(double *value, uint64_t bits) { memcpy(value, &bits, sizeof bits); }

static inline void order(uint64_t *low, uint64_t *high) {
    const uint64_t a = *low, b = *high;
    *low = a < b ? a : b;
    *high = a < b ? b : a;
}

/* Sort a block of values with Batcher's odd-even merging network (K. Batcher, Sorting networks and their
 * applications, 1968). */
enum { SORT_BLOCK = 8 };
static void sort_block(double *values) {
    /* Not an array, so that the values stay in registers. */
    uint64_t a = get(values), b = get(values + 1), c = get(values + 2), d = get(values + 3);
    uint64_t e = get(values + 4), f = get(values + 5), g = get(values + 6), h = get(values + 7);
    order(&a, &b), order(&c, &d), order(&e, &f), order(&g, &h);
    order(&a, &c), order(&b, &d), order(&e, &g), order(&f, &h);
    order(&b, &c), order(&f, &g);
    order(&a, &e), order(&b, &f), order(&c, &g), order(&d, &h);
    order(&c, &e), order(&d, &f);
    order(&b, &c), order(&d, &e), order(&f, &g);
    put(values, a), put(values + 1, b), put(values + 2, c), put(values + 3, d);
    put(values + 4, e), put(values + 5, f), put(values + 6, g), put(values + 7, h);
}

/* Merge two sorted parts of `values`, [half] and [count - half], where half is at most count / 2. The smallest
 * values are merged from the front, and at the same time the largest from the back. In `half` steps neither
 * side can reach the end of a part. */
static void merge(const double *values, size_t half, size_t count, double *merged) {
    size_t left = 0, right = half, left_end = half, right_end = count, i = 0;
    for (; i < half; i++) {
        const uint64_t a = get(values + left), b = get(values + right);
        const uint64_t y = get(values + left_end - 1), z = get(values + right_end - 1);
        put(merged + i, b < a ? b : a);
        put(merged + count - 1 - i, z < y ? y : z);
        right += b < a;
        left += !(b < a);
        left_end -= z < y;
        right_end -= !(z < y);
    }
    for (; i < count - half; i++) {
        const int take_left = left < left_end && (right == right_end || values[left] < values[right]);
        merged[i] = values[take_left ? left++ : right++];
    }
}

/* Sort blocks of numbers in ascending order. None is negative, -0.0 or NaN. */
static void sort(double *values, size_t blocks, double *scratch) {
    const size_t half = blocks / 2 * SORT_BLOCK, count = blocks * SORT_BLOCK;
    if (blocks == 1) {
        sort_block(values);
        return;
    }
    sort(values, blocks / 2, scratch);
    sort(values + half, blocks - blocks / 2, scratch);
    merge(values, half, count, scratch);
    memcpy(values, scratch, count * sizeof *values);
}

/* --- The truncations. Removing tokens does not change the ratio of the probabilities of two others. So each
 * token gets one weight, exp(logit - max logit), and each truncation compares sums of weights. */

/* The tokens in the order of their likelihood. Those from `first` to `end` remain. A token is known by its gap,
 * the max logit minus its own; which of those with an equal gap it is does not matter until the end. */
typedef struct {
    double *gaps;    /* ascending, [count], then infinity */
    double *weights; /* exp(-gap), [count] */
    size_t first, end;
} ranking;

/* Keep the candidates whose surprisal is nearest to the entropy, until their probability reaches p; of equally
 * near ones, the more likely first. The surprisal is the gap plus a constant, and the entropy is the mean
 * surprisal. So the nearest candidates surround the mean gap. */
static void keep_typical(ranking *ranked, double p) {
    const double *gaps = ranked->gaps;
    double sum = 0.0, products = 0.0, kept = 0.0;
    size_t first = 0;
    for (size_t i = 0; i < ranked->end; i++) {
        double product = ranked->weights[i] * gaps[i];
        TEXTGEN_ROUND(product);
        products += product;
        sum += ranked->weights[i];
    }
    const double mean = products / sum;
    while (first < ranked->end && gaps[first] <= mean) {
        first++;
    }
    size_t end = first;
    do {
        const bool unlikely = first == 0 || (end < ranked->end && gaps[end] - mean < mean - gaps[first - 1]);
        kept += ranked->weights[unlikely ? end++ : --first];
    } while (kept < p * sum && end - first < ranked->end);
    ranked->first = first;
    ranked->end = end;
}

/* Keep the most likely candidates, until their probability reaches p. */
static void keep_top_p(ranking *ranked, double p) {
    double sum = 0.0, kept = 0.0;
    size_t end = ranked->first;
    for (size_t i = ranked->first; i < ranked->end; i++) {
        sum += ranked->weights[i];
    }
    do {
        kept += ranked->weights[end++];
    } while (kept < p * sum && end < ranked->end);
    ranked->end = end;
}

/* Apply top_k, typical_p, top_p and min_p. scratch: [3 * count + 14]. */
static void keep_ranked(const textgen_parameters *parameters, double largest, textgen_exp64 exp64,
                        double *logits, size_t count, double *scratch) {
    const size_t blocks = (count + SORT_BLOCK - 1) / SORT_BLOCK, room = blocks * SORT_BLOCK;
    double *token_gaps = scratch, *gaps = scratch + count, *weights = gaps + room;
    ranking ranked = {gaps, weights, 0, count};
    for (size_t i = 0; i < count; i++) {
        /* Not simply the difference, which could be -0.0. */
        token_gaps[i] = gaps[i] = logits[i] < largest ? largest - logits[i] : 0.0;
    }
    for (size_t i = count; i < room; i++) {
        gaps[i] = INFINITY;
    }
    sort(gaps, blocks, weights);
    while (gaps[ranked.end - 1] == INFINITY) {
        ranked.end--;
    }
    if (parameters->top_k > 0 && parameters->top_k < ranked.end) {
        ranked.end = (size_t)parameters->top_k;
    }
    if (parameters->typical_p < 1.0 || parameters->top_p < 1.0 || parameters->min_p > 0.0) {
        exp64->exponentials(gaps, ranked.end, 0.0, -1.0, false, weights);
    }
    if (parameters->typical_p < 1.0) {
        keep_typical(&ranked, parameters->typical_p);
    }
    if (parameters->top_p < 1.0) {
        keep_top_p(&ranked, parameters->top_p);
    }
    while (parameters->min_p > 0.0 && weights[ranked.end - 1] < parameters->min_p * weights[ranked.first]) {
        ranked.end--;
    }
    const size_t first = ranked.first, end = ranked.end;
    const double borders[2] = {gaps[first], gaps[end - 1]};
    const bool is_cut[2] = {first > 0 && gaps[first - 1] == borders[0], end < count && gaps[end] == borders[1]};
    for (size_t i = 0; i < count; i++) {
        logits[i] = token_gaps[i] < borders[0] ? -INFINITY : logits[i];
        logits[i] = token_gaps[i] > borders[1] ? -INFINITY : logits[i];
    }
    /* Of the tokens whose gap is that of a border, keep as many as remain in the ranking, the lowest ones. */
    for (int side = 0; side < 2; side++) {
        size_t remaining = 0;
        for (size_t i = first; is_cut[side] && i < end; i++) {
            remaining += gaps[i] == borders[side];
        }
        for (size_t i = 0; is_cut[side] && i < count; i++) {
            if (token_gaps[i] == borders[side]) {
                logits[i] = remaining > 0 ? logits[i] : -INFINITY;
                remaining -= remaining > 0;
            }
        }
    }
}

/* Mirostat: keep the tokens whose surprisal is at most mu bits, and the most likely one. Return the logarithm
 * of the sum of exp(logit). */
static double keep_unsurprising(double mu, double largest, textgen_exp64 exp64, double *logits, size_t count,
                                double *weights) {
    const double log_sum = textgen_log64(exp64->exponentials(logits, count, largest, 1.0, false, weights));
    double least = mu * TEXTGEN_LN2;
    size_t best = 0;
    TEXTGEN_ROUND(least);
    while (logits[best] < largest) {
        best++;
    }
    for (size_t i = 0; i < count; i++) {
        logits[i] = logits[i] - largest < log_sum - least ? -INFINITY : logits[i];
    }
    logits[best] = largest;
    return largest + log_sum;
}

/* --- The filters and the draw. */

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

int32_t textgen_sampler_filter(const textgen_sampler_state *sampler, double *values, size_t count,
                               double *log_sum) {
    const textgen_parameters *parameters = sampler->parameters;
    const textgen_exp64 exp64 = sampler->exp64;
    textgen_filters *filters = sampler->filters;
    double *scratch = values + count;
    *log_sum = 0.0;
    if (!filters) {
        return TEXTGEN_OK;
    }
    if (!isfinite(exp64->largest(values, count))) {
        return TEXTGEN_INVALID_LOGITS;
    }
    for (size_t i = 0; i < count; i++) {
        values[i] += textgen_filters_bias(filters)[i];
    }
    if (filters->recent_count > 0) {
        penalize(parameters, counts_of(filters), values, count, scratch);
    }
    const double largest = exp64->largest(values, count);
    if (largest == -INFINITY) {
        return TEXTGEN_NO_TOKEN;
    }
    if (parameters->mirostat_tau > 0.0) {
        *log_sum = keep_unsurprising(filters->mirostat_mu, largest, exp64, values, count, scratch);
    } else if (parameters->top_k > 0 || parameters->typical_p < 1.0 || parameters->top_p < 1.0) {
        keep_ranked(parameters, largest, exp64, values, count, scratch);
    } else if (parameters->min_p > 0.0) {
        exp64->exponentials(values, count, largest, 1.0, false, scratch);
        for (size_t i = 0; i < count; i++) {
            values[i] = scratch[i] < parameters->min_p ? -INFINITY : values[i];
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_sampler_weigh(const textgen_sampler_state *sampler, double *values, size_t count,
                              double *weights, double *sum) {
    double log_sum;
    TEXTGEN_TRY(textgen_sampler_filter(sampler, values, count, &log_sum));
    return textgen_reweight(values, count, sampler->parameters->temperature, weights, sum, sampler->exp64);
}

int64_t textgen_sampler_take(textgen_sampler_state *sampler, double *values, size_t count) {
    const double temperature = sampler->parameters->temperature;
    double log_sum, *tokens = values + count;
    size_t kept = 0;
    if (sampler->rng->position == INT64_MAX) {
        return TEXTGEN_RNG_EXHAUSTED;
    }
    const double uniform = textgen_rng_uniform(sampler->rng);
    if (!sampler->filters) {
        return textgen_invert(values, count, temperature, uniform, values + count, sampler->exp64);
    }
    TEXTGEN_TRY(textgen_sampler_filter(sampler, values, count, &log_sum));
    /* Draw from the tokens that are left. The others would add zeros to sums. */
    for (size_t i = 0; i < count; i++) {
        tokens[kept] = (double)i;
        values[kept] = values[i];
        kept += values[i] > -INFINITY;
    }
    const int64_t drawn = textgen_invert(values, kept, temperature, uniform, tokens + count, sampler->exp64);
    sampler->surprisal = (log_sum - values[drawn]) / TEXTGEN_LN2;
    return (int64_t)tokens[drawn];
}
