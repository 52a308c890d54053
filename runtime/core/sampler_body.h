/* The sampler's functions for one type of logits; sampler.c includes this once for each. */

int64_t NAME(textgen_argmax)(const LOGIT *logits, size_t count) {
    size_t best = 0, i;
    for (i = 0; i < count; i++) {
        if (logits[i] != logits[i]) {
            return TEXTGEN_NOT_A_NUMBER;
        }
        if (logits[i] > logits[best]) {
            best = i;
        }
    }
    if (count == 0 || !isfinite(logits[best])) {
        return count && logits[best] > 0 ? TEXTGEN_INFINITE : TEXTGEN_NOTHING_POSSIBLE;
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
        /* Divided, not multiplied by the inverse: 1 / T overflows for the smallest temperatures. */
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
    double sum = 0.0, mark, accumulated = 0.0;
    int64_t fault;
    size_t i;
    if (temperature == 0.0) {
        return NAME(textgen_argmax)(logits, count);
    }
    fault = NAME(textgen_reweight)(logits, count, temperature, exp_logits, &sum, exp64);
    if (fault < 0) {
        return fault;
    }
    /* The walk adds up in the same order as the sum did, so its last value is the sum itself, which uniform *
     * sum lies below: the walk ends at a token whose own part took it past the mark, never at one of
     * probability zero. The largest logit's part is 1, so the sum is at least 1. */
    mark = uniform * sum;
    for (i = 0; i < count; i++) {
        accumulated += exp_logits[i];
        if (accumulated > mark) {
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
        return TEXTGEN_USED_UP;
    }
    uniform = textgen_rng_uniform(&sampler->rng);
    if (sampler->filter_count == 0) {
        return NAME(textgen_draw_with)(logits, count, sampler->temperature, uniform, exp_logits,
                                       sampler->exp64);
    }
    for (i = 0; i < count; i++) {
        exp_logits[i] = (double)logits[i];
    }
    for (i = 0; i < sampler->filter_count; i++) {
        sampler->filters[i]->apply(sampler->filters[i], exp_logits, count);
    }
    return textgen_draw_with(exp_logits, count, sampler->temperature, uniform, exp_logits, sampler->exp64);
}

#undef NAME
#undef LOGIT
