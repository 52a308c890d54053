/* textgen_stream_*: handles of texts are created, copied, changed and fed. Their blocks: see text.h. */
#include "handles.h"

#include <string.h>

textgen_text *textgen_stream_text(const textgen_stream *stream) {
    return (void *)((char *)stream + textgen_aligned(sizeof *stream));
}

/* The bytes before the workspace, where nothing is kept between calls. No sum overflows: the weights of the
 * model are larger, and textgen_network_create limits the state. */
static size_t kept_bytes(const textgen_model *model) {
    return textgen_aligned(sizeof(textgen_stream)) + textgen_aligned(textgen_text_size(&model->shape));
}

void *textgen_stream_workspace(textgen_stream *stream) { return (char *)stream + kept_bytes(stream->model); }

textgen_guide textgen_stream_guide(const textgen_stream *stream) {
    return (textgen_guide){stream->stop_texts.count > 1 ? stream->stop_texts.states : NULL, stream->constraint,
                           stream->spans};
}

size_t textgen_stream_size(const textgen_model *model) {
    if (!model) {
        return 0;
    }
    const size_t before = kept_bytes(model);
    const size_t workspace = textgen_workspace_size(model, 1);
    return workspace && workspace <= SIZE_MAX - before ? before + workspace : 0;
}

void textgen_stream_forward(textgen_stream *stream, const int64_t *tokens, size_t count) {
    const textgen_text_parts parts = textgen_text_find(&stream->model->shape, textgen_stream_text(stream));
    const textgen_workspace_parts workspace = textgen_workspace_find(textgen_stream_workspace(stream), 1);
    textgen_forward(stream->model->network, tokens, count, 1, parts.state, 1, parts.logits, workspace.slots);
    textgen_special_mask(&stream->model->shape.special, parts.logits);
}

/* Feed the begin token from the initial state. */
static void start_record(textgen_stream *stream) {
    textgen_text_feed(&stream->model->shape, textgen_stream_text(stream), true);
    textgen_stream_forward(stream, &stream->model->shape.special.begin, 1);
}

void textgen_stream_begin_text(textgen_stream *stream) {
    textgen_text *text = textgen_stream_text(stream);
    if (text->at_end) {
        start_record(stream);
    } else {
        textgen_text_feed(&stream->model->shape, text, false);
    }
}

int32_t textgen_stream_check(const void *memory, size_t size, const textgen_model *model,
                             const textgen_sampling *sampling, textgen_stream_sampling *read,
                             textgen_error *error) {
    TEXTGEN_TRY(textgen_check_memory(memory, size, textgen_stream_size(model), "memory", error));
    return textgen_sampling_read(sampling, model, read, error);
}

textgen_stream *textgen_stream_place(void *memory, const textgen_model *model,
                                     const textgen_stream_sampling *read) {
    const textgen_uint128 unseeded = {0, 0};
    textgen_stream *created = memory;
    memset(memory, 0, kept_bytes(model));
    created->model = model;
    textgen_text_init(&model->shape, textgen_stream_text(created), unseeded, 0);
    textgen_sampling_apply(created, read, true);
    return created;
}

int32_t textgen_stream_init(void *memory, size_t size, const textgen_model *model,
                            const textgen_sampling *sampling, textgen_stream **stream, char *error,
                            size_t error_size) {
    textgen_error message = {error, error_size};
    TEXTGEN_TRY(textgen_check_pointer(model, "model", &message));
    TEXTGEN_TRY(textgen_check_pointer(stream, "stream", &message));
    textgen_stream_sampling read;
    TEXTGEN_TRY(textgen_stream_check(memory, size, model, sampling, &read, &message));
    *stream = textgen_stream_place(memory, model, &read);
    if (model->shape.special.begin >= 0) {
        start_record(*stream);
    }
    return TEXTGEN_OK;
}

