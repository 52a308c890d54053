/* textgen_generate and textgen_stream_generate: lanes are checked, generated, and their tokens decoded. */
#include "handles.h"

#include <string.h>

/* The largest size of an object. */
#define MAX_BYTES ((size_t)PTRDIFF_MAX)

#define MESSAGE_SIZE 256

textgen_workspace_parts textgen_workspace_find(void *workspace, size_t lanes) {
    textgen_workspace_parts parts;
    parts.tokens = workspace;
    parts.lanes = (void *)(parts.tokens + lanes * TEXTGEN_CHUNK);
    parts.slots = parts.lanes + lanes;
    return parts;
}

size_t textgen_workspace_size(const textgen_model *model, size_t lanes) {
    const size_t lane_bytes = TEXTGEN_CHUNK * sizeof(int64_t) + sizeof(textgen_token_lane);
    size_t slot_bytes;
    if (!model || !lanes) {
        return 0;
    }
    /* Slots for several lanes need no more bytes per lane than slots for one. */
    slot_bytes = textgen_slots_size(model->network, 1, 1);
    if (lanes > MAX_BYTES / (slot_bytes + lane_bytes)) {
        return 0;
    }
    return lanes * lane_bytes + textgen_slots_size(model->network, lanes, 1);
}

/* The size of a lane depends on the caller's version of the structure. */
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
    if (!lane->length) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "length must be 1 or more, not 0");
    }
    symbol_bytes = textgen_vocabulary_symbol_bytes(stream->model->vocabulary);
    if (lane->length > MAX_BYTES / (symbol_bytes + 1)) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "length is %zu, which is too large", lane->length);
    }
    if (lane->size < lane->length * symbol_bytes + 1) {
        return textgen_fail(error, TEXTGEN_BUFFER_TOO_SMALL, "text has %zu bytes; %zu are needed", lane->size,
                            lane->length * symbol_bytes + 1);
    }
    if (!stream->has_prompt) {
        return textgen_fail(error, TEXTGEN_NO_PROMPT,
                            "the stream has no prompt: call textgen_stream_feed first");
    }
    return TEXTGEN_OK;
}

/* Check a lane against the first one, and mark its stream as in use by this call. */
static int32_t claim_lane(textgen_lane *lane, const textgen_lane *first, const textgen_error *error) {
    textgen_lane known;
    int32_t result = textgen_read_struct(lane, TEXTGEN_FIELDS_END(textgen_lane, ended), &known, sizeof known,
                                         "textgen_lane", error);
    if (result == TEXTGEN_OK) {
        result = check_lane(&known, error);
    }
    if (result < 0) {
        return result;
    }
    if (known.struct_size != first->struct_size) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "struct_size is %zu, but it is %zu in lane 0",
                            known.struct_size, first->struct_size);
    }
    if (known.stream->model != first->stream->model) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "the stream has another model than the stream of lane 0");
    }
    if (known.stream->remaining) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "the stream is also in an earlier lane");
    }
    known.stream->remaining = (int64_t)known.length;
    return TEXTGEN_OK;
}

/* Claim all lanes, or none. */
static int32_t claim_lanes(textgen_lane *lanes, size_t count, const textgen_error *error) {
    char text[MESSAGE_SIZE];
    const textgen_error message = {text, sizeof text};
    size_t i;
    for (i = 0; i < count; i++) {
        const int32_t result = claim_lane(lane_at(lanes, i), lanes, &message);
        if (result < 0) {
            release_lanes(lanes, i);
            return textgen_fail(error, result, "lane %zu: %s", i, text);
        }
    }
    return TEXTGEN_OK;
}

/* Prepare the lanes that still run, in order. Return their number. */
static size_t begin_chunk(textgen_lane *lanes, size_t count, const textgen_workspace_parts *workspace) {
    size_t active = 0, i;
    for (i = 0; i < count; i++) {
        textgen_stream *stream = lane_at(lanes, i)->stream;
        if (stream->remaining) {
            const textgen_stream_parts parts = textgen_stream_find(stream);
            textgen_token_lane *lane = &workspace->lanes[active];
            memset(lane, 0, sizeof *lane);
            stream->sampler.filters = stream->filtered ? parts.filters : NULL;
            stream->stops.states = stream->stop_texts.states;
            lane->stops = stream->stop_texts.count > 1 ? &stream->stops : NULL;
            lane->stop_state = lane->stop_reached = stream->stop_state;
            lane->sampler = &stream->sampler;
            lane->state = parts.state;
            lane->logits = parts.logits;
            lane->tokens = workspace->tokens + active * TEXTGEN_CHUNK;
            lane->length = stream->remaining;
            lane->min_length = (int64_t)stream->sampler.parameters.min_length - stream->drawn;
            active++;
        }
    }
    return active;
}

