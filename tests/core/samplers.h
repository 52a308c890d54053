/* Samplers for tests. */
#ifndef SAMPLERS_H
#define SAMPLERS_H

#include "check.h"

#include "text.h"

#include <math.h>

enum { TOKENS = 20, DRAWS = 3000 };

static inline void fill_logits(double logits[TOKENS]) {
    for (int i = 0; i < TOKENS; i++) {
        logits[i] = -2.0 + i * (4.0 / (TOKENS - 1));
    }
}

/* A sampling without filters, which tests change. */
static const textgen_sampling plain = {.seed = 2024, .temperature = 0.8};

/* Create a sampler in memory of exactly its size. */
static inline textgen_stream *make_sampler(const textgen_sampling *sampling, size_t count) {
    textgen_stream *sampler;
    CHECK_OK(textgen_sampler_init(new_memory(textgen_sampler_size(count)), count, sampling, &sampler, &error));
    return sampler;
}

static inline int64_t draw(textgen_stream *sampler, const double *logits) {
    const int64_t token = textgen_sampler_draw(sampler, logits, 0);
    CHECK(token >= 0 && token < (int64_t)sampler->shape.vocabulary);
    return token;
}

/* Copy logits to memory of exactly the size that draws need, for sanitizers to see writes beyond it. */
static inline double *copied(const double *logits, size_t count) {
    return memcpy(allocate(textgen_sampler_scratch(count) * sizeof(double)), logits, count * sizeof *logits);
}

/* Write logits after the filters. */
static inline void apply_filters(textgen_stream *sampler, const double *logits, double *filtered) {
    const textgen_sampler_state state = textgen_stream_sampler(sampler);
    const size_t count = sampler->shape.vocabulary;
    double log_sum, *values = copied(logits, count);
    CHECK_OK(textgen_sampler_filter(&state, values, count, &log_sum));
    memcpy(filtered, values, count * sizeof *values);
    free(values);
}

#endif
