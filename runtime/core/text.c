/* The block of a stream, and the distribution of the next token. */
#include "text.h"

#include <string.h>

/* Saved texts are the same bytes everywhere, so that no part may have padding. */
_Static_assert(sizeof(textgen_rng) == 10 * 8, "padding");
_Static_assert(sizeof(textgen_text) == (TEXTGEN_PARAMETER_COUNT + 10 + 7) * 8, "padding");
_Static_assert(sizeof(textgen_filters) == 4 * 8 + TEXTGEN_MAX_PENALTY_WINDOW * 4, "padding");

/* ---- The block ---- */

/* Find the parts behind the start of a stream. Return the bytes of all. Each part is aligned to 8 bytes. */
static size_t find_parts(textgen_stream *stream, const textgen_shape *shape, bool is_sampler) {
    const size_t bytes[] = {(shape->state_values + shape->vocabulary + 1) / 2 * 8,
                            is_sampler ? 0 : TEXTGEN_MAX_HELD * sizeof(int32_t),
                            textgen_filters_size(shape->vocabulary),
                            is_sampler ? 0 : TEXTGEN_MAX_RECENT * sizeof(int32_t),
                            is_sampler ? 0 : (TEXTGEN_STOP_NUMBERS + 1) / 2 * 8};
    size_t start[6] = {sizeof *stream};
    for (size_t i = 0; i < 5; i++) {
        start[i + 1] = start[i] + bytes[i];
    }
    if (stream) {
        char *memory = (char *)stream;
        stream->state = (void *)(memory + start[0]);
        stream->logits = stream->state + shape->state_values;
        stream->held = (void *)(memory + start[1]);
        stream->filters = (void *)(memory + start[2]);
        stream->recent = (void *)(memory + start[3]);
        stream->stops = (void *)(memory + start[4]);
    }
    return start[5];
}

size_t textgen_stream_bytes(const textgen_shape *shape, bool is_sampler) {
    return find_parts(NULL, shape, is_sampler);
}

textgen_stream *textgen_stream_place(void *memory, const textgen_shape *shape, const textgen_model *model) {
    const textgen_uint128 unseeded = {0, 0};
    textgen_stream *created = memset(memory, 0, textgen_stream_bytes(shape, !model));
    created->model = model;
    created->shape = *shape;
    find_parts(created, shape, !model);
    created->text.parameters = textgen_parameters_default;
    textgen_rng_init(&created->text.rng, unseeded, 0);
    return created;
}

int32_t textgen_stream_copy(const textgen_stream *stream, textgen_memory memory, textgen_stream **copy,
                            textgen_error *error) {
    const size_t size = textgen_stream_size(stream->model);
    TEXTGEN_TRY(textgen_check_memory(memory, size, "memory", error));
    textgen_stream *copied = memmove(memory.data, stream, size);
    find_parts(copied, &copied->shape, false);
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

/* The limits of the second byte are those of the Unicode Standard, table 3-7. */
int64_t textgen_incomplete_bytes(const int32_t *tokens, int64_t count) {
    for (int64_t size = 1; size <= 3 && size <= count; size++) {
        const int32_t *bytes = tokens + count - size, first = *bytes;
        if (first < 0x80 || first > 0xBF) {
            const int64_t needed = first < 0xC2 || first > 0xF4 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
            const int32_t least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
            const int32_t most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
            return size < needed && (size == 1 || (bytes[1] >= least && bytes[1] <= most)) ? size : 0;
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

const float *textgen_stream_mask(const textgen_stream *stream, int64_t drawn, int64_t remaining,
                                 uint64_t span_hash, const float *logits, float *masked) {
    const textgen_text *text = &stream->text;
    const int64_t end = stream->shape.special.end;
    const bool endless = end >= 0 && text->since_feed + drawn < (int64_t)text->parameters.min_length;
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
    return stream->spans
               ? textgen_spans_mask(stream->spans, stream->recent, text->recent, span_hash, logits, masked)
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
    const textgen_text *text = &stream->text;
    textgen_workspace found;
    double sum;
    TEXTGEN_TRY(textgen_workspace_open(stream->model, workspace, 1, &found, error));
    TEXTGEN_TRY(textgen_stream_ready(stream, &found, error));
    float *masked = memcpy(found.masked, stream->logits, shape->vocabulary * sizeof *masked);
    textgen_special_mask(&shape->special, masked);
    if (of_draw) {
        const uint64_t hash =
            stream->spans ? textgen_spans_hash(stream->spans, stream->recent, text->recent) : 0;
        (void)textgen_stream_mask(stream, 0, INT64_MAX, hash, masked, masked);
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
