/* The block of a stream, and the distribution of the next token. */
#include "text.h"

#include <string.h>

/* Saved texts are the same bytes everywhere, so that no part may have padding. */
_Static_assert(sizeof(textgen_rng) == 10 * 8, "padding");
_Static_assert(sizeof(textgen_text) == (TEXTGEN_PARAMETER_COUNT + 10 + 7) * 8, "padding");
_Static_assert(sizeof(textgen_filters) == 4 * 8 + TEXTGEN_MAX_PENALTY_WINDOW * 4, "padding");

/* ---- The block ---- */

/* Find the parts behind the start of a stream. Return the bytes of all. Each part is aligned to 8 bytes. */
static size_t find_parts(textgen_stream *stream, const textgen_shape *shape) {
    const size_t numbers = shape->state_values + shape->vocabulary;
    const size_t state = sizeof *stream, held = state + (numbers + 1) / 2 * 8;
    const size_t filters = held + TEXTGEN_HELD_ROOM * sizeof *stream->held;
    const size_t recent = filters + textgen_filters_size(shape->vocabulary);
    const size_t stops = recent + TEXTGEN_MAX_RECENT * sizeof *stream->recent;
    if (stream) {
        char *memory = (char *)stream;
        stream->state = (void *)(memory + state);
        stream->logits = stream->state + shape->state_values;
        stream->held = (void *)(memory + held);
        stream->filters = (void *)(memory + filters);
        stream->recent = (void *)(memory + recent);
        stream->stops = (void *)(memory + stops);
    }
    return stops + (TEXTGEN_STOP_NUMBERS + 1) / 2 * 8;
}

size_t textgen_stream_bytes(const textgen_shape *shape) { return find_parts(NULL, shape); }

int32_t textgen_stream_place(textgen_memory memory, size_t size, const textgen_shape *shape,
                             const textgen_model *model, const textgen_sampling *sampling,
                             textgen_stream **stream, textgen_error *error) {
    const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;
    const textgen_uint128 unseeded = {0, 0};
    TEXTGEN_TRY(textgen_check_memory(memory, size, "memory", error));
    textgen_stream *created = memset(memory.data, 0, textgen_stream_bytes(shape));
    created->model = model;
    created->shape = *shape;
    find_parts(created, shape);
    textgen_rng_init(&created->text.rng, unseeded, 0);
    TEXTGEN_TRY(textgen_stream_set_sampling(created, sampling ? sampling : &defaults, error));
    *stream = created;
    return TEXTGEN_OK;
}

int32_t textgen_stream_init(textgen_memory memory, const textgen_model *model, const textgen_sampling *sampling,
                            textgen_stream **stream, textgen_error *error) {
    return textgen_stream_place(memory, textgen_stream_size(model), &model->shape, model, sampling, stream,
                                error);
}

int32_t textgen_stream_copy(const textgen_stream *stream, textgen_memory memory, textgen_stream **copy,
                            textgen_error *error) {
    TEXTGEN_TRY(textgen_check_memory(memory, textgen_stream_size(stream->model), "memory", error));
    /* Only what is in use: a batch copies each stream before each chunk, and most have no stop texts. */
    const size_t start = (size_t)((const char *)stream->held - (const char *)stream);
    const size_t stops = stream->stops[0] ? TEXTGEN_STOP_NUMBERS : 1;
    textgen_stream *copied = memcpy(memory.data, stream, start);
    find_parts(copied, &copied->shape);
    memcpy(copied->held, stream->held, (size_t)stream->text.held * sizeof *stream->held);
    if (stream->text.filtered) {
        memcpy(copied->filters, stream->filters, textgen_filters_size(stream->shape.vocabulary));
    }
    memcpy(copied->recent, stream->recent, (size_t)stream->text.recent * sizeof *stream->recent);
    memcpy(copied->stops, stream->stops, stops * sizeof *stream->stops);
    *copy = copied;
    return TEXTGEN_OK;
}

int64_t textgen_stream_needed(const textgen_stream *stream) {
    const textgen_constraint *constraint = stream->constraint;
    const int64_t state = stream->text.constraint_state;
    const bool is_open =
        constraint && !textgen_stream_is_complete(stream) && !textgen_constraint_accepting(constraint, state);
    return is_open ? constraint->distance[state] : 0;
}

textgen_stream_info textgen_stream_get_info(const textgen_stream *stream) {
    const textgen_text *text = &stream->text;
    return (textgen_stream_info){.ending = (int32_t)text->ending,
                                 .is_fed = (int32_t)text->is_fed,
                                 .is_complete = textgen_stream_is_complete(stream),
                                 .at_end = text->ending == TEXTGEN_REACHED_END,
                                 .drawn = text->rng.position,
                                 .needed = (size_t)textgen_stream_needed(stream),
                                 .held = (size_t)text->held,
                                 .recent = (size_t)text->recent,
                                 .state = stream->state,
                                 .logits = stream->logits,
                                 .held_tokens = stream->held};
}

void textgen_stream_seek(textgen_stream *stream, int64_t drawn) { textgen_rng_seek(&stream->text.rng, drawn); }

