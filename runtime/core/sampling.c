/* What a caller samples with: its checks, and the sampler, which draws from logits of any origin. */
#include "text.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* ---- A sampling ---- */

/* Fail because two parameters exclude each other. */
static int32_t exclude(const char *parameter, const char *other, textgen_error *error) {
    return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, parameter, -1, "cannot be used with %s", other);
}

/* Check what must fit together, of the model and of the text. A stop text could end a text before it matches.
 * The constraint ends texts itself, and all that match may be copies. */
static int32_t check_together(const textgen_sampling *sampling, const textgen_shape *shape,
                              textgen_error *error) {
    if (sampling->constraint && sampling->constraint->vocabulary != shape->vocabulary) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "constraint", -1, "is of another model");
    }
    if (sampling->spans && sampling->spans->vocabulary != shape->vocabulary) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "spans", -1, "are of another model");
    }
    if (sampling->min_length && shape->special.end < 0) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "min_length", -1, "needs a model of records");
    }
    return !sampling->constraint  ? TEXTGEN_OK
           : sampling->stop_count ? exclude("constraint", "stop", error)
           : sampling->min_length ? exclude("constraint", "min_length", error)
           : sampling->spans      ? exclude("constraint", "spans", error)
                                  : TEXTGEN_OK;
}

bool textgen_bias_is_valid(double bias) { return fabs(bias) <= FLT_MAX || bias == -INFINITY; }

/* Check a logit bias, which may be NULL. */
static int32_t check_bias(const double *bias, const textgen_shape *shape, textgen_error *error) {
    bool any = !bias;
    for (size_t i = 0; bias && i < shape->vocabulary; i++) {
        if (!textgen_bias_is_valid(bias[i])) {
            return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "logit_bias", (int64_t)i,
                                   "must be a number or -infinity, not %g", bias[i]);
        }
        any |=
            bias[i] > -INFINITY && (int64_t)i != shape->special.unknown && (int64_t)i != shape->special.begin;
    }
    return any ? TEXTGEN_OK
               : textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "logit_bias", -1, "forbids every token");
}

/* Encode the stop texts. */
static int32_t read_stops(const textgen_sampling *sampling, const textgen_vocabulary *vocabulary,
                          int32_t stops[TEXTGEN_STOP_NUMBERS], textgen_error *error) {
    int64_t token, room = TEXTGEN_MAX_STOP;
    memset(stops, 0, TEXTGEN_STOP_NUMBERS * sizeof *stops);
    for (size_t i = 0; i < sampling->stop_count; i++) {
        const char *text = sampling->stop[i];
        textgen_encoder encoder = {text, strlen(text), 0, 0};
        int32_t code, *count = stops++;
        while ((code = textgen_encode_next(vocabulary, &encoder, &token, error)) > 0) {
            if (token == vocabulary->special.unknown || room == 0) {
                code = room ? textgen_report(error, TEXTGEN_UNKNOWN_CHARACTER,
                                             "has a character that is not in the vocabulary")
                            : textgen_report(error, TEXTGEN_INVALID_ARGUMENT,
                                             "must have at most %d tokens with those before",
                                             (int)TEXTGEN_MAX_STOP);
                break;
            }
            *stops++ = (int32_t)token;
            ++*count;
            room--;
        }
        if (code == 0 && *count == 0) {
            code = textgen_report(error, TEXTGEN_INVALID_ARGUMENT, "must not be empty");
        }
        if (code < 0 && error) {
            error->parameter = "stop";
            error->place = (int64_t)i;
        }
        TEXTGEN_TRY(code);
    }
    return TEXTGEN_OK;
}

/* Use filters, which keep their state. */
static void set_filters(textgen_stream *stream, const double *bias, const textgen_parameters *parameters) {
    textgen_text *text = &stream->text;
    const bool filtered = bias || textgen_filters_active(parameters);
    if (filtered && text->filtered) {
        textgen_filters_change(stream->filters, &text->parameters, parameters);
    } else if (filtered) {
        textgen_filters_init(stream->filters, parameters, stream->shape.vocabulary);
    }
    for (size_t i = 0; filtered && i < stream->shape.vocabulary; i++) {
        textgen_filters_bias(stream->filters)[i] = bias ? bias[i] : 0.0; /* it may be that of the stream */
    }
    text->filtered = filtered;
}

/* Use a constraint. Unless it has the table of the one before, the next token begins another text of it. */
static void set_constraint(textgen_stream *stream, const textgen_constraint *constraint) {
    static const unsigned char none[TEXTGEN_SHA256_SIZE];
    const unsigned char *digest = constraint ? constraint->digest : none;
    stream->constraint = constraint;
    if (!memcmp(stream->digest, digest, sizeof stream->digest)) {
        return;
    }
    memcpy(stream->digest, digest, sizeof stream->digest);
    stream->text.constraint_state = 0;
    if (stream->text.ending != TEXTGEN_REACHED_END) {
        stream->text.ending = TEXTGEN_CONTINUES;
    }
}

