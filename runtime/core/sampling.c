/* What a caller samples with: its checks, and the sampler, which draws from logits of any origin. */
#include "handles.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- Checks ---- */

/* Fail because two parameters exclude each other. */
static int32_t exclude(const char *parameter, const char *other, textgen_error *error) {
    return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, parameter, -1, "cannot be used with %s", other);
}

static int32_t read_parameters(const textgen_sampling *sampling, textgen_parameters *parameters,
                               textgen_error *error) {
    TEXTGEN_TRY(textgen_parameters_read(sampling, parameters, error));
    const char *replaced = textgen_parameters_truncation(parameters);
    if (parameters->mirostat_tau > 0.0 && replaced) {
        return exclude("mirostat_tau", replaced, error);
    }
    return sampling->substream > UINT32_MAX ? textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "substream", -1,
                                                              "must be from 0 to 4294967295, not %llu",
                                                              (unsigned long long)sampling->substream)
                                            : TEXTGEN_OK;
}

/* A stop text could end a text before it matches. The constraint ends texts itself, and all that match may be
 * copies. */
static int32_t check_constraint(const textgen_sampling *sampling, textgen_error *error) {
    return !sampling->constraint  ? TEXTGEN_OK
           : sampling->stop_count ? exclude("constraint", "stop", error)
           : sampling->min_length ? exclude("constraint", "min_length", error)
           : sampling->spans      ? exclude("constraint", "spans", error)
                                  : TEXTGEN_OK;
}

int32_t textgen_sampling_check(const textgen_sampling *sampling, textgen_error *error) {
    textgen_parameters parameters;
    return textgen_sampling_read(sampling, NULL, &parameters, error);
}

bool textgen_bias_is_valid(double bias) { return fabs(bias) <= FLT_MAX || bias == -INFINITY; }

/* Check a logit bias, which may be NULL. */
static int32_t check_bias(const double *bias, const textgen_special *special, size_t vocabulary,
                          textgen_error *error) {
    bool any = !bias;
    for (size_t i = 0; bias && i < vocabulary; i++) {
        if (!textgen_bias_is_valid(bias[i])) {
            return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "logit_bias", (int64_t)i,
                                   "must be a number or -infinity, not %g", bias[i]);
        }
        any |= bias[i] > -INFINITY && (int64_t)i != special->unknown && (int64_t)i != special->begin;
    }
    return any ? TEXTGEN_OK
               : textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "logit_bias", -1, "forbids every token");
}

/* Encode a stop text. Return how many tokens it has, or a code. */
static int64_t encode_stop(const char *text, const textgen_vocabulary *vocabulary,
                           int64_t tokens[TEXTGEN_MAX_STOP + 1]) {
    textgen_encoder encoder = {text, strlen(text), 0};
    int64_t count = 0;
    int32_t code = 1;
    while (count <= TEXTGEN_MAX_STOP &&
           (code = textgen_encode_next(vocabulary, &encoder, &tokens[count], NULL)) > 0) {
        if (tokens[count++] == vocabulary->special.unknown) {
            return TEXTGEN_UNKNOWN_CHARACTER;
        }
    }
    return code < 0 ? code : count;
}

static int32_t check_stops(const textgen_sampling *sampling, const textgen_vocabulary *vocabulary,
                           textgen_error *error) {
    int64_t tokens[TEXTGEN_MAX_STOP + 1], sum = 0;
    for (size_t i = 0; i < sampling->stop_count; i++) {
        const int64_t count = encode_stop(sampling->stop[i], vocabulary, tokens), place = (int64_t)i;
        if (count <= 0) {
            const int32_t code = count ? (int32_t)count : TEXTGEN_INVALID_ARGUMENT;
            return textgen_report_at(error, code, "stop", place, "%s",
                                     count ? textgen_code_text(code) : "must not be empty");
        }
        sum += count;
        if (sum > TEXTGEN_MAX_STOP) {
            return textgen_report_at(error, TEXTGEN_INVALID_ARGUMENT, "stop", place,
                                     "must have at most %d tokens with those before", (int)TEXTGEN_MAX_STOP);
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_sampling_read(const textgen_sampling *sampling, const textgen_model *model,
                              textgen_parameters *parameters, textgen_error *error) {
    TEXTGEN_TRY(read_parameters(sampling, parameters, error));
    TEXTGEN_TRY(check_constraint(sampling, error));
    if (!model) {
        return TEXTGEN_OK;
    }
    const textgen_shape *shape = &model->shape;
    if (sampling->constraint && sampling->constraint->vocabulary != shape->vocabulary) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "constraint", -1, "is of another model");
    }
    if (sampling->spans && sampling->spans->vocabulary != shape->vocabulary) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "spans", -1, "are of another model");
    }
    if (parameters->min_length && shape->special.end < 0) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "min_length", -1, "needs a model of records");
    }
    TEXTGEN_TRY(check_bias(sampling->logit_bias, &shape->special, shape->vocabulary, error));
    return check_stops(sampling, model->vocabulary, error);
}

/* ---- What was checked ---- */

