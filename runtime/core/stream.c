/* textgen_stream_*: streams are created, copied and fed. */
#include "handles.h"

#include <string.h>

/* The offsets of the parts of a stream, in bytes. */
typedef struct {
    size_t state, logits, filters, workspace;
} layout;

static size_t aligned(size_t size) {
    return (size + TEXTGEN_CALLER_ALIGNMENT - 1) / TEXTGEN_CALLER_ALIGNMENT * TEXTGEN_CALLER_ALIGNMENT;
}

/* No sum overflows: the weights of the model are larger, and textgen_network_create limits the state. */
static layout find_layout(const textgen_model *model) {
    const textgen_network *network = model->network;
    layout offsets;
    offsets.state = aligned(sizeof(textgen_stream));
    offsets.logits = offsets.state + network->state_values * sizeof(float);
    offsets.filters = aligned(offsets.logits + network->vocabulary * sizeof(float));
    offsets.workspace = aligned(offsets.filters + textgen_filters_size(network->vocabulary));
    return offsets;
}

textgen_stream_parts textgen_stream_find(textgen_stream *stream) {
    const layout offsets = find_layout(stream->model);
    char *memory = (char *)stream;
    textgen_stream_parts parts = {0};
    parts.state = (void *)(memory + offsets.state);
    parts.logits = (void *)(memory + offsets.logits);
    parts.filters = (void *)(memory + offsets.filters);
    parts.workspace = memory + offsets.workspace;
    return parts;
}

size_t textgen_stream_size(const textgen_model *model) {
    size_t before, workspace;
    if (!model) {
        return 0;
    }
    before = find_layout(model).workspace;
    workspace = textgen_workspace_size(model, 1);
    return workspace && workspace <= SIZE_MAX - before ? before + workspace : 0;
}

int32_t textgen_check_memory(const void *memory, size_t size, size_t needed, const char *name,
                             const textgen_error *error) {
    if (!memory) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "%s is NULL", name);
    }
    if ((uintptr_t)memory % TEXTGEN_CALLER_ALIGNMENT) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "%s is not aligned to %d bytes", name,
                            (int)TEXTGEN_CALLER_ALIGNMENT);
    }
    if (!needed || size < needed) {
        return textgen_fail(error, TEXTGEN_BUFFER_TOO_SMALL, "%s has %zu bytes; %zu are needed", name, size,
                            needed ? needed : SIZE_MAX);
    }
    return TEXTGEN_OK;
}

/* Run the network over tokens. */
static void forward_tokens(textgen_stream *stream, const int64_t *tokens, size_t count) {
    const textgen_stream_parts parts = textgen_stream_find(stream);
    const textgen_workspace_parts workspace = textgen_workspace_find(parts.workspace, 1);
    textgen_forward(stream->model->network, tokens, count, 1, parts.state, 1, parts.logits, workspace.slots);
    stream->has_prompt = true;
}

/* Feed the begin token from the initial state. */
static void start_record(textgen_stream *stream) {
    const layout offsets = find_layout(stream->model);
    memset((char *)stream + offsets.state, 0, offsets.logits - offsets.state);
    forward_tokens(stream, &stream->model->network->special.begin, 1);
    stream->ended = false;
}

int32_t textgen_stream_init(void *memory, size_t size, const textgen_model *model,
                            const textgen_sampling *sampling, textgen_stream **stream, char *error,
                            size_t error_size) {
    const textgen_error message = {error, error_size};
    textgen_stream_sampling known;
    textgen_stream *created = memory;
    int32_t result;
    if (!model || !stream) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "%s is NULL", model ? "stream" : "model");
    }
    result = textgen_check_memory(memory, size, textgen_stream_size(model), "memory", &message);
    if (result == TEXTGEN_OK) {
        result = textgen_sampling_read(sampling, model, &known, &message);
    }
    if (result < 0) {
        return result;
    }
    memset(memory, 0, find_layout(model).workspace);
    created->model = model;
    textgen_sampling_apply(created, &known, true);
    if (model->network->special.begin >= 0) {
        start_record(created);
    }
    *stream = created;
    return TEXTGEN_OK;
}

int32_t textgen_stream_copy(const textgen_stream *stream, void *memory, size_t size, textgen_stream **copy,
                            char *error, size_t error_size) {
    const textgen_error message = {error, error_size};
    int32_t result;
    if (!stream || !copy) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "%s is NULL", stream ? "copy" : "stream");
    }
    result = textgen_check_memory(memory, size, textgen_stream_size(stream->model), "memory", &message);
    if (result < 0) {
        return result;
    }
    memmove(memory, stream, find_layout(stream->model).workspace);
    *copy = memory;
    return TEXTGEN_OK;
}

int32_t textgen_stream_set_sampling(textgen_stream *stream, const textgen_sampling *sampling, char *error,
                                    size_t error_size) {
    const textgen_error message = {error, error_size};
    textgen_stream_sampling known;
    int32_t result;
    if (!stream || !sampling) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "%s is NULL", stream ? "sampling" : "stream");
    }
    result = textgen_sampling_read(sampling, stream->model, &known, &message);
    if (result == TEXTGEN_OK) {
        textgen_sampling_apply(stream, &known, false);
    }
    return result;
}

/* Run the network over the tokens of a text that was checked before. */
static void forward_text(textgen_stream *stream, const char *text, size_t size) {
    const textgen_model *model = stream->model;
    const textgen_stream_parts parts = textgen_stream_find(stream);
    const textgen_workspace_parts workspace = textgen_workspace_find(parts.workspace, 1);
    const textgen_error none = {NULL, 0};
    textgen_encoder encoder = {text, size, 0};
    size_t count = 0;
    bool more;
    do {
        more = textgen_encode_next(model->vocabulary, &encoder, &workspace.tokens[count], &none) > 0;
        count += more;
        if (count == TEXTGEN_CHUNK || (count > 0 && !more)) {
            forward_tokens(stream, workspace.tokens, count);
            count = 0;
        }
    } while (more);
}

int32_t textgen_stream_feed(textgen_stream *stream, const char *text, size_t size, char *error,
                            size_t error_size) {
    const textgen_error message = {error, error_size};
    textgen_encoder encoder = {text, size, 0};
    int64_t token;
    int32_t result;
    if (!stream || (!text && size)) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "%s is NULL", stream ? "text" : "stream");
    }
    if (size > (size_t)PTRDIFF_MAX) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "size is %zu, which is larger than any buffer",
                            size);
    }
    do {
        result = size ? textgen_encode_next(stream->model->vocabulary, &encoder, &token, &message) : TEXTGEN_OK;
    } while (result > 0);
    if (result == TEXTGEN_OK) {
        stream->stop_state = stream->stop_reached = stream->drawn = 0;
        stream->stopped = false;
    }
    if (result == TEXTGEN_OK && stream->ended) {
        start_record(stream);
    }
    if (result == TEXTGEN_OK && size) {
        forward_text(stream, text, size);
    }
    return result;
}

int32_t textgen_stream_ended(const textgen_stream *stream) { return stream && stream->ended; }

int32_t textgen_stream_stopped(const textgen_stream *stream, size_t *bytes) {
    size_t found = 0;
    if (stream) {
        const textgen_stops stops = {stream->stop_texts.states, 0};
        const textgen_stop_state *reached = &stops.states[stream->stop_reached];
        const size_t tokens = stream->stopped ? reached->matched : reached->pending;
        found = stops.states[textgen_stops_suffix(&stops, stream->stop_reached, tokens)].bytes;
    }
    if (bytes) {
        *bytes = found;
    }
    return stream && stream->stopped;
}
