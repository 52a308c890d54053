/* The sampler of a block: applies filters and a temperature to next-token logits, and draws a token. sampling.c
 * checks and sets what a caller of the C library passes for a handle.
 *
 * A distribution p at temperature T is p ** (1 / T), normalized. If p is the softmax of the logits, that is the
 * softmax of logits / T. textgen_reweight applies the temperature; the code is in sampler_body.h, which
 * sampler.c compiles once for float64 and once for float32 logits. Both compute in float64 and never change the
 * logits. The filters, such as top_k, come before the temperature: see filters.h.
 *
 * Functions that take the uniform number as an argument are pure. Those that return an int64_t return a token
 * or 0, or a negative code: TEXTGEN_INVALID_LOGITS, TEXTGEN_NO_TOKEN or TEXTGEN_RNG_EXHAUSTED. */
#ifndef TEXTGEN_SAMPLER_H
#define TEXTGEN_SAMPLER_H

#include "exp64.h"
#include "filters.h"
#include "rng.h"

/* The sampler of one lane. A plain value, except for its filters. */
typedef struct {
    textgen_parameters parameters;
    textgen_rng rng;
    textgen_exp64 exp64;      /* textgen_lane_begin replaces it by that of its shape */
    textgen_filters *filters; /* or NULL */
} textgen_sampler_state;

/* Initialize a sampler without filters, at the start of a substream of the seed. */
void textgen_sampler_start(textgen_sampler_state *sampler, const textgen_parameters *parameters,
                           textgen_uint128 seed, uint32_t substream, textgen_exp64 exp64);

/* Return the most likely token, the lowest one if several are equal. */
int64_t textgen_argmax(const double *logits, size_t count);
int64_t textgen_argmax_float(const float *logits, size_t count);

/* Write exp((logit - max logit) / temperature) to exp_logits, [count], and their sum to `*sum`. Return 0. */
int64_t textgen_reweight(const double *logits, size_t count, double temperature, double *exp_logits,
                         double *sum, textgen_exp64 exp64);
int64_t textgen_reweight_float(const float *logits, size_t count, double temperature, double *exp_logits,
                               double *sum, textgen_exp64 exp64);

/* Return the lowest token whose cumulative probability exceeds `uniform`, a number in [0, 1). exp_logits:
 * temporary, [count]. */
int64_t textgen_unfiltered_draw(const double *logits, size_t count, double temperature, double uniform,
                                double *exp_logits, textgen_exp64 exp64);
int64_t textgen_unfiltered_draw_float(const float *logits, size_t count, double temperature, double uniform,
                                      double *exp_logits, textgen_exp64 exp64);

/* Return the entropy in bits of the distribution at a temperature, without filters, or 0 if the logits are
 * invalid. exp_logits: temporary, [count]. */
double textgen_entropy(const double *logits, size_t count, double temperature, double *exp_logits,
                       textgen_exp64 exp64);
double textgen_entropy_float(const float *logits, size_t count, double temperature, double *exp_logits,
                             textgen_exp64 exp64);

/* Return the natural logarithm of the sum of exp(logit), or NaN if the logits are invalid. exp_logits:
 * temporary, [count]. logit - log_sum_exp is the log-probability of a token at temperature 1. */
double textgen_log_sum_exp(const double *logits, size_t count, double *exp_logits, textgen_exp64 exp64);
double textgen_log_sum_exp_float(const float *logits, size_t count, double *exp_logits, textgen_exp64 exp64);

/* Return the size, in float64 elements, of the temporary memory `scratch` of the functions below, with or
 * without filters. */
static inline size_t textgen_sampler_scratch(size_t count) {
    return 2 * count + textgen_filters_scratch(count);
}

/* Write the distribution of the next draw, with filters and temperature, to scratch, [count], as unnormalized
 * probabilities, and their sum to `*sum`. Uses no random number. Return 0. */
int64_t textgen_filtered_reweight(const textgen_sampler_state *sampler, const double *logits, size_t count,
                                  double *scratch, double *sum);
int64_t textgen_filtered_reweight_float(const textgen_sampler_state *sampler, const float *logits, size_t count,
                                        double *scratch, double *sum);

/* Return the entropy in bits of the distribution of the next draw, or 0 if the logits are invalid. */
double textgen_filtered_entropy(const textgen_sampler_state *sampler, const double *logits, size_t count,
                                double *scratch);
double textgen_filtered_entropy_float(const textgen_sampler_state *sampler, const float *logits, size_t count,
                                      double *scratch);

/* Apply the filters and draw with the sampler's next uniform number. Each draw takes exactly one number, even
 * at temperature 0 or if the logits are invalid. */
int64_t textgen_filtered_draw(textgen_sampler_state *sampler, const double *logits, size_t count,
                              double *scratch);
int64_t textgen_filtered_draw_float(textgen_sampler_state *sampler, const float *logits, size_t count,
                                    double *scratch);

/* Pass the drawn token to the filters. */
static inline void textgen_sampler_accept(textgen_sampler_state *sampler, int64_t token) {
    if (sampler->filters) {
        textgen_filters_accept(sampler->filters, &sampler->parameters, token);
    }
}

#endif
