/* Samplers for tests, with and without filters. */
#ifndef SAMPLERS_H
#define SAMPLERS_H

#include "check.h"

#include "sampler.h"

#include <math.h>

enum { TOKENS = 20, DRAWS = 3000 };

static inline void fill_logits(double logits[TOKENS]) {
    for (int i = 0; i < TOKENS; i++) {
        logits[i] = -2.0 + i * (4.0 / (TOKENS - 1));
    }
}

/* Parameters without a filter. */
static inline textgen_parameters make_parameters(void) {
    textgen_parameters parameters = textgen_parameters_default;
    parameters.temperature = 0.8;
    return parameters;
}

static inline textgen_sampler_state make_sampler(const textgen_parameters *parameters, uint32_t substream) {
    const textgen_uint128 seed = {0, 2024};
    textgen_sampler_state sampler = {.parameters = *parameters, .exp64 = textgen_find_exp64(NULL)};
    textgen_rng_init(&sampler.rng, seed, substream);
    return sampler;
}

static inline textgen_filters *make_filters(const textgen_parameters *parameters) {
    textgen_filters *filters = allocate(textgen_filters_size(TOKENS));
    textgen_filters_init(filters, parameters, TOKENS);
    return filters;
}

/* A sampler that has filters, also if none is on. */
static inline textgen_sampler_state make_filtered(const textgen_parameters *parameters, uint32_t substream) {
    textgen_sampler_state sampler = make_sampler(parameters, substream);
    sampler.filters = make_filters(parameters);
    return sampler;
}

/* Copy logits to memory of exactly the size that draws need, for sanitizers to see writes beyond it. */
static inline double *copied(const double *logits, size_t count) {
    return memcpy(allocate(textgen_sampler_scratch(count) * sizeof(double)), logits, count * sizeof *logits);
}

/* Draw and accept. */
static inline int64_t draw(textgen_sampler_state *sampler, const double *logits) {
    double *values = copied(logits, TOKENS);
    const int64_t token = textgen_filtered_draw(sampler, values, TOKENS);
    CHECK(token >= 0 && token < TOKENS);
    textgen_sampler_accept(sampler, token);
    free(values);
    return token;
}

/* Write logits after the filters. */
static inline void apply_filters(const textgen_sampler_state *sampler, const double *logits, size_t count,
                                 double *filtered) {
    double log_sum, *values = copied(logits, count);
    CHECK_OK(textgen_sampler_filter(sampler, values, count, &log_sum));
    memcpy(filtered, values, count * sizeof *values);
    free(values);
}

#endif
