/* textgen_generate: lanes of handles are checked, their texts are continued in chunks, and the tokens decoded.
 */
#include "handles.h"

#include <string.h>

/* The largest size of an object. */
#define MAX_BYTES ((size_t)PTRDIFF_MAX)

textgen_workspace_parts textgen_workspace_find(void *workspace, size_t lanes) {
    textgen_workspace_parts parts;
    parts.tokens = workspace;
    parts.lanes = (void *)(parts.tokens + lanes * TEXTGEN_LANE_TOKENS);
    parts.slots = parts.lanes + lanes;
    return parts;
}

size_t textgen_workspace_size(const textgen_model *model, size_t lanes) {
    const size_t lane_bytes = TEXTGEN_LANE_TOKENS * sizeof(int64_t) + sizeof(textgen_lane_call);
    if (!model || !lanes) {
        return 0;
    }
    /* Slots for several lanes need no more bytes per lane than slots for one. */
    const size_t slot_bytes = textgen_slots_size(model->network, 1, 1);
    if (lanes > MAX_BYTES / (slot_bytes + lane_bytes)) {
        return 0;
    }
    return lanes * lane_bytes + textgen_slots_size(model->network, lanes, 1);
}

size_t textgen_stream_text_size(const textgen_stream *stream, size_t length) {
    const size_t symbol_bytes = stream ? stream->model->vocabulary->symbols.longest : 0;
    const size_t held = stream ? (size_t)textgen_stream_text(stream)->held : 0;
    return stream && length <= MAX_BYTES / (symbol_bytes + 1) - held ? (held + length) * symbol_bytes + 1 : 0;
}

/* The size of a lane depends on the caller's version of the structure. */
static textgen_lane *lane_at(textgen_lane *lanes, size_t index) {
    return (void *)((char *)lanes + index * lanes->struct_size);
}

static void release_lanes(textgen_lane *lanes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        lane_at(lanes, i)->stream->claimed = false;
    }
}

static int32_t check_lane(const textgen_lane *lane, textgen_error *error) {
    const textgen_stream *stream = lane->stream;
    TEXTGEN_TRY(textgen_check_pointer(stream, "stream", error));
    TEXTGEN_TRY(textgen_check_pointer(lane->text, "text", error));
    if (!lane->length) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "length must be 1 or more, not 0");
    }
    const size_t needed = textgen_stream_text_size(stream, lane->length);
    if (!needed) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "length is %zu, which is too large", lane->length);
    }
    if (lane->size < needed) {
        return textgen_fail(error, TEXTGEN_BUFFER_TOO_SMALL, "text has %zu bytes; %zu are needed", lane->size,
                            needed);
    }
    TEXTGEN_TRY(textgen_check_fed(stream, error));
    const size_t least = (size_t)textgen_text_needed(textgen_stream_text(stream), stream->constraint);
    return lane->finish && least > lane->length
               ? textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                              "the constraint needs %zu or more tokens, but length is %zu", least, lane->length)
               : TEXTGEN_OK;
}

/* Check a lane against the first one, and mark its stream as in use by this call. */
static int32_t claim_lane(textgen_lane *lane, const textgen_lane *first, textgen_error *error) {
    textgen_lane known;
    TEXTGEN_TRY(textgen_read_struct(lane, TEXTGEN_FIELDS_END(textgen_lane, ending), &known, sizeof known,
                                    "textgen_lane", error));
    TEXTGEN_TRY(check_lane(&known, error));
    if (known.struct_size != first->struct_size) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "struct_size is %zu, but it is %zu in lane 0",
                            known.struct_size, first->struct_size);
    }
    if (known.stream->model != first->stream->model) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "the stream has another model than the stream of lane 0");
    }
    if (known.stream->claimed) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "the stream is also in an earlier lane");
    }
    known.stream->claimed = true;
    return TEXTGEN_OK;
}

/* Claim all lanes, or none. */
static int32_t claim_lanes(textgen_lane *lanes, size_t count, textgen_error *error) {
    char text[TEXTGEN_MESSAGE_SIZE];
    textgen_error message = {text, sizeof text};
    for (size_t i = 0; i < count; i++) {
        const int32_t result = claim_lane(lane_at(lanes, i), lanes, &message);
        if (result < 0) {
            release_lanes(lanes, i);
            return textgen_fail(error, result, "lane %zu: %s", i, text);
        }
    }
    return TEXTGEN_OK;
}

/* Whether a lane of the call has neither ended nor failed. */
static bool is_running(const textgen_lane *lane) {
    return lane->result == TEXTGEN_OK && lane->ending == TEXTGEN_CONTINUES;
}

/* Prepare the lanes that still run, in order. Return their number. */
static size_t begin_chunk(textgen_lane *lanes, size_t count, const textgen_workspace_parts *workspace) {
    size_t active = 0;
    for (size_t i = 0; i < count; i++) {
        textgen_lane *lane = lane_at(lanes, i);
        if (is_running(lane)) {
            textgen_lane_call *call = &workspace->lanes[active];
            memset(call, 0, sizeof *call);
            call->text = textgen_stream_text(lane->stream);
            call->guide = textgen_stream_guide(lane->stream);
            call->length = (int64_t)(lane->length - lane->drawn);
            call->must_end = lane->finish != 0;
            call->masked = 1;
            call->keep_stop = lane->stream->keep_stop;
            call->tokens = workspace->tokens + active * TEXTGEN_LANE_TOKENS;
            call->logprobs = lane->logprobs ? lane->logprobs + lane->drawn : NULL;
            active++;
        }
    }
    return active;
}