void textgen_sampling_apply(const textgen_sampling *sampling, const textgen_parameters *parameters,
                            const textgen_shape *shape, textgen_text *text) {
    const textgen_uint128 seed = {sampling->seed_high, sampling->seed};
    textgen_text_configure(shape, text, parameters, sampling->logit_bias);
    if (seed.high != text->rng.seed.high || seed.low != text->rng.seed.low ||
        sampling->substream != text->rng.substream) {
        textgen_text_seed(text, seed, (uint32_t)sampling->substream, 0);
    }
}

size_t textgen_stops_build(const textgen_sampling *sampling, const textgen_vocabulary *vocabulary,
                           textgen_stop_state *states) {
    int64_t tokens[TEXTGEN_MAX_STOP + 1];
    size_t count = 1;
    memset(states, 0, sizeof *states);
    for (size_t i = 0; i < sampling->stop_count; i++) {
        const int64_t length = encode_stop(sampling->stop[i], vocabulary, tokens);
        count = textgen_stops_add(states, count, tokens, (size_t)length);
    }
    textgen_stops_link(states);
    return count;
}

/* ---- The sampler ---- */

/* A sampler is a text without a network: the block and temporary memory follow. */
struct textgen_sampler {
    textgen_shape shape;
};

static textgen_text *text_of(const textgen_sampler *sampler) {
    return (void *)((char *)sampler + textgen_aligned(sizeof *sampler));
}

static double *scratch_of(const textgen_sampler *sampler) {
    return (void *)((char *)text_of(sampler) + textgen_text_size(&sampler->shape));
}

size_t textgen_sampler_size(size_t vocabulary) {
    const textgen_shape shape = {.vocabulary = vocabulary};
    return !vocabulary || vocabulary > INT32_MAX / 64
               ? 0
               : textgen_aligned(sizeof(textgen_sampler)) + textgen_text_size(&shape) +
                     textgen_sampler_scratch(vocabulary) * sizeof(double);
}

int32_t textgen_sampler_init(textgen_memory memory, size_t vocabulary, const textgen_sampling *sampling,
                             textgen_sampler **sampler, textgen_error *error) {
    textgen_parameters parameters;
    textgen_sampler *created = memory.data;
    TEXTGEN_TRY(textgen_check_memory(memory, textgen_sampler_size(vocabulary), "memory", error));
    const textgen_shape shape = {vocabulary, 0, {-1, -1, -1}, false, textgen_find_exp64(NULL)};
    TEXTGEN_TRY(read_parameters(sampling, &parameters, error));
    TEXTGEN_TRY(check_bias(sampling->logit_bias, &shape.special, vocabulary, error));
    created->shape = shape;
    textgen_text_init(&shape, text_of(created));
    textgen_sampling_apply(sampling, &parameters, &shape, text_of(created));
    *sampler = created;
    return TEXTGEN_OK;
}

int32_t textgen_sampler_set_sampling(textgen_sampler *sampler, const textgen_sampling *sampling,
                                     textgen_error *error) {
    const textgen_shape *shape = &sampler->shape;
    textgen_parameters parameters;
    TEXTGEN_TRY(read_parameters(sampling, &parameters, error));
    TEXTGEN_TRY(check_bias(sampling->logit_bias, &shape->special, shape->vocabulary, error));
    textgen_sampling_apply(sampling, &parameters, shape, text_of(sampler));
    return TEXTGEN_OK;
}

int64_t textgen_sampler_drawn(const textgen_sampler *sampler) { return text_of(sampler)->rng.position; }

void textgen_sampler_seek(textgen_sampler *sampler, int64_t drawn) {
    textgen_rng_seek(&text_of(sampler)->rng, drawn);
}

int64_t textgen_sampler_draw(textgen_sampler *sampler, const double *logits) {
    const textgen_shape *shape = &sampler->shape;
    textgen_sampler_state state = textgen_text_sampler(shape, text_of(sampler));
    const int64_t token = textgen_filtered_draw(&state, logits, shape->vocabulary, scratch_of(sampler));
    text_of(sampler)->rng = state.rng;
    if (token >= 0) {
        textgen_sampler_accept(&state, token);
    }
    return token;
}

int32_t textgen_sampler_probabilities(textgen_sampler *sampler, const double *logits, double *probabilities) {
    const textgen_shape *shape = &sampler->shape;
    const textgen_sampler_state state = textgen_text_sampler(shape, text_of(sampler));
    double *scratch = scratch_of(sampler), sum;
    TEXTGEN_TRY((int32_t)textgen_filtered_reweight(&state, logits, shape->vocabulary, scratch, &sum));
    for (size_t i = 0; i < shape->vocabulary; i++) {
        probabilities[i] = scratch[i] / sum;
    }
    return TEXTGEN_OK;
}

/* The search for the best instruction set would take longer than these functions do. */
#define KERNELS "baseline"

int32_t textgen_softmax(const double *logits, size_t count, double temperature, double *probabilities) {
    double sum;
    TEXTGEN_TRY((int32_t)textgen_reweight(logits, count, temperature, probabilities, &sum,
                                          textgen_find_exp64(KERNELS)));
    for (size_t i = 0; i < count; i++) {
        probabilities[i] /= sum;
    }
    return TEXTGEN_OK;
}

int64_t textgen_draw_with(const double *logits, size_t count, double temperature, double uniform,
                          double *exp_logits) {
    return textgen_unfiltered_draw(logits, count, temperature, uniform, exp_logits,
                                   textgen_find_exp64(KERNELS));
}
