/* The sampler's functions for one type of logits. sampler.c includes this file for each type and defines
 *
 *   NAME(x)  the name x, with a suffix for the type
 *   LOGIT    the type
 */

static LOGIT NAME(larger)(LOGIT a, LOGIT b) { return a > b ? a : b; }

/* Set `*largest` to the largest logit. Return 0. Compilers use vector instructions for these loops. */
static int64_t NAME(find_largest)(const LOGIT *logits, size_t count, LOGIT *largest) {
    LOGIT parts[MAXIMA];
    int is_nan = 0;
    for (size_t i = 0; i < count; i++) {
        is_nan |= logits[i] != logits[i];
    }
    for (size_t j = 0; j < MAXIMA; j++) {
        parts[j] = (LOGIT)-INFINITY;
    }
    for (size_t i = 0; count < MAXIMA && i < count; i++) {
        parts[0] = NAME(larger)(logits[i], parts[0]);
    }
    for (size_t i = 0; count >= MAXIMA && i < count; i += MAXIMA) {
        /* The last part may overlap the one before it. */
        const LOGIT *part = logits + (i + MAXIMA < count ? i : count - MAXIMA);
        for (size_t j = 0; j < MAXIMA; j++) {
            parts[j] = NAME(larger)(part[j], parts[j]);
        }
    }
    for (size_t size = MAXIMA / 2; size > 0; size /= 2) {
        for (size_t j = 0; j < size; j++) {
            parts[j] = NAME(larger)(parts[j + size], parts[j]);
        }
    }
    *largest = parts[0];
    return !is_nan && isfinite(*largest) ? 0 : TEXTGEN_INVALID_LOGITS;
}

int64_t NAME(textgen_argmax)(const LOGIT *logits, size_t count) {
    LOGIT largest;
    const int64_t error = NAME(find_largest)(logits, count, &largest);
    int64_t best = 0;
    if (error < 0) {
        return error;
    }
    while (logits[best] < largest) {
        best++;
    }
    return best;
}

/* Write exp((logit - max logit) / temperature) to exp_logits. Return 0. */
static int64_t NAME(exponentiate)(const LOGIT *logits, size_t count, double temperature, double *exp_logits,
                                  textgen_exp64 exp64) {
    LOGIT largest;
    const int64_t error = NAME(find_largest)(logits, count, &largest);
    if (error < 0) {
        return error;
    }
    if (temperature == 0.0) {
        for (size_t i = 0; i < count; i++) {
            exp_logits[i] = 0.0;
        }
        exp_logits[NAME(textgen_argmax)(logits, count)] = 1.0;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        /* Division, because 1 / T overflows for the smallest temperatures. */
        exp_logits[i] = ((double)logits[i] - (double)largest) / temperature;
    }
    exp64(exp_logits, count);
    return 0;
}

int64_t NAME(textgen_reweight)(const LOGIT *logits, size_t count, double temperature, double *exp_logits,
                               double *sum, textgen_exp64 exp64) {
    const int64_t error = NAME(exponentiate)(logits, count, temperature, exp_logits, exp64);
    double accumulated = 0.0;
    for (size_t i = 0; error == 0 && i < count; i++) {
        accumulated += exp_logits[i];
    }
    *sum = accumulated;
    return error;
}

int64_t NAME(textgen_unfiltered_draw)(const LOGIT *logits, size_t count, double temperature, double uniform,
                                      double *exp_logits, textgen_exp64 exp64) {
    double accumulated = 0.0;
    if (temperature == 0.0) {
        return NAME(textgen_argmax)(logits, count);
    }
    const int64_t error = NAME(exponentiate)(logits, count, temperature, exp_logits, exp64);
    if (error < 0) {
        return error;
    }
    for (size_t i = 0; i < count; i++) {
        exp_logits[i] = accumulated += exp_logits[i];
    }
    /* The largest exp_logit is 1, so the sum is at least 1, and `threshold` is less than the sum. So the loop
     * always finds a token, and one whose exp_logit is not zero. */
    const double threshold = uniform * accumulated;
    for (size_t i = 0; i < count; i++) {
        if (exp_logits[i] > threshold) {
            return (int64_t)i;
        }
    }
    return 0;
}

/* With p = exp_logit / sum, the entropy is -sum(p * log(p)), and log(exp_logit) is its exponent. */
double NAME(textgen_entropy)(const LOGIT *logits, size_t count, double temperature, double *exp_logits,
                             textgen_exp64 exp64) {
    double sum = 0.0, products = 0.0;
    if (NAME(textgen_reweight)(logits, count, temperature, exp_logits, &sum, exp64) < 0 || temperature == 0.0) {
        return 0.0;
    }
    const double largest = (double)logits[NAME(textgen_argmax)(logits, count)];
    for (size_t i = 0; i < count; i++) {
        if (exp_logits[i] > 0.0) {
            double product = exp_logits[i] * (((double)logits[i] - largest) / temperature);
            TEXTGEN_ROUND(product);
            products += product;
        }
    }
    return (textgen_log64(sum) - products / sum) / TEXTGEN_LN2;
}

