/* The truncations, as slow and plain as their definitions. */
#ifndef DEFINITIONS_H
#define DEFINITIONS_H

#include "check.h"

#include "sampler.h"

#include <math.h>

enum { MOST = 3000 };

/* The definition. Tokens are compared by the logit's distance from the largest one, from which probabilities
 * are computed, so that tokens are equal if their probabilities are. */
typedef struct {
    double gap[MOST], weight[MOST];
    size_t order[MOST]; /* the candidates, the most likely first */
    size_t candidates;
    double distance[MOST]; /* from the entropy */
    bool kept[MOST];
} definition;

static definition defined;

static inline int compare(const void *a, const void *b) {
    const size_t one = *(const size_t *)a, other = *(const size_t *)b;
    if (defined.gap[one] != defined.gap[other]) {
        return defined.gap[one] < defined.gap[other] ? -1 : 1;
    }
    return one < other ? -1 : 1;
}

static inline void rank(const double *logits, size_t count) {
    double largest = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    defined.candidates = 0;
    for (size_t i = 0; i < count; i++) {
        defined.gap[i] = fabs(largest - logits[i]);
        if (defined.gap[i] < INFINITY) {
            defined.order[defined.candidates++] = i;
        }
    }
    (void)textgen_find_exp64(NULL)->exponentials(defined.gap, count, 0.0, -1.0, false, defined.weight);
    qsort(defined.order, defined.candidates, sizeof *defined.order, compare);
}

/* Keep the tokens of the order from `first` to `end`. */
static inline void keep(const size_t *order, size_t count) {
    memmove(defined.order, order, count * sizeof *order);
    defined.candidates = count;
}

static inline double sum_weights(void) {
    double sum = 0.0;
    for (size_t i = 0; i < defined.candidates; i++) {
        sum += defined.weight[defined.order[i]];
    }
    return sum;
}

/* Locally typical sampling: add the token whose surprisal is nearest to the entropy, the more likely one of
 * equal ones, until the probability is p. */
static inline void keep_typical(double p) {
    static bool chosen[MOST];
    const double sum = sum_weights();
    double mean = 0.0, probability = 0.0;
    size_t i, count = 0;
    for (i = 0; i < defined.candidates; i++) {
        const size_t token = defined.order[i];
        double product = defined.weight[token] * defined.gap[token];
        /* Rounded, also if this test is compiled with fused multiply-adds. */
        volatile double rounded = product;
        mean += rounded;
        chosen[i] = false;
    }
    mean /= sum;
    for (i = 0; i < defined.candidates; i++) {
        defined.distance[i] = fabs(defined.gap[defined.order[i]] - mean);
    }
    size_t nearest;
    do {
        for (nearest = 0; chosen[nearest]; nearest++) {
        }
        for (i = nearest + 1; i < defined.candidates; i++) {
            nearest = !chosen[i] && defined.distance[i] < defined.distance[nearest] ? i : nearest;
        }
        chosen[nearest] = true;
        probability += defined.weight[defined.order[nearest]];
        count++;
    } while (probability < p * sum && count < defined.candidates);
    for (i = 0, count = 0; i < defined.candidates; i++) {
        if (chosen[i]) {
            defined.order[count++] = defined.order[i];
        }
    }
    defined.candidates = count;
}

static inline void keep_top_p(double p) {
    const double sum = sum_weights();
    double probability = 0.0;
    size_t count = 0;
    do {
        probability += defined.weight[defined.order[count++]];
    } while (probability < p * sum && count < defined.candidates);
    defined.candidates = count;
}

static inline void keep_min_p(double min_p) {
    const double largest = defined.weight[defined.order[0]];
    size_t count = 0;
    for (size_t i = 0; i < defined.candidates; i++) {
        if (defined.weight[defined.order[i]] >= min_p * largest) {
            defined.order[count++] = defined.order[i];
        }
    }
    keep(defined.order, count);
}

static inline void define(const textgen_parameters *parameters, const double *logits, size_t count) {
    rank(logits, count);
    if (parameters->top_k > 0 && parameters->top_k < defined.candidates) {
        defined.candidates = (size_t)parameters->top_k;
    }
    if (parameters->typical_p < 1.0) {
        keep_typical(parameters->typical_p);
    }
    if (parameters->top_p < 1.0) {
        keep_top_p(parameters->top_p);
    }
    if (parameters->min_p > 0.0) {
        keep_min_p(parameters->min_p);
    }
    memset(defined.kept, 0, sizeof defined.kept);
    for (size_t i = 0; i < defined.candidates; i++) {
        defined.kept[defined.order[i]] = true;
    }
}

#endif
