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

void textgen_sampler_start(textgen_sampler_state *sampler, const textgen_parameters *parameters,
                           textgen_uint128 seed, uint32_t substream, textgen_exp64 exp64) {
    sampler->parameters = *parameters;
    textgen_rng_init(&sampler->rng, seed, substream);
    sampler->exp64 = exp64;
    sampler->filters = NULL;
}
