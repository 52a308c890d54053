/* The public functions of streams: they are created, copied, changed, fed and scored. */
#include "handles.h"

#include <string.h>

/* The largest size of an object. */
#define MAX_BYTES ((size_t)PTRDIFF_MAX)

/* ---- Memory ---- */

textgen_text *textgen_stream_text(const textgen_stream *stream) {
    return (void *)((char *)stream + textgen_aligned(sizeof *stream));
}

static textgen_stop_state *stops_of(const textgen_stream *stream) {
    return (void *)((char *)textgen_stream_text(stream) +
                    textgen_aligned(textgen_text_size(&stream->model->shape)));
}

/* No sum overflows: what a model has limits the state and the vocabulary. */
size_t textgen_stream_size(const textgen_model *model) {
    return textgen_aligned(sizeof(textgen_stream)) + textgen_aligned(textgen_text_size(&model->shape)) +
           textgen_aligned((TEXTGEN_MAX_STOP + 1) * sizeof(textgen_stop_state));
}

textgen_guide textgen_stream_guide(const textgen_stream *stream) {
    return (textgen_guide){stream->stop_states > 1 ? stops_of(stream) : NULL, stream->constraint,
                           stream->spans};
}

/* Reserve a part of a workspace, aligned to 64 bytes. If `start` is NULL, only count its bytes. */
static void *part(char *start, size_t *used, size_t bytes) {
    char *result = start ? start + *used : NULL;
    *used += (bytes + 63) / 64 * 64;
    return result;
}

textgen_workspace textgen_workspace_find(const textgen_model *model, void *memory, size_t lanes) {
    char *start = memory ? (char *)memory + (64 - (uintptr_t)memory % 64) % 64 : NULL;
    const size_t vocabulary = model->shape.vocabulary;
    const size_t at_once = TEXTGEN_LANES(lanes);
    textgen_workspace found;
    size_t used = 0;
    found.calls = part(start, &used, lanes * sizeof *found.calls);
    found.tokens = part(start, &used, lanes * TEXTGEN_LANE_TOKENS * sizeof *found.tokens);
    found.running = part(start, &used, lanes * sizeof *found.running);
    found.drawn = part(start, &used, lanes * sizeof *found.drawn);
    found.scratch = part(start, &used, textgen_sampler_scratch(vocabulary) * sizeof *found.scratch);
    found.masked = part(start, &used, vocabulary * sizeof *found.masked);
    found.slots = part(start, &used, model->network ? textgen_slots_size(model->network, at_once, 1) : 0);
    found.bytes = used + 64;
    return found;
}

size_t textgen_workspace_size(const textgen_model *model, size_t lanes) {
    /* Several lanes need no more bytes per lane than one. */
    return !lanes || lanes > MAX_BYTES / textgen_workspace_find(model, NULL, 1).bytes
               ? 0
               : textgen_workspace_find(model, NULL, lanes).bytes;
}

/* Find the parts of a workspace of the caller for one lane. */
static int32_t open_workspace(const textgen_stream *stream, textgen_memory memory, textgen_workspace *workspace,
                              textgen_error *error) {
    TEXTGEN_TRY(textgen_check_memory(memory, textgen_workspace_size(stream->model, 1), "workspace", error));
    *workspace = textgen_workspace_find(stream->model, memory.data, 1);
    return TEXTGEN_OK;
}

/* ---- Creation and sampling ---- */

textgen_stream *textgen_stream_place(void *memory, const textgen_model *model) {
    textgen_stream *created = memory;
    *created = (textgen_stream){.model = model, .stop_states = 1};
    textgen_text_init(&model->shape, textgen_stream_text(created));
    return created;
}

int32_t textgen_stream_init(textgen_memory memory, const textgen_model *model, const textgen_sampling *sampling,
                            textgen_stream **stream, textgen_error *error) {
    const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT, *chosen = sampling ? sampling : &defaults;
    textgen_parameters parameters;
    TEXTGEN_TRY(textgen_check_memory(memory, textgen_stream_size(model), "memory", error));
    TEXTGEN_TRY(textgen_sampling_read(chosen, model, &parameters, error));
    *stream = textgen_stream_place(memory.data, model);
    textgen_sampling_apply(chosen, &parameters, &model->shape, textgen_stream_text(*stream));
    textgen_stream_set_tables(*stream, chosen);
    return TEXTGEN_OK;
}

