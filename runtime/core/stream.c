/* Streams are created and fed; workspaces. */
#include "text.h"

#include <string.h>

/* No sum overflows: what a model has limits the state and the vocabulary. */
size_t textgen_stream_size(const textgen_model *model) { return textgen_stream_bytes(&model->shape); }

/* ---- Workspaces ---- */

/* Find the parts of a workspace, or only count its bytes if `memory` is NULL. */
static textgen_workspace find_workspace(const textgen_model *model, void *memory, size_t lanes) {
    char *start = textgen_align(memory);
    const size_t vocabulary = model->shape.vocabulary, at_once = TEXTGEN_LANES(lanes);
    textgen_workspace found;
    uint64_t used = 0;
    found.running = textgen_part(start, &used, lanes * sizeof *found.running);
    found.drawn = textgen_part(start, &used, lanes * sizeof *found.drawn);
    found.scratch = textgen_part(start, &used, textgen_sampler_scratch(vocabulary) * sizeof *found.scratch);
    found.masked = textgen_part(start, &used, vocabulary * sizeof *found.masked);
    found.slots =
        textgen_part(start, &used, model->network ? textgen_slots_size(model->network, at_once, 1) : 0);
    found.bytes = (size_t)used + TEXTGEN_PART_ALIGNMENT;
    return found;
}

size_t textgen_workspace_size(const textgen_model *model, size_t lanes) {
    /* Several lanes need no more bytes per lane than one. */
    return !lanes || lanes > PTRDIFF_MAX / find_workspace(model, NULL, 1).bytes
               ? 0
               : find_workspace(model, NULL, lanes).bytes;
}

int32_t textgen_workspace_open(const textgen_model *model, textgen_memory memory, size_t lanes,
                               textgen_workspace *workspace, textgen_error *error) {
    TEXTGEN_TRY(textgen_check_memory(memory, textgen_workspace_size(model, lanes), "workspace", error));
    *workspace = find_workspace(model, memory.data, lanes);
    return TEXTGEN_OK;
}

/* ---- Feeding ---- */

/* Let the next tokens begin new stop texts and a new constraint. Nothing is held back any more. */
static void begin_text(textgen_stream *stream) {
    textgen_text *text = &stream->text;
    text->ending = text->since_feed = text->constraint_state = text->held = text->recent = 0;
}

/* Begin a text from the initial state, after the begin token if there is one. */
static int32_t start(textgen_stream *stream, void *slots, textgen_error *error) {
    const int64_t begin = stream->shape.special.begin;
    begin_text(stream);
    stream->text.is_fed = 0;
    memset(stream->state, 0, stream->shape.state_values * sizeof(float));
    return textgen_stream_forward(stream, &begin, begin >= 0, slots, error);
}

/* Begin a text as a feed tells: see textgen_stream_feed_tokens. */
static int32_t begin_fed(textgen_stream *stream, int32_t how, void *slots, textgen_error *error) {
    textgen_text *text = &stream->text;
    const bool is_new = !text->is_fed && stream->shape.special.begin >= 0;
    if (how == TEXTGEN_FEED_START || is_new ||
        (how == TEXTGEN_FEED_TEXT && text->ending == TEXTGEN_REACHED_END)) {
        return start(stream, slots, error);
    }
    if (how == TEXTGEN_FEED_TEXT) {
        begin_text(stream);
    }
    return TEXTGEN_OK;
}

static int32_t fail_without_prompt(textgen_error *error) {
    return textgen_fail(error, TEXTGEN_NO_PROMPT, "%s", textgen_code_text(TEXTGEN_NO_PROMPT));
}

int32_t textgen_stream_ready(textgen_stream *stream, const textgen_workspace *workspace, textgen_error *error) {
    if (stream->text.is_fed) {
        return TEXTGEN_OK;
    }
    return stream->shape.special.begin >= 0 ? start(stream, workspace->slots, error)
                                            : fail_without_prompt(error);
}

int32_t textgen_stream_feed(textgen_stream *stream, const char *text, size_t size, textgen_memory workspace,
                            textgen_error *error) {
    enum { TOKENS_AT_ONCE = 512 };
    const textgen_model *model = stream->model;
    textgen_encoder encoder = {text, size, 0, 0};
    textgen_workspace found;
    int64_t tokens[TOKENS_AT_ONCE];
    size_t count;
    bool more = true;
    TEXTGEN_TRY(textgen_workspace_open(model, workspace, 1, &found, error));
    TEXTGEN_TRY(textgen_encode(model, text, size, 0, NULL, &count, error));
    TEXTGEN_TRY(begin_fed(stream, TEXTGEN_FEED_TEXT, found.slots, error));
    while (more) {
        for (count = 0; more && count < TOKENS_AT_ONCE; count += more) {
            more = textgen_encode_next(model->vocabulary, &encoder, &tokens[count], error) > 0;
        }
        TEXTGEN_TRY(textgen_stream_forward(stream, tokens, count, found.slots, error));
    }
    return TEXTGEN_OK;
}

int32_t textgen_stream_feed_tokens(textgen_stream *stream, const int64_t *tokens, size_t count, int32_t how,
                                   double *logprobs, textgen_memory workspace, textgen_error *error) {
    textgen_workspace found;
    TEXTGEN_TRY(textgen_workspace_open(stream->model, workspace, 1, &found, error));
    TEXTGEN_TRY(textgen_check_tokens(stream->model, tokens, count, error));
    if (logprobs && stream->shape.special.begin < 0 && (!stream->text.is_fed || how == TEXTGEN_FEED_START)) {
        return fail_without_prompt(error);
    }
    TEXTGEN_TRY(begin_fed(stream, how, found.slots, error));
    if (!logprobs) {
        return textgen_stream_forward(stream, tokens, count, found.slots, error);
    }
    for (size_t i = 0; i < count; i++) {
        logprobs[i] = textgen_logprob(&stream->shape, stream->logits, tokens[i], found.scratch);
        TEXTGEN_TRY(textgen_stream_forward(stream, &tokens[i], 1, found.slots, error));
    }
    return TEXTGEN_OK;
}