/* Bytes are the beginning of a character if bytes may follow that complete it. What may follow the first byte
 * is a range that includes 0x80 or 0xBF. */
int64_t textgen_incomplete_bytes(const int32_t *tokens, int64_t count) {
    for (int64_t size = 1; size <= 3 && size <= count; size++) {
        for (int fill = 0x80; fill <= 0xBF; fill += 0xBF - 0x80) {
            unsigned char bytes[TEXTGEN_UTF8_BYTES];
            size_t end = 0;
            memset(bytes, fill, sizeof bytes);
            for (int64_t i = 0; i < size; i++) {
                bytes[i] = (unsigned char)tokens[count - size + i];
            }
            if (textgen_utf8_next((textgen_view){bytes, sizeof bytes}, &end) >= 0 && end > (size_t)size) {
                return size;
            }
        }
    }
    return 0;
}

/* ---- The next token ---- */

textgen_sampler_state textgen_stream_sampler(textgen_stream *stream) {
    return (textgen_sampler_state){.parameters = &stream->text.parameters,
                                   .rng = &stream->text.rng,
                                   .filters = stream->text.filtered ? stream->filters : NULL,
                                   .exp64 = stream->shape.exp64};
}

void textgen_stream_hash(textgen_stream *stream) {
    stream->span_hash =
        stream->spans ? textgen_spans_hash(stream->spans, stream->recent, stream->text.recent) : 0;
}

void textgen_stream_keep(textgen_stream *stream, int64_t token) {
    int64_t *count = &stream->text.recent;
    stream->span_hash = textgen_spans_next(stream->spans, stream->recent, *count, stream->span_hash, token);
    if (*count >= TEXTGEN_MAX_RECENT) {
        *count = TEXTGEN_MAX_COPY;
        memcpy(stream->recent, stream->recent + TEXTGEN_MAX_COPY, TEXTGEN_MAX_COPY * sizeof *stream->recent);
    }
    stream->recent[(*count)++] = (int32_t)token;
}

const float *textgen_stream_mask(const textgen_stream *stream, int64_t remaining, const float *logits,
                                 float *masked) {
    const textgen_text *text = &stream->text;
    const int64_t end = stream->shape.special.end;
    const bool endless = end >= 0 && text->since_feed < (int64_t)text->parameters.min_length;
    const bool constrained = stream->constraint && remaining;
    if (constrained || endless) {
        logits = memmove(masked, logits, stream->shape.vocabulary * sizeof *masked);
    }
    if (constrained) {
        textgen_constraint_mask(stream->constraint, text->constraint_state, remaining, masked);
    }
    if (endless) {
        masked[end] = -INFINITY;
    }
    return stream->spans ? textgen_spans_mask(stream->spans, stream->recent, text->recent, stream->span_hash,
                                              logits, masked)
                         : logits;
}

int32_t textgen_draw_error(const textgen_shape *shape, const float *logits, int64_t code, double *scratch) {
    shape->exp64->widen(logits, shape->vocabulary, scratch);
    return code == TEXTGEN_INVALID_LOGITS && textgen_argmax(scratch, shape->vocabulary, shape->exp64) >= 0
               ? TEXTGEN_NO_TOKEN
               : (int32_t)code;
}

double textgen_logprob(const textgen_shape *shape, const float *logits, int64_t token, double *scratch) {
    shape->exp64->widen(logits, shape->vocabulary, scratch);
    return scratch[token] -
           textgen_log_sum_exp(scratch, shape->vocabulary, scratch + shape->vocabulary, shape->exp64);
}

int32_t textgen_stream_probabilities(textgen_stream *stream, int32_t of_draw, double *probabilities,
                                     textgen_memory workspace, textgen_error *error) {
    const textgen_shape *shape = &stream->shape;
    textgen_workspace found;
    double sum;
    TEXTGEN_TRY(textgen_workspace_open(stream->model, workspace, 1, &found, error));
    TEXTGEN_TRY(textgen_stream_ready(stream, &found, error));
    float *masked = memcpy(found.masked, stream->logits, shape->vocabulary * sizeof *masked);
    textgen_special_mask(&shape->special, masked);
    if (of_draw) {
        textgen_stream_hash(stream);
        (void)textgen_stream_mask(stream, INT64_MAX, masked, masked);
    }
    shape->exp64->widen(masked, shape->vocabulary, found.scratch);
    const textgen_sampler_state sampler = textgen_stream_sampler(stream);
    const int32_t code =
        of_draw ? textgen_sampler_weigh(&sampler, found.scratch, shape->vocabulary, probabilities, &sum)
                : textgen_reweight(found.scratch, shape->vocabulary, 1.0, probabilities, &sum, shape->exp64);
    if (code < 0) {
        const int32_t reason = textgen_draw_error(shape, stream->logits, code, found.scratch);
        return textgen_report(error, reason, "%s", textgen_code_text(reason));
    }
    textgen_normalize(probabilities, shape->vocabulary, sum);
    return TEXTGEN_OK;
}
