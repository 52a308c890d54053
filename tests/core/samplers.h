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
    textgen_sampler_state sampler;
    textgen_sampler_start(&sampler, parameters, seed, substream, textgen_find_exp64(NULL));
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

/* Draw and accept. The scratch memory has exactly the stated size, for sanitizers to see writes beyond it. */
static inline int64_t draw(textgen_sampler_state *sampler, const double *logits) {
    double *scratch = allocate(textgen_sampler_scratch(TOKENS) * sizeof(double)), original[TOKENS];
    memcpy(original, logits, sizeof original);
    const int64_t token = textgen_filtered_draw(sampler, logits, TOKENS, scratch);
    CHECK(memcmp(logits, original, sizeof original) == 0);
    CHECK(token >= 0 && token < TOKENS);
    textgen_sampler_accept(sampler, token);
    free(scratch);
    return token;
}

#endif