int32_t textgen_stream_set_sampling(textgen_stream *stream, const textgen_sampling *sampling,
                                    textgen_error *error) {
    const textgen_uint128 seed = {sampling->seed_high, sampling->seed};
    textgen_text *text = &stream->text;
    textgen_parameters parameters;
    int32_t stops[TEXTGEN_STOP_NUMBERS];
    TEXTGEN_TRY(textgen_parameters_read(sampling, &parameters, error));
    const char *replaced = textgen_parameters_truncation(&parameters);
    if (parameters.mirostat_tau > 0.0 && replaced) {
        return exclude("mirostat_tau", replaced, error);
    }
    if (sampling->substream > UINT32_MAX) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "substream", -1,
                               "must be from 0 to 4294967295, not %llu",
                               (unsigned long long)sampling->substream);
    }
    TEXTGEN_TRY(check_bias(sampling->logit_bias, &stream->shape, error));
    if (stream->model) {
        TEXTGEN_TRY(check_together(sampling, &stream->shape, error));
        TEXTGEN_TRY(read_stops(sampling, stream->model->vocabulary, stops, error));
        memcpy(stream->stops, stops, sizeof stops);
        set_constraint(stream, sampling->constraint);
        stream->spans = sampling->spans;
        text->recent = sampling->spans ? text->recent : 0;
        stream->keep_stop = sampling->keep_stop != 0;
    }
    set_filters(stream, sampling->logit_bias, &parameters);
    if (text->parameters.min_length != parameters.min_length) {
        text->since_feed = 0; /* another min_length counts from the next token */
    }
    text->parameters = parameters;
    if (seed.high != text->rng.seed.high || seed.low != text->rng.seed.low ||
        sampling->substream != text->rng.substream) {
        textgen_rng_init(&text->rng, seed, (uint32_t)sampling->substream);
    }
    return TEXTGEN_OK;
}

void textgen_stream_get_sampling(const textgen_stream *stream, textgen_sampling *sampling) {
    const textgen_text *text = &stream->text;
    *sampling = (textgen_sampling){
        .seed = text->rng.seed.low,
        .seed_high = text->rng.seed.high,
        .substream = text->rng.substream,
        .logit_bias = text->filtered ? textgen_filters_bias(stream->filters) : NULL,
        .keep_stop = stream->keep_stop,
        .constraint = stream->constraint,
        .spans = stream->spans,
#define TEXTGEN_PARAMETER(name, ...) .name = text->parameters.name,
#include "parameters.def"
    };
}

/* ---- The sampler ---- */

/* Its temporary memory is behind the block. */
static double *scratch_of(const textgen_stream *sampler) {
    return (void *)((char *)sampler + textgen_stream_bytes(&sampler->shape));
}

size_t textgen_sampler_size(size_t vocabulary) {
    const textgen_shape shape = {.vocabulary = vocabulary};
    return !vocabulary || vocabulary > INT32_MAX / 64
               ? 0
               : textgen_stream_bytes(&shape) + textgen_sampler_scratch(vocabulary) * sizeof(double);
}

int32_t textgen_sampler_init(textgen_memory memory, size_t vocabulary, const textgen_sampling *sampling,
                             textgen_stream **sampler, textgen_error *error) {
    const textgen_shape shape = {vocabulary, 0, {-1, -1, -1}, false, textgen_find_exp64(NULL)};
    return textgen_stream_place(memory, textgen_sampler_size(vocabulary), &shape, NULL, sampling, sampler,
                                error);
}

/* Copy logits, of which some functions change the copy. */
static double *widen(const textgen_stream *sampler, const void *logits, int32_t is_float) {
    double *values = scratch_of(sampler);
    if (is_float) {
        sampler->shape.exp64->widen(logits, sampler->shape.vocabulary, values);
    } else {
        memcpy(values, logits, sampler->shape.vocabulary * sizeof *values);
    }
    return values;
}

int64_t textgen_sampler_draw(textgen_stream *sampler, const void *logits, int32_t is_float) {
    textgen_sampler_state state = textgen_stream_sampler(sampler);
    const int64_t token =
        textgen_sampler_take(&state, widen(sampler, logits, is_float), sampler->shape.vocabulary);
    if (token >= 0) {
        textgen_sampler_accept(&state, token);
    }
    return token;
}

int32_t textgen_sampler_probabilities(textgen_stream *sampler, const double *logits, double *probabilities) {
    const textgen_sampler_state state = textgen_stream_sampler(sampler);
    const size_t count = sampler->shape.vocabulary;
    double sum;
    TEXTGEN_TRY(textgen_sampler_weigh(&state, widen(sampler, logits, 0), count, probabilities, &sum));
    textgen_normalize(probabilities, count, sum);
    return TEXTGEN_OK;
}

/* The search for the best instruction set would take longer than these functions do. */
#define KERNELS "baseline"

static int32_t check_temperature(double temperature) {
    return textgen_parameter_accepts(textgen_parameter(TEXTGEN_PARAMETER_temperature), temperature)
               ? TEXTGEN_OK
               : TEXTGEN_INVALID_ARGUMENT;
}

int32_t textgen_softmax(const double *logits, size_t count, double temperature, double *probabilities) {
    double sum;
    TEXTGEN_TRY(check_temperature(temperature));
    TEXTGEN_TRY(textgen_reweight(logits, count, temperature, probabilities, &sum, textgen_find_exp64(KERNELS)));
    textgen_normalize(probabilities, count, sum);
    return TEXTGEN_OK;
}

int64_t textgen_draw_with(const double *logits, size_t count, double temperature, double uniform,
                          double *exp_logits) {
    TEXTGEN_TRY(check_temperature(temperature));
    return !(uniform >= 0.0 && uniform < 1.0)
               ? TEXTGEN_INVALID_ARGUMENT
               : textgen_invert(logits, count, temperature, uniform, exp_logits, textgen_find_exp64(KERNELS));
}
