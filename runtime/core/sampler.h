/* Sampling: parameters, filters, and the draw of a token from next-token logits. One draw applies, in this
 * order:
 *
 *   1. logit bias: added to the logits; a bias of -infinity forbids a token
 *   2. penalties: lower the logits of the tokens that were drawn recently
 *   3. truncations: remove unlikely tokens: top_k, typical_p, top_p and min_p; or mirostat, which replaces them
 *   4. temperature T: the softmax of logits / T, which is the distribution p ** (1 / T), normalized
 *   5. the draw: the first token whose cumulative probability exceeds a uniform random number
 *
 * Each truncation works on the softmax, at temperature 1, of the tokens that the earlier ones left. It always
 * leaves at least one. Of tokens with equal logits, the one with the lowest id counts as the most likely.
 *
 * All arithmetic is in float64. Functions can fail with these codes of textgen.h: TEXTGEN_INVALID_LOGITS;
 * TEXTGEN_NO_TOKEN if the logit bias forbids every token; TEXTGEN_RNG_EXHAUSTED. Otherwise they return a token,
 * or TEXTGEN_OK.
 *
 * To add a filter, add its parameter to parameters.def, its state, if any, to textgen_filters, and its place to
 * textgen_sampler_filter and textgen_filters_active, or textgen_parameters_truncation if mirostat replaces it.
 * State changes in textgen_sampler_accept, and is carried over in textgen_filters_change. */
#ifndef TEXTGEN_SAMPLER_H
#define TEXTGEN_SAMPLER_H

#include "core.h"
#include "exp.h"
#include "rng.h"

/* The parameters that the core applies, as parameters.def lists them. A plain value. */
#define TEXTGEN_TYPE_number double
#define TEXTGEN_TYPE_whole uint64_t
typedef struct {
#define TEXTGEN_PARAMETER(name, kind, ...) TEXTGEN_TYPE_##kind name;
#include "parameters.def"
} textgen_parameters;

/* The numbers of the parameters, and how many there are. */
enum {
#define TEXTGEN_PARAMETER(name, ...) TEXTGEN_PARAMETER_##name,
#include "parameters.def"
    TEXTGEN_PARAMETER_COUNT
};

/* All have their defaults, with which no filter is on. */
extern const textgen_parameters textgen_parameters_default;

/* Return the first parameter whose value is wrong, and its value, or NULL. */
const textgen_parameter_info *textgen_parameters_wrong(const textgen_parameters *parameters, double *value);

/* Return the name of a truncation that is not off, or NULL. */
const char *textgen_parameters_truncation(const textgen_parameters *parameters);

/* Copy the parameters of a sampling. A 0 that is no value of a parameter stands for its default. */
int32_t textgen_parameters_read(const textgen_sampling *sampling, textgen_parameters *parameters,
                                textgen_error *error);

/* What the filters of one text remember: a block without pointers, aligned to 8 bytes. A copy of its bytes is a
 * copy of the filters. It is part of saved texts. */
enum { TEXTGEN_MAX_PENALTY_WINDOW = 1024 };
typedef struct {
    uint64_t vocabulary;
    double mirostat_mu;    /* the largest surprisal that mirostat allows, in bits */
    uint64_t recent_count; /* tokens in `recent`, at most penalty_window */
    uint64_t recent_next;  /* the index in `recent` of the oldest token when it is full, else 0 */
    uint32_t recent[TEXTGEN_MAX_PENALTY_WINDOW]; /* ring of drawn tokens, [penalty_window] */
    /* double bias[vocabulary] and double counts[vocabulary], of the tokens in `recent`, follow. */
} textgen_filters;

/* Return the size in bytes. */
size_t textgen_filters_size(size_t vocabulary);

/* Initialize filters without recent tokens, with a mirostat_mu of 2 * mirostat_tau and a bias of zeros. */
void textgen_filters_init(textgen_filters *filters, const textgen_parameters *parameters, size_t vocabulary);

/* Return the logit bias, [vocabulary]. The caller may change it: finite values, or -infinity. */
double *textgen_filters_bias(textgen_filters *filters);

/* Whether any of the parameters is on. The logit bias is none of them. */
bool textgen_filters_active(const textgen_parameters *parameters);

/* Compute the counts from `recent`. */
void textgen_filters_count(textgen_filters *filters);

/* Adapt the state to other parameters. The bias is kept, and mirostat_mu unless mirostat_tau changes. Of the
 * recent tokens, the last penalty_window are kept; without a penalty, none. */
void textgen_filters_change(textgen_filters *filters, const textgen_parameters *before,
                            const textgen_parameters *parameters);

/* The sampler of one text. Without filters a draw costs less. */
typedef struct {
    const textgen_parameters *parameters;
    textgen_rng *rng;
    textgen_filters *filters; /* or NULL */
    textgen_exp64 exp64;
    double surprisal; /* of the latest draw, in bits; only with mirostat */
} textgen_sampler_state;

/* Return the size, in float64 elements, of the memory `values` of the functions below. It begins with the
 * logits, [count], which the functions replace. */
static inline size_t textgen_sampler_scratch(size_t count) { return 4 * count + 16; }

/* Apply the filters to the logits: those of removed tokens become -infinity. log_sum: output, the
 * natural logarithm of the sum of exp(logit) before mirostat's truncation, or 0 without mirostat. */
int32_t textgen_sampler_filter(const textgen_sampler_state *sampler, double *values, size_t count,
                               double *log_sum);

/* Write the distribution of the next draw, with filters and temperature, to `weights`, [count], as unnormalized
 * probabilities, and their sum to `*sum`. Uses no random number. */
int32_t textgen_sampler_weigh(const textgen_sampler_state *sampler, double *values, size_t count,
                              double *weights, double *sum);

/* Apply the filters and draw with the sampler's next uniform number. Each draw takes exactly one number, even
 * at temperature 0 or if the logits are invalid. */
int64_t textgen_sampler_take(textgen_sampler_state *sampler, double *values, size_t count);

/* Pass the drawn token to the filters. */
void textgen_sampler_accept(const textgen_sampler_state *sampler, int64_t token);

/* The functions without filters. weights: output or temporary, [count]. Those of textgen_reweight
 * may take the place of the logits. */

/* Return the most likely token, the lowest one if several are equal. */
int64_t textgen_argmax(const double *logits, size_t count, textgen_exp64 exp64);

/* Write exp((logit - max logit) / temperature) to `weights` and their sum to `*sum`. */
int32_t textgen_reweight(const double *logits, size_t count, double temperature, double *weights, double *sum,
                         textgen_exp64 exp64);

/* Divide weights by their sum. */
void textgen_normalize(double *weights, size_t count, double sum);

/* Return the lowest token whose cumulative probability exceeds `uniform`, a number in [0, 1). */
int64_t textgen_invert(const double *logits, size_t count, double temperature, double uniform, double *weights,
                       textgen_exp64 exp64);

/* Return the natural logarithm of the sum of exp(logit), or NaN if the logits are invalid. logit - log_sum_exp
 * is the log-probability of a token at temperature 1. */
double textgen_log_sum_exp(const double *logits, size_t count, double *weights, textgen_exp64 exp64);

#endif