double NAME(textgen_log_sum_exp)(const LOGIT *logits, size_t count, double *exp_logits, textgen_exp64 exp64) {
    double sum = 0.0;
    if (NAME(textgen_reweight)(logits, count, 1.0, exp_logits, &sum, exp64) < 0) {
        return NAN;
    }
    return (double)logits[NAME(textgen_argmax)(logits, count)] + textgen_log64(sum);
}

/* Write the filtered logits to `filtered`. Return 0. log_sum: see textgen_filters_apply. */
static int64_t NAME(filter)(const textgen_sampler_state *sampler, const LOGIT *logits, size_t count,
                            double *filtered, double *scratch, double *log_sum) {
    const int64_t best = NAME(textgen_argmax)(logits, count);
    if (best < 0) {
        return best;
    }
    for (size_t i = 0; i < count; i++) {
        filtered[i] = (double)logits[i];
    }
    *log_sum = textgen_filters_apply(sampler->filters, &sampler->parameters, sampler->exp64, filtered, scratch);
    return 0;
}

int64_t NAME(textgen_filtered_reweight)(const textgen_sampler_state *sampler, const LOGIT *logits, size_t count,
                                        double *scratch, double *sum) {
    double *filtered = scratch + count;
    if (!sampler->filters) {
        return NAME(textgen_reweight)(logits, count, sampler->parameters.temperature, scratch, sum,
                                      sampler->exp64);
    }
    double log_sum;
    int64_t error = NAME(filter)(sampler, logits, count, filtered, scratch + 2 * count, &log_sum);
    if (error < 0) {
        return error;
    }
    error = textgen_reweight(filtered, count, sampler->parameters.temperature, scratch, sum, sampler->exp64);
    return error == TEXTGEN_INVALID_LOGITS ? TEXTGEN_NO_TOKEN : error;
}

double NAME(textgen_filtered_entropy)(const textgen_sampler_state *sampler, const LOGIT *logits, size_t count,
                                      double *scratch) {
    double *filtered = scratch + count;
    if (!sampler->filters) {
        return NAME(textgen_entropy)(logits, count, sampler->parameters.temperature, scratch, sampler->exp64);
    }
    double log_sum;
    if (NAME(filter)(sampler, logits, count, filtered, scratch + 2 * count, &log_sum) < 0) {
        return 0.0;
    }
    return textgen_entropy(filtered, count, sampler->parameters.temperature, scratch, sampler->exp64);
}

/* Draw from the tokens that the filters left. The result is the same as that of a draw from all tokens, because
 * the others would add zeros to sums. */
static int64_t NAME(draw_filtered)(textgen_sampler_state *sampler, const LOGIT *logits, size_t count,
                                   double uniform, double *scratch) {
    double *filtered = scratch, *tokens = scratch + count, *exp_logits = tokens + count;
    size_t kept = 0;
    double log_sum;
    int64_t drawn = NAME(filter)(sampler, logits, count, filtered, scratch + count, &log_sum);
    if (drawn < 0) {
        return drawn;
    }
    for (size_t i = 0; i < count; i++) {
        tokens[kept] = (double)i;
        filtered[kept] = filtered[i];
        kept += filtered[i] > -INFINITY;
    }
    if (kept == 0) {
        return TEXTGEN_NO_TOKEN;
    }
    drawn = textgen_unfiltered_draw(filtered, kept, sampler->parameters.temperature, uniform, exp_logits,
                                    sampler->exp64);
    sampler->filters->drawn_surprisal = (log_sum - filtered[drawn]) / TEXTGEN_LN2;
    return (int64_t)tokens[drawn];
}

int64_t NAME(textgen_filtered_draw)(textgen_sampler_state *sampler, const LOGIT *logits, size_t count,
                                    double *scratch) {
    if (sampler->rng.position == INT64_MAX) {
        return TEXTGEN_RNG_EXHAUSTED;
    }
    const double uniform = textgen_rng_uniform(&sampler->rng);
    if (sampler->filters) {
        return NAME(draw_filtered)(sampler, logits, count, uniform, scratch);
    }
    return NAME(textgen_unfiltered_draw)(logits, count, sampler->parameters.temperature, uniform, scratch,
                                         sampler->exp64);
}

#undef NAME
#undef LOGIT
