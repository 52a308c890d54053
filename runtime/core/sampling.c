/* The sampling parameters of a stream: checked, and turned into a sampler and its filters. */
#include "handles.h"

#include "exact.h"

#include <math.h>
#include <string.h>

/* The meaning of 0 in textgen_sampling. */
static const textgen_filter_parameters off = TEXTGEN_FILTERS_OFF;

static int32_t check_range(double value, double least, double most, const char *name,
                           const textgen_error *error) {
    if (value >= least && value <= most) {
        return TEXTGEN_OK;
    }
    return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "%s must be a number from %g to %g, not %g", name,
                        least, most, value);
}

static int32_t check_filters(const textgen_sampling *sampling, const textgen_error *error) {
    const struct {
        const char *name;
        double value, least, most;
    } ranges[] = {
        {"repetition_penalty", sampling->repetition_penalty, 0, 100},
        {"frequency_penalty", sampling->frequency_penalty, -100, 100},
        {"presence_penalty", sampling->presence_penalty, -100, 100},
        {"typical_p", sampling->typical_p, 0, 1},
        {"top_p", sampling->top_p, 0, 1},
        {"min_p", sampling->min_p, 0, 1},
        {"mirostat_tau", sampling->mirostat_tau, 0, 100},
        {"mirostat_eta", sampling->mirostat_eta, 0, 1},
    };
    int32_t result = TEXTGEN_OK;
    size_t i;
    for (i = 0; i < sizeof ranges / sizeof *ranges && result == TEXTGEN_OK; i++) {
        result = check_range(ranges[i].value, ranges[i].least, ranges[i].most, ranges[i].name, error);
    }
    if (result == TEXTGEN_OK && sampling->penalty_window > TEXTGEN_MAX_PENALTY_WINDOW) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "penalty_window must be from 0 to %d, not %zu",
                            (int)TEXTGEN_MAX_PENALTY_WINDOW, sampling->penalty_window);
    }
    if (result == TEXTGEN_OK && sampling->mirostat_tau > 0.0 &&
        (sampling->top_k || sampling->typical_p > 0.0 || sampling->top_p > 0.0 || sampling->min_p > 0.0)) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "mirostat_tau replaces top_k, typical_p, top_p and min_p: set them to 0");
    }
    return result;
}

static int32_t check_bias(const textgen_sampling *sampling, const textgen_model *model,
                          const textgen_error *error) {
    const textgen_special *special = &model->network->special;
    const size_t vocabulary = model->network->vocabulary;
    bool any = false;
    size_t i;
    if (!sampling->logit_bias && !sampling->logit_bias_count) {
        return TEXTGEN_OK;
    }
    if (!sampling->logit_bias || sampling->logit_bias_count != vocabulary) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            sampling->logit_bias ? "logit_bias_count must be the vocabulary size, %zu, not %zu"
                                                 : "logit_bias is NULL",
                            vocabulary, sampling->logit_bias_count);
    }
    for (i = 0; i < vocabulary; i++) {
        const float bias = sampling->logit_bias[i];
        if (isnan(bias) || bias == INFINITY) {
            return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                                "logit_bias[%zu] must be a number or -infinity, not %g", i, (double)bias);
        }
        any |= bias > -INFINITY && (int64_t)i != special->unknown && (int64_t)i != special->begin;
    }
    return any ? TEXTGEN_OK
               : textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "logit_bias forbids every character");
}

int32_t textgen_sampling_read(const textgen_sampling *given, const textgen_model *model,
                              textgen_sampling *sampling, textgen_stream_stops *stops,
                              const textgen_error *error) {
    const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;
    int32_t result = TEXTGEN_OK;
    *sampling = defaults;
    if (given) {
        result = textgen_read_struct(given, TEXTGEN_FIELDS_END(textgen_sampling, substream), sampling,
                                     sizeof *sampling, "textgen_sampling", error);
    }
    if (result < 0) {
        return result;
    }
    if (!isfinite(sampling->temperature) || sampling->temperature < 0) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "temperature must be a finite number, 0 or more, not %g", sampling->temperature);
    }
    if (sampling->substream > UINT32_MAX) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "substream must be from 0 to 2**32 - 1, not %llu",
                            (unsigned long long)sampling->substream);
    }
    if (sampling->min_length && model->network->special.end < 0) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "min_length needs a model of records: other texts have no end");
    }
    result = check_filters(sampling, error);
    if (result == TEXTGEN_OK) {
        result = check_bias(sampling, model, error);
    }
    return result < 0 ? result
                      : textgen_stream_stops_read(sampling->stop, sampling->stop_count, model->vocabulary,
                                                  stops, error);
}

static void set_filters(textgen_stream *stream, const textgen_sampling *sampling) {
    textgen_filters *filters = textgen_stream_find(stream).filters;
    textgen_filter_parameters parameters = off;
    size_t i;
    if (sampling->repetition_penalty > 0.0) {
        parameters.repetition_penalty = sampling->repetition_penalty;
    }
    parameters.frequency_penalty = sampling->frequency_penalty;
    parameters.presence_penalty = sampling->presence_penalty;
    if (sampling->penalty_window) {
        parameters.penalty_window = sampling->penalty_window;
    }
    parameters.top_k = sampling->top_k;
    parameters.typical_p = sampling->typical_p > 0.0 ? sampling->typical_p : 1.0;
    parameters.top_p = sampling->top_p > 0.0 ? sampling->top_p : 1.0;
    parameters.min_p = sampling->min_p;
    parameters.mirostat_tau = sampling->mirostat_tau;
    if (sampling->mirostat_eta > 0.0) {
        parameters.mirostat_eta = sampling->mirostat_eta;
    }
    if (!sampling->logit_bias && !textgen_filters_active(&parameters)) {
        stream->filtered = false;
        return;
    }
    if (stream->filtered) {
        textgen_filters_replace(filters, &parameters);
    } else {
        textgen_filters_init(filters, &parameters, stream->model->network->vocabulary);
    }
    for (i = 0; i < sampling->logit_bias_count; i++) {
        textgen_filters_bias(filters)[i] = (double)sampling->logit_bias[i];
    }
    stream->filtered = true;
}

/* Other stop texts begin with the next token. */
static void set_stops(textgen_stream *stream, const textgen_stream_stops *stops) {
    if (memcmp(&stream->stop_texts, stops, sizeof *stops)) {
        stream->stop_texts = *stops;
        stream->stop_state = stream->stop_reached = 0;
        stream->stopped = false;
    }
}

/* Another length counts from the next token. */
static void set_min_length(textgen_stream *stream, size_t given) {
    const int64_t min_length = (uint64_t)given < INT64_MAX ? (int64_t)given : INT64_MAX;
    if (min_length != stream->min_length) {
        stream->min_length = min_length;
        stream->drawn = 0;
    }
}

void textgen_sampling_apply(textgen_stream *stream, const textgen_sampling *sampling,
                            const textgen_stream_stops *stops, bool restart) {
    textgen_sampler *sampler = &stream->sampler;
    const textgen_uint128 seed = {sampling->seed_high, sampling->seed};
    if (restart || seed.high != sampler->rng.seed.high || seed.low != sampler->rng.seed.low ||
        sampling->substream != sampler->rng.substream) {
        textgen_sampler_init(sampler, sampling->temperature, seed, (uint32_t)sampling->substream,
                             stream->model->network->exp64);
    }
    sampler->temperature = sampling->temperature;
    set_filters(stream, sampling);
    set_stops(stream, stops);
    set_min_length(stream, sampling->min_length);
}
