#include "sampler.h"
#include "exact.h"
#include "log64.h"

#include <math.h>

/* How many maxima are computed at once: a comparison need not wait for the one before. */
#if defined(TEXTGEN_SMALL)
#define MAXIMA 1
#else
#define MAXIMA 32
#endif

/* float64 comes first, because the functions with filters call it. */
#define NAME(name) name
#define LOGIT double
#include "sampler_body.h"

#define NAME(name) name##_float
#define LOGIT float
#include "sampler_body.h"

void textgen_sampler_init(textgen_sampler *sampler, const textgen_parameters *parameters, textgen_uint128 seed,
                          uint32_t substream, textgen_exp64 exp64) {
    sampler->parameters = *parameters;
    textgen_rng_init(&sampler->rng, seed, substream);
    sampler->exp64 = exp64;
    sampler->filters = NULL;
}

int32_t textgen_sampler_code(int64_t error) {
    return error == TEXTGEN_SAMPLER_EXHAUSTED   ? TEXTGEN_RNG_EXHAUSTED
           : error == TEXTGEN_SAMPLER_FORBIDDEN ? TEXTGEN_NO_TOKEN
                                                : TEXTGEN_INVALID_LOGITS;
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
    case TEXTGEN_SAMPLER_FORBIDDEN:
        return "no token is allowed here: the parameters of the text forbid all of them";
    default:
        return "no error";
    }
}
