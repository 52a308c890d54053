#include "handles.h"

#include <string.h>

/* No object is larger. */
#define MAX_BYTES ((size_t)PTRDIFF_MAX)

#define ERROR_LINE 256

textgen_workspace_parts textgen_workspace_find(void *workspace, size_t lanes) {
    textgen_workspace_parts parts;
    parts.tokens = workspace;
    parts.lanes = (void *)(parts.tokens + lanes * TEXTGEN_CHUNK);
    parts.slots = parts.lanes + lanes;
    return parts;
}

size_t textgen_workspace_size(const textgen_model *model, size_t lanes) {
    const size_t own = TEXTGEN_CHUNK * sizeof(int64_t) + sizeof(textgen_run_lane);
    size_t one;
    if (!model || !lanes) {
        return 0;
    }
    /* Lanes that are together need no more than apart. */
    one = textgen_slots_size(model->network, 1, 1);
    if (lanes > MAX_BYTES / (one + own)) {
        return 0;
    }
    return lanes * own + textgen_slots_size(model->network, lanes, 1);
}

/* The caller's lanes lie as far apart as the caller's version of the structure is large. */
static textgen_lane *lane_at(textgen_lane *lanes, size_t index) {
    return (void *)((char *)lanes + index * lanes->struct_size);
}

static void release_lanes(textgen_lane *lanes, size_t count) {
    size_t i;
    for (i = 0; i < count; i++) {
        lane_at(lanes, i)->stream->remaining = 0;
    }
}

static int32_t check_lane(const textgen_lane *lane, const textgen_error *error) {
    const textgen_stream *stream = lane->stream;
    size_t symbol_bytes;
    if (!stream || !lane->text) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "%s is NULL", stream ? "text" : "stream");
    }
    if (lane->reserved) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "reserved is not 0");
    }
    if (!lane->length) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "length is 0: it must be 1 or more");
    }
    symbol_bytes = textgen_vocabulary_symbol_bytes(stream->model->vocabulary);
    if (lane->length > MAX_BYTES / (symbol_bytes + 1)) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "length is %zu: no text can be so long",
                            lane->length);
    }
    if (lane->size < lane->length * symbol_bytes + 1) {
        return textgen_fail(error, TEXTGEN_BUFFER_TOO_SMALL, "text has room for %zu bytes: %zu are needed",
                            lane->size, lane->length * symbol_bytes + 1);
    }
    if (!stream->has_prompt) {
        return textgen_fail(error, TEXTGEN_NO_PROMPT, "the stream was fed nothing yet: feed it a prompt");
    }
    return TEXTGEN_OK;
}

/* Check a lane of a call beside the first one, and mark its stream as part of the call. */
static int32_t claim_lane(textgen_lane *lane, const textgen_lane *first, const textgen_error *error) {
    textgen_lane known;
    int32_t result = textgen_read_struct(lane, TEXTGEN_FIELDS_END(textgen_lane, reserved), &known, sizeof known,
                                         "textgen_lane", error);
    if (result == TEXTGEN_OK) {
        result = check_lane(&known, error);
    }
    if (result < 0) {
        return result;
    }
    if (known.struct_size != first->struct_size) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "struct_size is %zu, but %zu in lane 0",
                            known.struct_size, first->struct_size);
    }
    if (known.stream->model != first->stream->model) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "its stream is not of the model of lane 0");
    }
    if (known.stream->remaining) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "its stream is in an earlier lane too");
    }
    known.stream->remaining = (int64_t)known.length;
    return TEXTGEN_OK;
}

/* Claim all lanes, or none. */
static int32_t claim_lanes(textgen_lane *lanes, size_t count, const textgen_error *error) {
    char line[ERROR_LINE];
    const textgen_error where = {line, sizeof line};
    size_t i;
    for (i = 0; i < count; i++) {
        const int32_t result = claim_lane(lane_at(lanes, i), lanes, &where);
        if (result < 0) {
            release_lanes(lanes, i);
            return textgen_fail(error, result, "lane %zu: %s", i, line);
        }
    }
    return TEXTGEN_OK;
}