static void end_lane(textgen_lane *lane, int64_t sampler_error) {
    textgen_stream *stream = lane->stream;
    stream->remaining = 0;
    stream->sampler_error = sampler_error;
    lane->ended = stream->ended;
    lane->result = TEXTGEN_OK;
    if (sampler_error) {
        lane->result =
            sampler_error == TEXTGEN_SAMPLER_EXHAUSTED ? TEXTGEN_RNG_EXHAUSTED : TEXTGEN_INVALID_LOGITS;
    }
}

/* Decode the drawn tokens, and end the lanes that are complete or failed. */
static void end_chunk(textgen_lane *lanes, size_t count, const textgen_workspace_parts *workspace) {
    const textgen_token_lane *token_lane = workspace->lanes;
    size_t i;
    for (i = 0; i < count; i++) {
        textgen_lane *lane = lane_at(lanes, i);
        textgen_stream *stream = lane->stream;
        int64_t t;
        if (!stream->remaining) {
            continue;
        }
        for (t = 0; t < token_lane->generated; t++) {
            lane->written += textgen_decode_token(stream->model->vocabulary, token_lane->tokens[t],
                                                  lane->text + lane->written);
        }
        lane->text[lane->written] = '\0';
        stream->remaining -= token_lane->generated;
        stream->drawn += token_lane->generated;
        stream->ended = token_lane->ending == TEXTGEN_REACHED_END;
        stream->stopped = token_lane->ending == TEXTGEN_REACHED_STOP;
        stream->stop_state = token_lane->stop_state;
        stream->stop_reached = token_lane->stop_reached;
        if (token_lane->ending != TEXTGEN_RUNNING) {
            end_lane(lane, token_lane->ending < 0 ? token_lane->ending : 0);
        }
        token_lane++;
    }
}

static void run_lanes(textgen_lane *lanes, size_t count, void *workspace) {
    const textgen_network *network = lanes->stream->model->network;
    const textgen_workspace_parts parts = textgen_workspace_find(workspace, count);
    size_t active, i;
    for (i = 0; i < count; i++) {
        textgen_lane *lane = lane_at(lanes, i);
        lane->written = 0;
        lane->text[0] = '\0';
        if (lane->stream->ended) {
            end_lane(lane, 0);
        }
    }
    while ((active = begin_chunk(lanes, count, &parts)) > 0) {
        textgen_generate_tokens(network, parts.lanes, active, TEXTGEN_CHUNK, parts.slots, NULL);
        end_chunk(lanes, count, &parts);
    }
}

int32_t textgen_generate(textgen_lane *lanes, size_t count, void *workspace, size_t workspace_size, char *error,
                         size_t error_size) {
    const textgen_error message = {error, error_size};
    size_t needed, i;
    int32_t result;
    if (!lanes || !count) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT,
                            lanes ? "count must be 1 or more, not 0" : "lanes is NULL");
    }
    result = claim_lanes(lanes, count, &message);
    if (result < 0) {
        return result;
    }
    needed = textgen_workspace_size(lanes->stream->model, count);
    result = textgen_check_memory(workspace, workspace_size, needed, "workspace", &message);
    if (result < 0) {
        release_lanes(lanes, count);
        return result;
    }
    run_lanes(lanes, count, workspace);
    for (i = 0; i < count; i++) {
        const textgen_lane *lane = lane_at(lanes, i);
        if (lane->result < 0) {
            return textgen_fail(&message, TEXTGEN_LANE_FAILED, "lane %zu: %s", i,
                                textgen_sampler_error_text(lane->stream->sampler_error));
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_stream_generate(textgen_stream *stream, size_t length, char *text, size_t size, size_t *written,
                                char *error, size_t error_size) {
    const textgen_error message = {error, error_size};
    textgen_lane lane = {0};
    int32_t result;
    lane.struct_size = sizeof lane;
    lane.stream = stream;
    lane.length = length;
    lane.text = text;
    lane.size = size;
    result = check_lane(&lane, &message);
    if (result < 0) {
        return result;
    }
    stream->remaining = (int64_t)length;
    run_lanes(&lane, 1, textgen_stream_find(stream).workspace);
    if (written) {
        *written = lane.written;
    }
    if (lane.result < 0) {
        return textgen_fail(&message, lane.result, "%s", textgen_sampler_error_text(stream->sampler_error));
    }
    return TEXTGEN_OK;
}
