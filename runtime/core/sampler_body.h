/* The sampler's functions for one type of logits. sampler.c includes this file for each type and defines
 *
 *   NAME(x)  the name x, with a suffix for the type
 *   LOGIT    the type
 */

int64_t NAME(textgen_argmax)(const LOGIT *logits, size_t count) {
    size_t best = 0, i;
    for (i = 0; i < count; i++) {
        if (logits[i] != logits[i]) {
            return TEXTGEN_SAMPLER_NAN;
        }
        if (logits[i] > logits[best]) {
            best = i;
        }
    }
    if (count == 0 || !isfinite(logits[best])) {
        return count && logits[best] > 0 ? TEXTGEN_SAMPLER_INFINITY : TEXTGEN_SAMPLER_NO_TOKEN;
    }
    return (int64_t)best;
}

int64_t NAME(textgen_reweight)(const LOGIT *logits, size_t count, double temperature, double *exp_logits,
                               double *sum, textgen_exp64 exp64) {
    const int64_t best = NAME(textgen_argmax)(logits, count);
    double largest, accumulated = 0.0;
    size_t i;
    if (best < 0) {
        return best;
    }
    largest = (double)logits[best];
    if (temperature == 0.0) {
        for (i = 0; i < count; i++) {
            exp_logits[i] = 0.0;
        }
        exp_logits[best] = *sum = 1.0;
        return 0;
    }
    for (i = 0; i < count; i++) {
        /* Division, because 1 / T overflows for the smallest temperatures. */
        exp_logits[i] = ((double)logits[i] - largest) / temperature;
    }
    exp64(exp_logits, count);
    for (i = 0; i < count; i++) {
        accumulated += exp_logits[i];
    }
    *sum = accumulated;
    return 0;
}

int64_t NAME(textgen_draw_with)(const LOGIT *logits, size_t count, double temperature, double uniform,
                                double *exp_logits, textgen_exp64 exp64) {
    double sum = 0.0, threshold, accumulated = 0.0;
    int64_t error;
    size_t i;
    if (temperature == 0.0) {
        return NAME(textgen_argmax)(logits, count);
    }
    error = NAME(textgen_reweight)(logits, count, temperature, exp_logits, &sum, exp64);
    if (error < 0) {
        return error;
    }
    /* This loop adds in the same order as textgen_reweight, so its last value is exactly `sum`, and `threshold`
     * is less. So it always finds a token, and one whose exp_logit is not zero. The largest exp_logit is 1, so
     * `sum` is at least 1. */
    threshold = uniform * sum;
    for (i = 0; i < count; i++) {
        accumulated += exp_logits[i];
        if (accumulated > threshold) {
            return (int64_t)i;
        }
    }
    return 0;
}

int64_t NAME(textgen_sampler_draw)(textgen_sampler *sampler, const LOGIT *logits, size_t count,
                                   double *exp_logits) {
    double uniform;
    size_t i;
    if (sampler->rng.position == INT64_MAX) {
        return TEXTGEN_SAMPLER_EXHAUSTED;
    }
    uniform = textgen_rng_uniform(&sampler->rng);
    if (sampler->filters.count == 0) {
        return NAME(textgen_draw_with)(logits, count, sampler->temperature, uniform, exp_logits,
                                       sampler->exp64);
    }
    for (i = 0; i < count; i++) {
        exp_logits[i] = (double)logits[i];
    }
    textgen_filters_apply(&sampler->filters, exp_logits, count);
    return textgen_draw_with(exp_logits, count, sampler->temperature, uniform, exp_logits, sampler->exp64);
}

#undef NAME
#undef LOGIT