static void write_tokens(textgen_lane *lane, const int64_t *tokens, int64_t count) {
    const textgen_vocabulary *vocabulary = lane->stream->model->vocabulary;
    for (int64_t i = 0; i < count; i++) {
        lane->written += textgen_decode_token(vocabulary, tokens[i], lane->text + lane->written);
    }
    lane->text[lane->written] = '\0';
}

/* Append the text that is held back, which is decided now. */
static void write_held(textgen_lane *lane) {
    textgen_text *text = textgen_stream_text(lane->stream);
    const int32_t *held = textgen_text_find(&lane->stream->model->shape, text).held;
    for (int64_t i = 0; i < text->held; i++) {
        const int64_t token = held[i];
        write_tokens(lane, &token, 1);
    }
    text->held = 0;
}

/* The first lane that failed, and its textgen_sampler_error. */
typedef struct {
    size_t lane;
    int64_t error;
} failure;

/* Decode the decided tokens, and end the lanes that are complete or failed. */
static void end_chunk(textgen_lane *lanes, size_t count, const textgen_workspace_parts *workspace,
                      failure *failed) {
    const textgen_lane_call *call = workspace->lanes;
    for (size_t i = 0; i < count; i++) {
        textgen_lane *lane = lane_at(lanes, i);
        if (!is_running(lane)) {
            continue;
        }
        write_tokens(lane, call->tokens, call->decided);
        lane->drawn += (size_t)call->generated;
        if (call->ending < 0) {
            lane->result = textgen_sampler_code(call->ending);
            *failed = i < failed->lane ? (failure){i, call->ending} : *failed;
        } else {
            lane->ending = textgen_public_ending(call->text, call->ending);
        }
        if (lane->finish && !is_running(lane)) {
            write_held(lane);
        }
        call++;
    }
}

/* Run the lanes. `error` of the result is 0 if none failed. */
static failure run_lanes(textgen_lane *lanes, size_t count, void *workspace) {
    const textgen_model *model = lanes->stream->model;
    const textgen_workspace_parts parts = textgen_workspace_find(workspace, count);
    for (size_t i = 0; i < count; i++) {
        textgen_lane *lane = lane_at(lanes, i);
        lane->written = lane->drawn = 0;
        lane->text[0] = '\0';
        lane->result = TEXTGEN_OK;
        lane->ending = TEXTGEN_CONTINUES;
    }
    failure failed = {count, 0};
    size_t active;
    while ((active = begin_chunk(lanes, count, &parts)) > 0) {
        textgen_generate_tokens(model->network, &model->shape, parts.lanes, active, TEXTGEN_CHUNK, parts.slots,
                                NULL);
        end_chunk(lanes, count, &parts, &failed);
    }
    release_lanes(lanes, count);
    return failed;
}

int32_t textgen_generate(textgen_lane *lanes, size_t count, void *workspace, size_t workspace_size, char *error,
                         size_t error_size) {
    textgen_error message = {error, error_size};
    TEXTGEN_TRY(textgen_check_pointer(lanes, "lanes", &message));
    if (!count) {
        return textgen_fail(&message, TEXTGEN_INVALID_ARGUMENT, "count must be 1 or more, not 0");
    }
    TEXTGEN_TRY(claim_lanes(lanes, count, &message));
    const size_t needed = textgen_workspace_size(lanes->stream->model, count);
    const int32_t result = textgen_check_memory(workspace, workspace_size, needed, "workspace", &message);
    if (result < 0) {
        release_lanes(lanes, count);
        return result;
    }
    const failure failed = run_lanes(lanes, count, workspace);
    const char *reason = textgen_sampler_error_text(failed.error);
    return !failed.error ? TEXTGEN_OK
           : count == 1  ? textgen_fail(&message, TEXTGEN_LANE_FAILED, "%s", reason)
                         : textgen_fail(&message, TEXTGEN_LANE_FAILED, "lane %zu: %s", failed.lane, reason);
}

int32_t textgen_stream_generate(textgen_stream *stream, size_t length, char *text, size_t size, size_t *written,
                                char *error, size_t error_size) {
    textgen_error message = {error, error_size};
    textgen_lane lane = TEXTGEN_LANE_DEFAULT;
    lane.stream = stream;
    lane.length = length;
    lane.text = text;
    lane.size = size;
    TEXTGEN_TRY(check_lane(&lane, &message));
    const failure failed = run_lanes(&lane, 1, textgen_stream_workspace(stream));
    if (written) {
        *written = lane.written;
    }
    return lane.result < 0 ? textgen_fail(&message, lane.result, "%s", textgen_sampler_error_text(failed.error))
                           : TEXTGEN_OK;
}

int32_t textgen_stream_finish(textgen_stream *stream, char *text, size_t size, size_t *written, char *error,
                              size_t error_size) {
    textgen_error message = {error, error_size};
    textgen_lane lane = TEXTGEN_LANE_DEFAULT;
    TEXTGEN_TRY(textgen_check_pointer(stream, "stream", &message));
    TEXTGEN_TRY(textgen_check_pointer(text, "text", &message));
    if (size < textgen_stream_text_size(stream, 0)) {
        return textgen_fail(&message, TEXTGEN_BUFFER_TOO_SMALL, "text has %zu bytes; %zu are needed", size,
                            textgen_stream_text_size(stream, 0));
    }
    lane.stream = stream;
    lane.text = text;
    text[0] = '\0';
    write_held(&lane);
    if (written) {
        *written = lane.written;
    }
    return TEXTGEN_OK;
}
