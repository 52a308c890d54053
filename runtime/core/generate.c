/* textgen_generate: draw, accept, forward; for many lanes, each with its own end. */
#include "clock.h"
#include "handles.h"

#include <string.h>

/* What the functions below share. */
typedef struct {
    const textgen_model *model;
    textgen_workspace workspace;
    textgen_slots slots; /* not with another engine */
    textgen_lane *lanes;
    textgen_measurements *measurements; /* or NULL */
} loop;

static int64_t now(const loop *run) {
#ifdef TEXTGEN_SMALL
    (void)run;
    return 0;
#else
    return run->measurements ? textgen_nanoseconds() : 0;
#endif
}

static textgen_lane_call *call_of(const loop *run, size_t slot) {
    return &run->workspace.calls[run->workspace.running[slot]];
}

static textgen_text_parts parts_of(const loop *run, size_t slot) {
    return textgen_text_find(&run->model->shape, call_of(run, slot)->text);
}

/* ---- The network ---- */

/* Another engine runs on the block of each text. The network of the core runs in the slots of the workspace. */
static float *logits_of(const loop *run, size_t slot) {
    const textgen_network *network = run->model->network;
    return network ? run->slots.logits + slot * (size_t)network->padded_vocabulary : parts_of(run, slot).logits;
}

static void load(loop *run, size_t slot) {
    if (run->model->network) {
        const textgen_text_parts parts = parts_of(run, slot);
        textgen_slot_load(run->model->network, &run->slots, parts.state, 1, 0, slot);
        memcpy(logits_of(run, slot), parts.logits, run->model->shape.vocabulary * sizeof(float));
    }
    textgen_special_mask(&run->model->shape.special, logits_of(run, slot));
}

static void store(loop *run, size_t slot) {
    if (run->model->network) {
        const textgen_text_parts parts = parts_of(run, slot);
        textgen_slot_store(run->model->network, &run->slots, parts.state, 1, 0, slot);
        memcpy(parts.logits, logits_of(run, slot), run->model->shape.vocabulary * sizeof(float));
    }
}

/* End the lane in a slot, and move the last running lane there. */
static void end_lane(loop *run, size_t slot, size_t last) {
    store(run, slot);
    if (run->model->network) {
        textgen_slot_move(run->model->network, &run->slots, last, slot);
    }
    run->workspace.running[slot] = run->workspace.running[last];
}

/* Run the network with the drawn tokens of the running lanes. */
static int32_t forward(loop *run, size_t running, textgen_error *error) {
    const textgen_model *model = run->model;
    const int64_t *tokens = run->workspace.drawn;
    if (model->network) {
        const float *features = textgen_forward_features(model->network, &run->slots, tokens, running);
        textgen_forward_logits(model->network, &run->slots, features, running, true);
        return TEXTGEN_OK;
    }
    for (size_t slot = 0; slot < running; slot++) {
        TEXTGEN_TRY(textgen_text_forward(model, call_of(run, slot)->text, &tokens[slot], 1, NULL, error));
    }
    return TEXTGEN_OK;
}

/* ---- The lanes ---- */

/* Write some of the first tokens of a lane, which are decided, and remove them. */
static void write_tokens(const loop *run, textgen_lane *lane, textgen_lane_call *call, int64_t count) {
    for (int64_t i = 0; i < count && lane->text; i++) {
        lane->written +=
            textgen_decode_token(run->model->vocabulary, call->tokens[i], lane->text + lane->written);
    }
    if (lane->tokens) {
        memcpy(lane->tokens + lane->decided, call->tokens, (size_t)count * sizeof *call->tokens);
    }
    lane->decided += (size_t)count;
    call->count -= count;
    memmove(call->tokens, call->tokens + count, (size_t)call->count * sizeof *call->tokens);
}

static void begin(loop *run, size_t lane) {
    const textgen_lane *given = &run->lanes[lane];
    textgen_lane_call *call = &run->workspace.calls[lane];
    memset(call, 0, sizeof *call);
    call->text = textgen_stream_text(given->stream);
    call->guide = textgen_stream_guide(given->stream);
    call->length = (int64_t)given->length;
    call->must_end = given->finish != 0;
    call->masked = !given->unmasked;
    call->logprobs = given->logprobs;
    call->tokens = run->workspace.tokens + lane * TEXTGEN_LANE_TOKENS;
    textgen_lane_begin(&run->model->shape, call);
}

/* Move a text to the end of its lane, and write what the lane has of it. */
static void finish(loop *run, size_t index) {
    textgen_lane *lane = &run->lanes[index];
    textgen_lane_call *call = &run->workspace.calls[index];
    int64_t decided = textgen_lane_finish(&run->model->shape, call);
    lane->drawn = (size_t)call->drawn;
    lane->stop = (size_t)call->stop;
    lane->result = call->ending < 0 ? (int32_t)call->ending : TEXTGEN_OK;
    lane->ending = call->ending < 0 ? TEXTGEN_CONTINUES : (int32_t)call->ending;
    if (lane->finish && !call->stop && call->ending != TEXTGEN_CONTINUES) {
        call->text->held = 0;
        decided = call->count;
    }
    write_tokens(run, lane, call, lane->stream->keep_stop ? decided + call->stop : decided);
    if (lane->tokens && call->stop) {
        /* The stop text, unless it is part of the text. */
        memcpy(lane->tokens + lane->decided, call->tokens, (size_t)call->count * sizeof *call->tokens);
    }
    if (lane->text) {
        lane->text[lane->written] = '\0';
    }
}

