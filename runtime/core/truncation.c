/* Sources:
 *   top_k      A. Fan, M. Lewis and Y. Dauphin, Hierarchical neural story generation, 2018
 *   typical_p  C. Meister and others, Locally typical sampling, 2022
 *   top_p      A. Holtzman and others, The curious case of neural text degeneration, 2019
 *   min_p      M. Nguyen and others, Turning up the heat: min-p sampling, 2024
 *   mirostat   S. Basu and others, Mirostat: a neural text decoding algorithm, 2020, algorithm 2
 *
 * Removing tokens does not change the ratio of the probabilities of two others. So each token gets one weight,
 * exp(logit - max logit), and each truncation compares sums of weights. */
#include "exact.h"
#include "filters.h"
#include "log64.h"
#include "sampler.h"
#include "sort.h"

#include <math.h>

/* The tokens in the order of their likelihood. Those from `first` to `end` remain. A token is known by its gap,
 * the max logit minus its own; which of those with an equal gap it is does not matter until the end. */
typedef struct {
    double *gaps;    /* ascending, [count] */
    double *weights; /* exp(-gap), [count] */
    size_t first, end, count;
} ranking;

/* Rank the tokens whose logits are not -infinity. largest: the largest logit. token_gaps: output, the gap of
 * each token, [count]. */
static ranking rank(const double *logits, size_t count, double largest, double *token_gaps, double *scratch) {
    ranking ranked = {scratch, scratch + textgen_sort_room(count), 0, count, count};
    for (size_t i = 0; i < count; i++) {
        /* Not simply the difference, which could be -0.0. */
        token_gaps[i] = ranked.gaps[i] = logits[i] < largest ? largest - logits[i] : 0.0;
    }
    textgen_sort(ranked.gaps, count, ranked.weights);
    while (ranked.gaps[ranked.end - 1] == INFINITY) {
        ranked.end--;
    }
    return ranked;
}

static void find_weights(ranking *ranked, textgen_exp64 exp64) {
    for (size_t i = 0; i < ranked->end; i++) {
        ranked->weights[i] = -ranked->gaps[i];
    }
    exp64(ranked->weights, ranked->end);
}

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

/* Keep the candidates whose probability is at least min_p times the largest one. */
static void keep_min_p(ranking *ranked, double min_p) {
    const double least = min_p * ranked->weights[ranked->first];
    while (ranked->weights[ranked->end - 1] < least) {
        ranked->end--;
    }
}

/* Of the tokens with a gap, keep as many as remain in the ranking, the lowest ones. */
static void keep_lowest(const ranking *ranked, double gap, double *logits, const double *token_gaps) {
    size_t remaining = 0;
    for (size_t i = ranked->first; i < ranked->end; i++) {
        remaining += ranked->gaps[i] == gap;
    }
    for (size_t i = 0; i < ranked->count; i++) {
        if (token_gaps[i] == gap) {
            logits[i] = remaining > 0 ? logits[i] : -INFINITY;
            remaining -= remaining > 0;
        }
    }
}

/* Remove the tokens that do not remain in the ranking. */
static void remove_others(const ranking *ranked, double *logits, const double *token_gaps) {
    const double *gaps = ranked->gaps;
    const size_t first = ranked->first, end = ranked->end;
    const double smallest = gaps[first], largest = gaps[end - 1];
    for (size_t i = 0; i < ranked->count; i++) {
        logits[i] = token_gaps[i] < smallest ? -INFINITY : logits[i];
        logits[i] = token_gaps[i] > largest ? -INFINITY : logits[i];
    }
    if (first > 0 && gaps[first - 1] == smallest) {
        keep_lowest(ranked, smallest, logits, token_gaps);
    }
    if (end < ranked->count && gaps[end] == largest) {
        keep_lowest(ranked, largest, logits, token_gaps);
    }
}

/* Apply top_k, typical_p, top_p and min_p. */
static void keep_ranked(const textgen_parameters *parameters, double largest, textgen_exp64 exp64,
                        double *logits, size_t count, double *scratch) {
    double *token_gaps = scratch;
    ranking ranked = rank(logits, count, largest, token_gaps, scratch + count);
    if (parameters->top_k > 0 && parameters->top_k < ranked.end) {
        ranked.end = (size_t)parameters->top_k;
    }
    if (parameters->typical_p < 1.0 || parameters->top_p < 1.0 || parameters->min_p > 0.0) {
        find_weights(&ranked, exp64);
    }
    if (parameters->typical_p < 1.0) {
        keep_typical(&ranked, parameters->typical_p);
    }
    if (parameters->top_p < 1.0) {
        keep_top_p(&ranked, parameters->top_p);
    }
    if (parameters->min_p > 0.0) {
        keep_min_p(&ranked, parameters->min_p);
    }
    remove_others(&ranked, logits, token_gaps);
}

/* min_p alone, which does not need a ranking. weights: exp(logit - max logit), [count]. */
static void keep_likely(double min_p, const double *weights, double *logits, size_t count) {
    for (size_t i = 0; i < count; i++) {
        logits[i] = weights[i] < min_p ? -INFINITY : logits[i];
    }
}

/* Keep the tokens whose surprisal is at most mu bits, and the most likely one. Return the logarithm of the sum
 * of exp(logit). */
static double keep_unsurprising(double mu, const double *weights, size_t best, double *logits, size_t count) {
    const double largest = logits[best];
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += weights[i];
    }
    const double log_sum = textgen_log64(sum);
    double least = mu * TEXTGEN_LN2;
    TEXTGEN_ROUND(least);
    least = log_sum - least;
    for (size_t i = 0; i < count; i++) {
        logits[i] = logits[i] - largest < least ? -INFINITY : logits[i];
    }
    logits[best] = largest;
    return largest + log_sum;
}

static bool needs_ranking(const textgen_parameters *parameters) {
    return parameters->top_k > 0 || parameters->typical_p < 1.0 || parameters->top_p < 1.0;
}

bool textgen_truncation_active(const textgen_parameters *parameters) {
    return textgen_parameters_truncation(parameters) || parameters->mirostat_tau > 0.0;
}

double textgen_truncate(const textgen_parameters *parameters, double mirostat_mu, textgen_exp64 exp64,
                        double *logits, size_t count, double *scratch) {
    const int64_t best = textgen_argmax(logits, count);
    double *weights = scratch;
    if (best < 0) {
        return 0.0;
    }
    if (needs_ranking(parameters) && parameters->mirostat_tau == 0.0) {
        keep_ranked(parameters, logits[best], exp64, logits, count, scratch);
        return 0.0;
    }
    for (size_t i = 0; i < count; i++) {
        weights[i] = logits[i] - logits[best];
    }
    exp64(weights, count);
    if (parameters->mirostat_tau > 0.0) {
        return keep_unsurprising(mirostat_mu, weights, (size_t)best, logits, count);
    }
    keep_likely(parameters->min_p, weights, logits, count);
    return 0.0;
}