int32_t textgen_stream_copy(const textgen_stream *stream, void *memory, size_t size, textgen_stream **copy,
                            char *error, size_t error_size) {
    textgen_error message = {error, error_size};
    TEXTGEN_TRY(textgen_check_pointer(stream, "stream", &message));
    TEXTGEN_TRY(textgen_check_pointer(copy, "copy", &message));
    TEXTGEN_TRY(textgen_check_memory(memory, size, textgen_stream_size(stream->model), "memory", &message));
    memmove(memory, stream, kept_bytes(stream->model));
    *copy = memory;
    return TEXTGEN_OK;
}

int32_t textgen_stream_set_sampling(textgen_stream *stream, const textgen_sampling *sampling, char *error,
                                    size_t error_size) {
    textgen_error message = {error, error_size};
    TEXTGEN_TRY(textgen_check_pointer(stream, "stream", &message));
    TEXTGEN_TRY(textgen_check_pointer(sampling, "sampling", &message));
    textgen_stream_sampling read;
    TEXTGEN_TRY(textgen_sampling_read(sampling, stream->model, &read, &message));
    textgen_sampling_apply(stream, &read, false);
    return TEXTGEN_OK;
}

int64_t textgen_stream_check_text(const textgen_stream *stream, const char *text, size_t size,
                                  textgen_error *error) {
    textgen_encoder encoder = {text, size, 0};
    int64_t count = 0;
    int32_t result = size > 0;
    if (size) {
        TEXTGEN_TRY(textgen_check_data(text, size, "text", "size", error));
    }
    while (result > 0) {
        int64_t token;
        result = textgen_encode_next(stream->model->vocabulary, &encoder, &token, error);
        count += result > 0;
    }
    return result < 0 ? result : count;
}

/* Run the network over the tokens of a text that was checked before. */
static void forward_text(textgen_stream *stream, const char *text, size_t size) {
    const textgen_model *model = stream->model;
    const textgen_workspace_parts workspace = textgen_workspace_find(textgen_stream_workspace(stream), 1);
    textgen_error none = {NULL, 0};
    textgen_encoder encoder = {text, size, 0};
    size_t count = 0;
    bool more;
    do {
        more = textgen_encode_next(model->vocabulary, &encoder, &workspace.tokens[count], &none) > 0;
        count += more;
        if (count == TEXTGEN_CHUNK || (count > 0 && !more)) {
            textgen_stream_forward(stream, workspace.tokens, count);
            count = 0;
        }
    } while (more);
}

int32_t textgen_stream_feed(textgen_stream *stream, const char *text, size_t size, char *error,
                            size_t error_size) {
    textgen_error message = {error, error_size};
    TEXTGEN_TRY(textgen_check_pointer(stream, "stream", &message));
    const int64_t count = textgen_stream_check_text(stream, text, size, &message);
    if (count < 0) {
        return (int32_t)count;
    }
    if (count || textgen_stream_text(stream)->is_fed) {
        textgen_stream_begin_text(stream);
    }
    if (count) {
        forward_text(stream, text, size);
    }
    return TEXTGEN_OK;
}

int32_t textgen_public_ending(const textgen_text *text, int64_t ending) {
    return ending != TEXTGEN_MASKED_END ? (int32_t)ending
           : text->at_end               ? TEXTGEN_REACHED_END
                                        : TEXTGEN_CONSTRAINT_END;
}

int32_t textgen_stream_ending(const textgen_stream *stream) {
    const textgen_text *text = stream ? textgen_stream_text(stream) : NULL;
    return text ? textgen_public_ending(text, text->ending) : TEXTGEN_CONTINUES;
}

int32_t textgen_check_fed(const textgen_stream *stream, textgen_error *error) {
    return textgen_stream_text(stream)->is_fed
               ? TEXTGEN_OK
               : textgen_fail(error, TEXTGEN_NO_PROMPT,
                              "the stream has no prompt: call textgen_stream_feed first");
}