/* Draw a token for each running lane. Those whose draw fails, or whose constraint forbids the token, end.
 * Return the number of running lanes. */
static size_t draw(loop *run, size_t running) {
    const textgen_shape *shape = &run->model->shape;
    size_t slot = 0;
    while (slot < running) {
        textgen_lane_call *call = call_of(run, slot);
        const int64_t token =
            textgen_lane_draw(shape, call, logits_of(run, slot), run->workspace.masked, run->workspace.scratch);
        if (token < 0) {
            end_lane(run, slot, --running);
        } else {
            run->workspace.drawn[slot++] = token;
        }
    }
    return running;
}

/* End the lanes whose text is complete. Return the number of running lanes. */
static size_t end_lanes(loop *run, size_t running) {
    size_t slot = 0;
    while (slot < running) {
        textgen_lane_call *call = call_of(run, slot);
        call->ending = textgen_lane_ending(&run->model->shape, call);
        if (call->ending != TEXTGEN_CONTINUES) {
            end_lane(run, slot, --running);
            continue;
        }
        if (call->count == TEXTGEN_LANE_TOKENS) {
            write_tokens(run, &run->lanes[run->workspace.running[slot]], call,
                         textgen_lane_decided(&run->model->shape, call));
        }
        slot++;
    }
    return running;
}

static double sum_entropies(const loop *run, size_t running) {
    double bits = 0.0;
    for (size_t slot = 0; slot < running; slot++) {
        bits += textgen_lane_entropy(&run->model->shape, call_of(run, slot), logits_of(run, slot),
                                     run->workspace.masked, run->workspace.scratch);
    }
    return bits;
}

/* Run lanes, each of which has a slot, until all have ended, or for some steps. */
static int32_t run_lanes(loop *run, size_t count, size_t steps, textgen_error *error) {
    textgen_measurements *sums = run->measurements;
    size_t running = 0;
    for (size_t i = 0; i < count; i++) {
        begin(run, i);
        if (run->workspace.calls[i].ending == TEXTGEN_CONTINUES) {
            run->workspace.running[running] = i;
            load(run, running++);
        }
    }
    for (size_t step = 0; running && step < steps; step++) {
        if (sums) {
            sums->draws += (int64_t)running;
            sums->entropy += sum_entropies(run, running);
        }
        const int64_t before = now(run);
        running = draw(run, running);
        const int64_t drawn = now(run);
        if (running) {
            TEXTGEN_TRY(forward(run, running, error));
        }
        if (sums) {
            const int64_t forwarded = now(run);
            sums->sampler_ns += drawn - before;
            /* If the constraints dropped all tokens, there is no step of the network to measure. */
            sums->model_ns += running ? forwarded - drawn : 0;
            sums->steps += running > 0;
            if (sums->latencies && running) {
                sums->latencies[step] = forwarded - before;
            }
        }
        running = end_lanes(run, running);
    }
    for (size_t slot = 0; slot < running; slot++) {
        store(run, slot);
    }
    for (size_t i = 0; i < count; i++) {
        finish(run, i);
    }
    return TEXTGEN_OK;
}

/* ---- The public functions ---- */

size_t textgen_stream_text_size(const textgen_stream *stream, size_t length) {
    const size_t symbol_bytes = stream->model->vocabulary->symbols.longest;
    const size_t held = (size_t)textgen_stream_text(stream)->held;
    return length <= PTRDIFF_MAX / (symbol_bytes + 1) - held ? (held + length) * symbol_bytes + 1 : 0;
}

/* Check a lane, whose number errors have. */
static int32_t check_lane(const textgen_lane *lane, const textgen_lane *first, int64_t number, size_t steps,
                          const textgen_workspace *workspace, textgen_error *error) {
    const textgen_stream *stream = lane->stream;
    const size_t most = lane->length < steps ? lane->length : steps;
    if (stream->model != first->stream->model || stream->claimed) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "stream", number, "is %s",
                               stream->claimed ? "in an earlier lane, too" : "of another model than lane 0");
    }
    if (!lane->length || lane->length > PTRDIFF_MAX || !textgen_stream_text_size(stream, most)) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "length", number, "must be %s",
                               lane->length ? "less" : "1 or more");
    }
    const size_t least = (size_t)textgen_text_needed(textgen_stream_text(stream), stream->constraint);
    if (lane->finish && least > lane->length) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "length", number,
                               "must be %zu or more for the constraint, not %zu", least, lane->length);
    }
    const int32_t code = textgen_stream_ready(lane->stream, workspace, error);
    if (code < 0 && error) {
        error->place = number;
    }
    return code;
}