int32_t textgen_stream_copy(const textgen_stream *stream, textgen_memory memory, textgen_stream **copy,
                            textgen_error *error) {
    const textgen_text *text = textgen_stream_text(stream);
    textgen_stream *copied = memory.data;
    TEXTGEN_TRY(textgen_check_memory(memory, textgen_stream_size(stream->model), "memory", error));
    *copied = *stream;
    memmove(textgen_stream_text(copied), text, textgen_text_used(&stream->model->shape, text));
    memmove(stops_of(copied), stops_of(stream), stream->stop_states * sizeof(textgen_stop_state));
    *copy = copied;
    return TEXTGEN_OK;
}

void textgen_stream_set_tables(textgen_stream *stream, const textgen_sampling *sampling) {
    stream->stop_states = textgen_stops_build(sampling, stream->model->vocabulary, stops_of(stream));
    stream->keep_stop = sampling->keep_stop != 0;
    if (stream->constraint != sampling->constraint) {
        stream->constraint = sampling->constraint;
        textgen_text_begin_constraint(textgen_stream_text(stream));
    }
    stream->spans = sampling->spans;
}

int32_t textgen_stream_set_sampling(textgen_stream *stream, const textgen_sampling *sampling,
                                    textgen_error *error) {
    textgen_parameters parameters;
    TEXTGEN_TRY(textgen_sampling_read(sampling, stream->model, &parameters, error));
    textgen_sampling_apply(sampling, &parameters, &stream->model->shape, textgen_stream_text(stream));
    textgen_stream_set_tables(stream, sampling);
    return TEXTGEN_OK;
}

void textgen_stream_get_sampling(const textgen_stream *stream, textgen_sampling *sampling) {
    const textgen_text *text = textgen_stream_text(stream);
    const textgen_text_parts parts = textgen_text_find(&stream->model->shape, text);
    *sampling = (textgen_sampling){
        .seed = text->rng.seed.low,
        .seed_high = text->rng.seed.high,
        .substream = text->rng.substream,
        .logit_bias = text->filtered ? textgen_filters_bias(parts.filters) : NULL,
        .keep_stop = stream->keep_stop,
        .constraint = stream->constraint,
        .spans = stream->spans,
#define TEXTGEN_PARAMETER(name, ...) .name = text->parameters.name,
#include "parameters.def"
    };
}

void textgen_stream_seek(textgen_stream *stream, int64_t drawn) {
    textgen_rng_seek(&textgen_stream_text(stream)->rng, drawn);
}

/* ---- What there is to know of a stream ---- */

textgen_stream_info textgen_stream_get_info(const textgen_stream *stream) {
    const textgen_text *text = textgen_stream_text(stream);
    return (textgen_stream_info){.ending = (int32_t)text->ending,
                                 .is_fed = (int32_t)text->is_fed,
                                 .is_complete = textgen_text_is_complete(text),
                                 .at_end = (int32_t)text->at_end,
                                 .drawn = text->rng.position,
                                 .needed = (size_t)textgen_text_needed(text, stream->constraint),
                                 .held = (size_t)text->held,
                                 .recent = (size_t)text->recent};
}

float *textgen_stream_state(textgen_stream *stream) {
    return textgen_text_find(&stream->model->shape, textgen_stream_text(stream)).state;
}

float *textgen_stream_logits(textgen_stream *stream) {
    return textgen_text_find(&stream->model->shape, textgen_stream_text(stream)).logits;
}

const int32_t *textgen_stream_held(const textgen_stream *stream) {
    return textgen_text_find(&stream->model->shape, textgen_stream_text(stream)).held;
}

/* ---- Feeding ---- */

static int32_t forward(textgen_stream *stream, const int64_t *tokens, size_t count,
                       const textgen_workspace *workspace, textgen_error *error) {
    return count ? textgen_text_forward(stream->model, textgen_stream_text(stream), tokens, count,
                                        workspace->slots, error)
                 : TEXTGEN_OK;
}

/* Begin a text from the initial state, after the begin token if there is one. */
static int32_t start(textgen_stream *stream, const textgen_workspace *workspace, textgen_error *error) {
    const int64_t begin = stream->model->shape.special.begin;
    textgen_text_begin(&stream->model->shape, textgen_stream_text(stream), true);
    return forward(stream, &begin, begin >= 0, workspace, error);
}

