/* The filters between the logits and the draw. One draw applies, in this order:
 *
 *   1. logit bias: added to the logits; a bias of -infinity forbids a token
 *   2. penalties: lower the logits of the tokens that were drawn recently
 *   3. truncations: remove unlikely tokens: top_k, typical_p, top_p and min_p; or mirostat, which replaces them
 *   4. temperature and draw: see sampler.h
 *
 * Each truncation works on the softmax, at temperature 1, of the tokens that the earlier ones left. It always
 * leaves at least one. Of tokens with equal logits, the one with the lowest id counts as the most likely.
 *
 * The filters of a sampler are one block of memory without pointers: a copy of its textgen_filters_size bytes
 * is a copy of the filters and of their state. A sampler without filters has no block, and costs nothing.
 *
 * To add a filter, add its parameter to parameters.def, and here: its state, if any, to textgen_filters; its
 * place to textgen_filters_active and textgen_filters_apply, or to textgen_truncate if it removes unlikely
 * tokens. State changes in textgen_filters_accept, and is carried over in textgen_filters_change. */
#ifndef TEXTGEN_FILTERS_H
#define TEXTGEN_FILTERS_H

#include "exp64.h"
#include "parameters.h"

/* What the filters of one sampler remember. Aligned to 8 bytes. */
typedef struct textgen_filters {
    uint64_t vocabulary;
    double mirostat_mu;     /* the largest surprisal that mirostat allows, in bits */
    double drawn_surprisal; /* of the latest draw, in bits; only with mirostat */
    uint64_t recent_count;  /* tokens in `recent`, at most penalty_window */
    uint64_t recent_next;   /* the index in `recent` of the oldest token when it is full, else 0 */
    uint32_t recent[TEXTGEN_MAX_PENALTY_WINDOW]; /* ring of drawn tokens, [penalty_window] */
    /* double bias[vocabulary] and double counts[vocabulary], of the tokens in `recent`, follow. */
} textgen_filters;

/* Return the size in bytes, or 0 if it exceeds a size_t. */
size_t textgen_filters_size(size_t vocabulary);

/* Initialize filters without recent tokens, with a mirostat_mu of 2 * mirostat_tau and a bias of zeros. */
void textgen_filters_init(textgen_filters *filters, const textgen_parameters *parameters, size_t vocabulary);

/* Return the logit bias, [vocabulary]. The caller may change it: finite values, or -infinity. */
double *textgen_filters_bias(textgen_filters *filters);

/* Whether any of the parameters, or of the penalties, is on. Both ignore the logit bias. */
bool textgen_filters_active(const textgen_parameters *parameters);
bool textgen_penalties_active(const textgen_parameters *parameters);

/* Replace the recent tokens, oldest first. Only the last penalty_window are kept; without a penalty, none. */
void textgen_filters_set_recent(textgen_filters *filters, const textgen_parameters *parameters,
                                const uint32_t *tokens, size_t count);

/* Copy the recent tokens, oldest first, to `tokens`, [recent_count]. Return their number. */
size_t textgen_filters_get_recent(const textgen_filters *filters, uint32_t *tokens);

/* Adapt the state to other parameters. The bias and the recent tokens are kept, and mirostat_mu unless
 * mirostat_tau changes. */
void textgen_filters_change(textgen_filters *filters, const textgen_parameters *before,
                            const textgen_parameters *parameters);

/* Return the size, in float64 elements, of the temporary memory of textgen_filters_apply. */
static inline size_t textgen_filters_scratch(size_t vocabulary) { return 3 * vocabulary + 16; }

/* Apply all filters to the logits, [vocabulary], in place: the logits of removed tokens become -infinity. The
 * logits must not contain NaN or +infinity. If the bias forbids every token, all become -infinity.
 *
 * Return the natural logarithm of the sum of exp(logit) before mirostat's truncation, or 0 without mirostat.
 * scratch: temporary. */
double textgen_filters_apply(const textgen_filters *filters, const textgen_parameters *parameters,
                             textgen_exp64 exp64, double *logits, double *scratch);

/* Note the token that was drawn. */
void textgen_filters_accept(textgen_filters *filters, const textgen_parameters *parameters, int64_t token);

/* The filters that remove unlikely tokens, in truncation.c. */

/* Whether any truncation is on. */
bool textgen_truncation_active(const textgen_parameters *parameters);

/* Set the logits of removed tokens, [count], to -infinity. At least one logit is finite, and none is NaN or
 * +infinity. mirostat_mu and the result: see textgen_filters and textgen_filters_apply. scratch: temporary,
 * [textgen_filters_scratch(count)]. */
double textgen_truncate(const textgen_parameters *parameters, double mirostat_mu, textgen_exp64 exp64,
                        double *logits, size_t count, double *scratch);

#endif