/* Claim all streams, so that none is in two lanes. */
static int32_t claim_lanes(textgen_lane *lanes, size_t count, size_t steps, const textgen_workspace *workspace,
                           textgen_error *error) {
    size_t claimed;
    int32_t code = TEXTGEN_OK;
    for (claimed = 0; claimed < count && code == TEXTGEN_OK; claimed++) {
        code = check_lane(&lanes[claimed], lanes, (int64_t)claimed, steps, workspace, error);
        if (code < 0) {
            break;
        }
        lanes[claimed].stream->claimed = true;
    }
    for (size_t i = 0; i < claimed; i++) {
        lanes[i].stream->claimed = false;
    }
    return code;
}

/* Run lanes that were checked. */
static int32_t run_all(textgen_lane *lanes, size_t count, size_t steps, const textgen_workspace *workspace,
                       textgen_measurements *measurements, textgen_error *error) {
    const textgen_model *model = lanes->stream->model;
    const size_t at_once = TEXTGEN_LANES(count);
    loop run = {.model = model, .workspace = *workspace};
#ifdef TEXTGEN_SMALL
    (void)measurements;
#else
    run.measurements = measurements;
#endif
    for (size_t i = 0; i < count; i++) {
        lanes[i].drawn = lanes[i].decided = lanes[i].stop = lanes[i].written = 0;
    }
    for (size_t i = 0; i < count; i += at_once) {
        run.lanes = lanes + i;
        if (model->network) {
            run.slots = textgen_slots_find(model->network, workspace->slots, at_once, 1);
        }
        TEXTGEN_TRY(run_lanes(&run, at_once, steps, error));
    }
    return TEXTGEN_OK;
}

int32_t textgen_generate(textgen_lane *lanes, size_t count, size_t steps, textgen_memory workspace,
                         textgen_measurements *measurements, textgen_error *error) {
    const size_t most = steps ? steps : SIZE_MAX;
    if (!count) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "count", -1, "must be 1 or more");
    }
    const textgen_model *model = lanes->stream->model;
    TEXTGEN_TRY(textgen_check_memory(workspace, textgen_workspace_size(model, count), "workspace", error));
    const textgen_workspace found = textgen_workspace_find(model, workspace.data, count);
    TEXTGEN_TRY(claim_lanes(lanes, count, most, &found, error));
    TEXTGEN_TRY(run_all(lanes, count, most, &found, measurements, error));
    for (size_t i = 0; i < count; i++) {
        if (lanes[i].result < 0) {
            return textgen_report_at(error, TEXTGEN_LANE_FAILED, NULL, (int64_t)i, "%s",
                                     textgen_code_text(lanes[i].result));
        }
    }
    return TEXTGEN_OK;
}

int32_t textgen_stream_generate(textgen_stream *stream, size_t length, char *text, size_t size, size_t *written,
                                textgen_memory workspace, textgen_error *error) {
    textgen_lane lane = {.stream = stream, .length = length, .text = text};
    const size_t needed = textgen_stream_text_size(stream, length);
    if (needed && size < needed) {
        return textgen_fail_at(error, TEXTGEN_BUFFER_TOO_SMALL, "text", -1, "has %zu bytes; %zu are needed",
                               size, needed);
    }
    const int32_t code = textgen_generate(&lane, 1, 0, workspace, NULL, error);
    if (code == TEXTGEN_OK || code == TEXTGEN_LANE_FAILED) {
        *written = lane.written;
    }
    return code == TEXTGEN_LANE_FAILED
               ? textgen_report(error, lane.result, "%s", textgen_code_text(lane.result))
               : code;
}

int32_t textgen_stream_finish(textgen_stream *stream, int32_t complete, char *text, size_t size,
                              size_t *written, textgen_error *error) {
    textgen_text *held = textgen_stream_text(stream);
    const textgen_shape *shape = &stream->model->shape;
    int32_t *tokens = textgen_text_find(shape, held).held;
    int64_t last[3], count = 0;
    if (size < textgen_stream_text_size(stream, 0)) {
        return textgen_fail_at(error, TEXTGEN_BUFFER_TOO_SMALL, "text", -1, "has %zu bytes; %zu are needed",
                               size, textgen_stream_text_size(stream, 0));
    }
    for (int64_t i = held->held > 3 ? held->held - 3 : 0; i < held->held; i++) {
        last[count++] = tokens[i];
    }
    const int64_t kept = complete && shape->is_bytes ? textgen_incomplete_bytes(last, count) : 0;
    *written = 0;
    for (int64_t i = 0; i < held->held - kept; i++) {
        *written += textgen_decode_token(stream->model->vocabulary, tokens[i], text + *written);
    }
    text[*written] = '\0';
    memmove(tokens, tokens + held->held - kept, (size_t)kept * sizeof *tokens);
    held->held = kept;
    return TEXTGEN_OK;
}