/* Begin another text, which is the next record after the end of one. */
static int32_t begin_text(textgen_stream *stream, const textgen_workspace *workspace, textgen_error *error) {
    textgen_text *text = textgen_stream_text(stream);
    if (text->at_end || (!text->is_fed && stream->model->shape.special.begin >= 0)) {
        return start(stream, workspace, error);
    }
    textgen_text_begin(&stream->model->shape, text, false);
    return TEXTGEN_OK;
}

int32_t textgen_stream_ready(textgen_stream *stream, const textgen_workspace *workspace, textgen_error *error) {
    if (!textgen_stream_text(stream)->is_fed && stream->model->shape.special.begin >= 0) {
        TEXTGEN_TRY(start(stream, workspace, error));
    }
    return textgen_stream_text(stream)->is_fed
               ? TEXTGEN_OK
               : textgen_fail(error, TEXTGEN_NO_PROMPT, "%s", textgen_code_text(TEXTGEN_NO_PROMPT));
}

int32_t textgen_stream_feed(textgen_stream *stream, const char *text, size_t size, textgen_memory workspace,
                            textgen_error *error) {
    const textgen_model *model = stream->model;
    textgen_encoder encoder = {text, size, 0};
    textgen_workspace found;
    size_t count;
    bool more = true;
    TEXTGEN_TRY(open_workspace(stream, workspace, &found, error));
    TEXTGEN_TRY(textgen_encode(model, text, size, 0, NULL, &count, error));
    TEXTGEN_TRY(begin_text(stream, &found, error));
    while (more) {
        for (count = 0; more && count < TEXTGEN_LANE_TOKENS; count += more) {
            more = textgen_encode_next(model->vocabulary, &encoder, &found.tokens[count], error) > 0;
        }
        TEXTGEN_TRY(forward(stream, found.tokens, count, &found, error));
    }
    return TEXTGEN_OK;
}

int32_t textgen_stream_feed_tokens(textgen_stream *stream, const int64_t *tokens, size_t count, int32_t how,
                                   textgen_memory workspace, textgen_error *error) {
    textgen_workspace found;
    TEXTGEN_TRY(open_workspace(stream, workspace, &found, error));
    TEXTGEN_TRY(textgen_check_tokens(stream->model, tokens, count, error));
    if (how == TEXTGEN_FEED_START) {
        TEXTGEN_TRY(start(stream, &found, error));
    } else if (how == TEXTGEN_FEED_TEXT || !textgen_stream_text(stream)->is_fed) {
        TEXTGEN_TRY(begin_text(stream, &found, error));
    }
    return forward(stream, tokens, count, &found, error);
}

int32_t textgen_stream_score(textgen_stream *stream, const int64_t *tokens, size_t count, double *logprobs,
                             textgen_memory workspace, textgen_error *error) {
    const textgen_shape *shape = &stream->model->shape;
    const float *logits = textgen_stream_logits(stream);
    textgen_workspace found;
    TEXTGEN_TRY(open_workspace(stream, workspace, &found, error));
    TEXTGEN_TRY(textgen_check_tokens(stream->model, tokens, count, error));
    TEXTGEN_TRY(textgen_stream_ready(stream, &found, error));
    TEXTGEN_TRY(begin_text(stream, &found, error));
    for (size_t i = 0; i < count; i++) {
        logprobs[i] = (double)logits[tokens[i]] -
                      textgen_log_sum_exp_float(logits, shape->vocabulary, found.scratch, shape->exp64);
        TEXTGEN_TRY(forward(stream, &tokens[i], 1, &found, error));
    }
    return TEXTGEN_OK;
}

int32_t textgen_stream_probabilities(textgen_stream *stream, int32_t of_draw, double *probabilities,
                                     textgen_memory workspace, textgen_error *error) {
    textgen_workspace found;
    TEXTGEN_TRY(open_workspace(stream, workspace, &found, error));
    TEXTGEN_TRY(textgen_stream_ready(stream, &found, error));
    const int32_t code = textgen_text_probabilities(&stream->model->shape, textgen_stream_text(stream),
                                                    textgen_stream_guide(stream), of_draw != 0, probabilities,
                                                    found.masked, found.scratch);
    return code < 0 ? textgen_report(error, code, "%s", textgen_code_text(code)) : TEXTGEN_OK;
}