/* Describe the lanes that go on, in their order; returns how many. */
static size_t begin_chunk(textgen_lane *lanes, size_t count, const textgen_workspace_parts *room) {
    size_t active = 0, i;
    for (i = 0; i < count; i++) {
        textgen_stream *stream = lane_at(lanes, i)->stream;
        if (stream->remaining) {
            const textgen_stream_parts parts = textgen_stream_find(stream);
            textgen_run_lane *lane = &room->lanes[active];
            lane->sampler = &stream->sampler;
            memcpy(lane->state, parts.state, sizeof lane->state);
            lane->logits = parts.logits;
            lane->tokens = room->tokens + active * TEXTGEN_CHUNK;
            lane->length = stream->remaining;
            lane->generated = 0;
            lane->ending = TEXTGEN_RUNNING;
            active++;
        }
    }
    return active;
}

static void end_lane(textgen_lane *lane, int64_t fault) {
    textgen_stream *stream = lane->stream;
    stream->remaining = 0;
    stream->fault = fault;
    lane->result = TEXTGEN_OK;
    if (fault) {
        lane->result = fault == TEXTGEN_USED_UP ? TEXTGEN_RNG_EXHAUSTED : TEXTGEN_INVALID_LOGITS;
    }
}

/* Write the text of what was drawn, and end the lanes that have all or failed. */
static void end_chunk(textgen_lane *lanes, size_t count, const textgen_workspace_parts *room) {
    const textgen_run_lane *made = room->lanes;
    size_t i;
    for (i = 0; i < count; i++) {
        textgen_lane *lane = lane_at(lanes, i);
        textgen_stream *stream = lane->stream;
        int64_t t;
        if (!stream->remaining) {
            continue;
        }
        for (t = 0; t < made->generated; t++) {
            lane->written +=
                textgen_decode_token(stream->model->vocabulary, made->tokens[t], lane->text + lane->written);
        }
        lane->text[lane->written] = '\0';
        stream->remaining -= made->generated;
        if (made->ending != TEXTGEN_RUNNING) {
            end_lane(lane, made->ending < 0 ? made->ending : 0);
        }
        made++;
    }
}

static void run_lanes(textgen_lane *lanes, size_t count, void *workspace) {
    const textgen_network *network = lanes->stream->model->network;
    const textgen_workspace_parts room = textgen_workspace_find(workspace, count);
    size_t active, i;
    for (i = 0; i < count; i++) {
        lane_at(lanes, i)->written = 0;
    }
    while ((active = begin_chunk(lanes, count, &room)) > 0) {
        textgen_run(network, room.lanes, active, TEXTGEN_CHUNK, room.slots, NULL);
        end_chunk(lanes, count, &room);
    }
}

int32_t textgen_generate(textgen_lane *lanes, size_t count, void *workspace, size_t workspace_size, char *error,
                         size_t error_size) {
    const textgen_error where = {error, error_size};
    size_t needed, i;
    int32_t result;
    if (!lanes || !count) {
        return textgen_fail(&where, TEXTGEN_INVALID_ARGUMENT, lanes ? "count is 0" : "lanes is NULL");
    }
    result = claim_lanes(lanes, count, &where);
    if (result < 0) {
        return result;
    }
    needed = textgen_workspace_size(lanes->stream->model, count);
    result = textgen_check_memory(workspace, workspace_size, needed, "workspace", &where);
    if (result < 0) {
        release_lanes(lanes, count);
        return result;
    }
    run_lanes(lanes, count, workspace);
    for (i = 0; i < count; i++) {
        const textgen_lane *lane = lane_at(lanes, i);
        if (lane->result < 0) {
            return textgen_fail(&where, TEXTGEN_LANE_FAILED, "lane %zu: %s", i,
                                textgen_fault_text(lane->stream->fault));
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_stream_generate(textgen_stream *stream, size_t length, char *text, size_t size, size_t *written,
                                char *error, size_t error_size) {
    const textgen_error where = {error, error_size};
    textgen_lane lane = {0};
    int32_t result;
    lane.struct_size = sizeof lane;
    lane.stream = stream;
    lane.length = length;
    lane.text = text;
    lane.size = size;
    result = check_lane(&lane, &where);
    if (result < 0) {
        return result;
    }
    stream->remaining = (int64_t)length;
    run_lanes(&lane, 1, textgen_stream_find(stream).workspace);
    if (written) {
        *written = lane.written;
    }
    if (lane.result < 0) {
        return textgen_fail(&where, lane.result, "%s", textgen_fault_text(stream->fault));
    }
    return TEXTGEN_OK;
}
