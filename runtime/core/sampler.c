#include "sampler.h"
#include "exact.h"

#include <math.h>

/* float64 first: the chain's own numbers are float64. */
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
    sampler->filters = NULL;
    sampler->filter_count = 0;
}

void textgen_sampler_accept(textgen_sampler *sampler, int64_t token) {
    size_t i;
    for (i = 0; i < sampler->filter_count; i++) {
        sampler->filters[i]->accept(sampler->filters[i], token);
    }
}

double textgen_entropy_float(const float *logits, size_t count, double temperature, double *exp_logits,
                             textgen_exp64 exp64, double (*logarithm)(double)) {
    double sum = 0.0, products = 0.0;
    size_t i;
    if (textgen_reweight_float(logits, count, temperature, exp_logits, &sum, exp64) < 0) {
        return 0.0;
    }
    /* The sum of -p log p with p = exp_logit / sum. */
    for (i = 0; i < count; i++) {
        if (exp_logits[i] > 0.0) {
            products += exp_logits[i] * logarithm(exp_logits[i]);
        }
    }
    return (logarithm(sum) - products / sum) / logarithm(2.0);
}

const char *textgen_fault_text(int64_t fault) {
    switch (fault) {
    case TEXTGEN_NOT_A_NUMBER:
        return "the logits hold NaN: the model is damaged or its state was not finite";
    case TEXTGEN_INFINITE:
        return "the logits hold +inf: the model is damaged or its state was not finite";
    case TEXTGEN_NOTHING_POSSIBLE:
        return "every logit is -inf: no token can be drawn";
    case TEXTGEN_USED_UP:
        return "the random numbers are used up: the last position is 2**63 - 1";
    default:
        return "no fault";
    }
}
