/* Reweights next-token logits to a temperature and draws from them.
 *
 * A distribution p at temperature T is p ** (1 / T), normalised: the softmax of logits / T when p is the
 * softmax of the logits. The functions that take the uniform number as an argument are pure. They return a
 * token, or a negative fault. Each has a form for float64 and one for float32 logits; both compute in float64
 * and never change the logits. */
#ifndef TEXTGEN_SAMPLER_H
#define TEXTGEN_SAMPLER_H

#include "exp64.h"
#include "rng.h"

typedef enum {
    TEXTGEN_NOT_A_NUMBER = -101,     /* a logit is NaN */
    TEXTGEN_INFINITE = -102,         /* a logit is +infinity */
    TEXTGEN_NOTHING_POSSIBLE = -103, /* every logit is -infinity */
    TEXTGEN_USED_UP = -104           /* the random numbers are used up */
} textgen_fault;

/* One link of the chain between logits and draw. `apply` changes a float64 copy of the logits, and `accept` is
 * told each drawn token. No stream has filters yet: the copy of one would share them with the original. */
typedef struct textgen_filter textgen_filter;
struct textgen_filter {
    void (*apply)(textgen_filter *self, double *logits, size_t count);
    void (*accept)(textgen_filter *self, int64_t token);
};

/* What one lane draws with; a plain value but for its filters. */
typedef struct {
    double temperature; /* finite, 0 or more */
    textgen_rng rng;
    textgen_exp64 exp64;
    textgen_filter *const *filters; /* in the order in which they are applied */
    size_t filter_count;
} textgen_sampler;

/* A sampler without filters, at the start of a seed's substream. */
void textgen_sampler_init(textgen_sampler *sampler, double temperature, textgen_uint128 seed,
                          uint32_t substream, textgen_exp64 exp64);

/* The likeliest token, the lowest of equals, or a fault. */
int64_t textgen_argmax(const double *logits, size_t count);
int64_t textgen_argmax_float(const float *logits, size_t count);

/* exp((logit - largest logit) / temperature) into exp_logits [count], and their sum; 0 or a fault. */
int64_t textgen_reweight(const double *logits, size_t count, double temperature, double *exp_logits,
                         double *sum, textgen_exp64 exp64);
int64_t textgen_reweight_float(const float *logits, size_t count, double temperature, double *exp_logits,
                               double *sum, textgen_exp64 exp64);

/* The lowest token whose cumulative probability exceeds `uniform`, which lies in [0, 1), or a fault.
 * exp_logits: room for `count` numbers. */
int64_t textgen_draw_with(const double *logits, size_t count, double temperature, double uniform,
                          double *exp_logits, textgen_exp64 exp64);
int64_t textgen_draw_with_float(const float *logits, size_t count, double temperature, double uniform,
                                double *exp_logits, textgen_exp64 exp64);

/* Entropy in bits of the distribution that a draw is made from; 0 where there is none. logarithm: the C
 * library's, given so that the core needs no libm. */
double textgen_entropy_float(const float *logits, size_t count, double temperature, double *exp_logits,
                             textgen_exp64 exp64, double (*logarithm)(double));

/* Draw through the sampler's chain with its next uniform number, or a fault. A draw takes one number at
 * temperature 0 and at a fault of the logits too. exp_logits: room for `count` numbers. */
int64_t textgen_sampler_draw(textgen_sampler *sampler, const double *logits, size_t count, double *exp_logits);
int64_t textgen_sampler_draw_float(textgen_sampler *sampler, const float *logits, size_t count,
                                   double *exp_logits);

/* Tell the chain which token was drawn. */
void textgen_sampler_accept(textgen_sampler *sampler, int64_t token);

/* What a fault means, for people. */
const char *textgen_fault_text(int64_t fault);

#endif
