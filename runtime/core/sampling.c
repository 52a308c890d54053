/* The sampling parameters of a handle: checked, and written to the block of its text, which sampler.h draws
 * with. */
#include "handles.h"

#include <math.h>
#include <string.h>

static int32_t check_mirostat(const textgen_parameters *parameters, textgen_error *error) {
    const char *replaced = textgen_parameters_truncation(parameters);
    return parameters->mirostat_tau > 0.0 && replaced
               ? textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "mirostat_tau replaces %s: turn one of them off",
                              replaced)
               : TEXTGEN_OK;
}

static int32_t check_tables(const textgen_stream_sampling *read, const textgen_model *model,
                            textgen_error *error) {
    const textgen_constraint *constraint = read->sampling.constraint;
    if (constraint && constraint->vocabulary != model->shape.vocabulary) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "constraint is of another model: create one for this model");
    }
    if (read->sampling.spans && read->sampling.spans->vocabulary != model->shape.vocabulary) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "spans are of another model: create some for this model");
    }
    if (constraint && read->sampling.stop_count) {
        return textgen_fail(
            error, TEXTGEN_INVALID_ARGUMENT,
            "use constraint or stop, not both: a stop text could end the text before it matches");
    }
    if (constraint && read->parameters.min_length) {
        return textgen_fail(
            error, TEXTGEN_INVALID_ARGUMENT,
            "use constraint or min_length, not both: the constraint ends the text, so let it allow "
            "no short text");
    }
    if (constraint && read->sampling.spans) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "use constraint or spans, not both: all texts that match may be copies");
    }
    return TEXTGEN_OK;
}

static int32_t check_bias(const textgen_sampling *sampling, const textgen_model *model, textgen_error *error) {
    const textgen_special *special = &model->network->special;
    const size_t vocabulary = model->network->vocabulary;
    bool any = false;
    if (!sampling->logit_bias && !sampling->logit_bias_count) {
        return TEXTGEN_OK;
    }
    if (!sampling->logit_bias || sampling->logit_bias_count != vocabulary) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            sampling->logit_bias ? "logit_bias_count must be the vocabulary size, %zu, not %zu"
                                                 : "logit_bias is NULL",
                            vocabulary, sampling->logit_bias_count);
    }
    for (size_t i = 0; i < vocabulary; i++) {
        const float bias = sampling->logit_bias[i];
        if (isnan(bias) || bias == INFINITY) {
            return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                                "logit_bias[%zu] must be a number or -infinity, not %g", i, (double)bias);
        }
        any |= bias > -INFINITY && (int64_t)i != special->unknown && (int64_t)i != special->begin;
    }
    return any ? TEXTGEN_OK
               : textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "logit_bias forbids every character: allow one");
}

int32_t textgen_sampling_read(const textgen_sampling *given, const textgen_model *model,
                              textgen_stream_sampling *read, textgen_error *error) {
    const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;
    read->sampling = defaults;
    if (given) {
        TEXTGEN_TRY(textgen_read_struct(given, TEXTGEN_FIELDS_END(textgen_sampling, temperature),
                                        &read->sampling, sizeof read->sampling, "textgen_sampling", error));
    }
    TEXTGEN_TRY(textgen_parameters_read(&read->sampling, &read->parameters, error));
    TEXTGEN_TRY(check_mirostat(&read->parameters, error));
    if (read->sampling.substream > UINT32_MAX) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "substream must be from 0 to 2**32 - 1, not %llu",
                            (unsigned long long)read->sampling.substream);
    }
    if (read->parameters.min_length && model->network->special.end < 0) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "min_length needs a model of records: other texts have no end");
    }
    TEXTGEN_TRY(check_tables(read, model, error));
    TEXTGEN_TRY(check_bias(&read->sampling, model, error));
    return textgen_stream_stops_read(read->sampling.stop, read->sampling.stop_count, model->vocabulary,
                                     &read->stops, error);
}

/* Set the stop texts, the constraint and the spans. */
static void set_tables(textgen_stream *stream, const textgen_stream_sampling *read) {
    stream->stop_texts = read->stops;
    if (stream->constraint != read->sampling.constraint) {
        stream->constraint = read->sampling.constraint;
        textgen_text_begin_constraint(textgen_stream_text(stream));
    }
    stream->spans = read->sampling.spans;
    stream->keep_stop = read->sampling.keep_stop != 0;
}

void textgen_sampling_apply(textgen_stream *stream, const textgen_stream_sampling *read, bool restart) {
    const textgen_shape *shape = &stream->model->shape;
    const textgen_sampling *sampling = &read->sampling;
    const textgen_uint128 seed = {sampling->seed_high, sampling->seed};
    textgen_text *text = textgen_stream_text(stream);
    textgen_text_configure(shape, text, &read->parameters, sampling->logit_bias);
    for (size_t i = 0; i < sampling->logit_bias_count; i++) {
        textgen_filters_bias(textgen_text_find(shape, text).filters)[i] = (double)sampling->logit_bias[i];
    }
    if (restart || seed.high != text->rng.seed.high || seed.low != text->rng.seed.low ||
        sampling->substream != text->rng.substream) {
        textgen_text_seed(text, seed, (uint32_t)sampling->substream, 0);
    }
    set_tables(stream, read);
}
