#include "sampler.h"
#include "exact.h"

#include <math.h>

/* textgen_reweight in sampler_body.h applies the temperature. float64 comes first, because draws with filters
 * call it. */
#define NAME(name) name
#define LOGIT double
#include "sampler_body.h"

#define NAME(name) name##_float
#define LOGIT float
#include "sampler_body.h"

void textgen_sampler_init(textgen_sampler *sampler, double temperature, textgen_uint128 seed,
                          uint32_t substream, textgen_exp64 exp64) {
    sampler->temperature = temperature;
    textgen_rng_init(&sampler->rng, seed, substream);
    sampler->exp64 = exp64;
    sampler->filters.filters = NULL;
    sampler->filters.count = 0;
}

void textgen_sampler_accept(textgen_sampler *sampler, int64_t token) {
    textgen_filters_accept(&sampler->filters, token);
}

double textgen_entropy_float(const float *logits, size_t count, double temperature, double *exp_logits,
                             textgen_exp64 exp64, double (*logarithm)(double)) {
    double sum = 0.0, products = 0.0;
    size_t i;
    if (textgen_reweight_float(logits, count, temperature, exp_logits, &sum, exp64) < 0) {
        return 0.0;
    }
    /* -sum(p * log(p)) with p = exp_logit / sum. */
    for (i = 0; i < count; i++) {
        if (exp_logits[i] > 0.0) {
            products += exp_logits[i] * logarithm(exp_logits[i]);
        }
    }
    return (logarithm(sum) - products / sum) / logarithm(2.0);
}

const char *textgen_sampler_error_text(int64_t error) {
    switch (error) {
    case TEXTGEN_SAMPLER_NAN:
        return "the logits contain NaN: the model file is damaged, or the state was not finite";
    case TEXTGEN_SAMPLER_INFINITY:
        return "the logits contain +inf: the model file is damaged, or the state was not finite";
    case TEXTGEN_SAMPLER_NO_TOKEN:
        return "every logit is -inf: no token can be drawn";
    case TEXTGEN_SAMPLER_EXHAUSTED:
        return "the random stream is exhausted at position 2**63 - 1: use another seed or substream";
    default:
        return "no error";
    }
}
