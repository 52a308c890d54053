/* textgen_generate: draw, accept, forward; for many lanes, each with its own end.
 *
 * A lane draws tokens until its text ends. A draw that fails ends it, and so does a token that its constraint
 * forbids: that one used a random number, but neither the filters nor the network see it. The end of a record
 * is a token of the lane, but the filters do not count it. Tokens are decided if they can become neither a stop
 * text nor an incomplete character. The lane has only those; the stream holds the others back. */
#include "text.h"

#include <string.h>
#include <time.h>

/* What the functions below share. */
typedef struct {
    const textgen_model *model;
    textgen_workspace workspace;
    textgen_slots slots;                /* not with another engine */
    textgen_measurements *measurements; /* or NULL */
} loop;

/* In nanoseconds. */
static int64_t now(const loop *run) {
    struct timespec moment = {0};
#ifndef TEXTGEN_SMALL
    if (run->measurements) {
        timespec_get(&moment, TIME_UTC);
    }
#else
    (void)run;
#endif
    return (int64_t)moment.tv_sec * 1000000000 + moment.tv_nsec;
}

static textgen_lane_call *call_of(const loop *run, size_t slot) {
    return &run->workspace.calls[run->workspace.running[slot]];
}

/* ---- The network ---- */

/* Another engine runs on the block of each text. The network of the core runs in the slots of the workspace. */
static float *logits_of(const loop *run, size_t slot) {
    const textgen_network *network = run->model->network;
    return network ? run->slots.logits + slot * (size_t)network->padded_vocabulary
                   : call_of(run, slot)->stream->logits;
}

static void load(loop *run, size_t slot) {
    const textgen_stream *stream = call_of(run, slot)->stream;
    if (run->model->network) {
        textgen_slot_load(run->model->network, &run->slots, stream->state, 1, 0, slot);
        memcpy(logits_of(run, slot), stream->logits, stream->shape.vocabulary * sizeof(float));
    }
    textgen_special_mask(&stream->shape.special, logits_of(run, slot));
}

static void store(loop *run, size_t slot) {
    const textgen_stream *stream = call_of(run, slot)->stream;
    if (run->model->network) {
        textgen_slot_store(run->model->network, &run->slots, stream->state, 1, 0, slot);
        memcpy(stream->logits, logits_of(run, slot), stream->shape.vocabulary * sizeof(float));
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
    const textgen_network *network = run->model->network;
    const int64_t *tokens = run->workspace.drawn;
    if (network) {
        const float *features = textgen_forward_features(network, &run->slots, tokens, running);
        textgen_forward_logits(network, &run->slots, features, running, true);
        return TEXTGEN_OK;
    }
    for (size_t slot = 0; slot < running; slot++) {
        TEXTGEN_TRY(textgen_stream_forward(call_of(run, slot)->stream, &tokens[slot], 1, NULL, error));
    }
    return TEXTGEN_OK;
}

/* ---- A lane ---- */

/* Append a token, and look for stop texts. A beginning of one that `tokens` end with is at most one token
 * longer than before. */
static void append(textgen_lane_call *call, int32_t token) {
    const int64_t most = call->pending + 1;
    int32_t *end = call->tokens + ++call->count;
    end[-1] = token;
    call->pending = 0;
    for (const int32_t *stop = call->stream->stops; *stop; stop += 1 + *stop) {
        const int64_t length = *stop;
        int64_t count = length < most ? length : most;
        while (count > 0 &&
               (stop[count] != token || memcmp(end - count, stop + 1, (size_t)count * sizeof *end) != 0)) {
            count--;
        }
        call->stop = count == length && count > call->stop ? count : call->stop;
        call->pending = count > call->pending ? count : call->pending;
    }
}

/* The tokens that the text may still have, for its constraint. */
static int64_t remaining(const textgen_lane_call *call) {
    return call->lane->finish ? (int64_t)(call->lane->length - call->lane->drawn) : INT64_MAX;
}

/* Return the logits to draw from. */
static const float *allowed_logits(const textgen_lane_call *call, const float *logits, float *masked) {
    const textgen_stream *stream = call->stream;
    /* Most texts have no mask, and a call of the function takes time. */
    return !stream->constraint && !stream->spans && !stream->text.parameters.min_length
               ? logits
               : textgen_stream_mask(stream, (int64_t)call->lane->drawn,
                                     call->lane->unmasked ? 0 : remaining(call), call->span_hash, logits,
                                     masked);
}

/* Move the constraint to the state after a token. Return the ending if it forbids the token. It forbids no end
 * of a record in an accepting state. */
static int64_t constrain(const textgen_lane_call *call, int64_t token) {
    const textgen_constraint *constraint = call->stream->constraint;
    int64_t *state = &call->stream->text.constraint_state;
    if (!constraint) {
        return TEXTGEN_CONTINUES;
    }
    const bool accepting = textgen_constraint_accepting(constraint, *state);
    if (accepting && token == call->stream->shape.special.end) {
        return TEXTGEN_CONTINUES;
    }
    const int64_t next = textgen_constraint_next(constraint, *state, token, remaining(call));
    if (next < 0) {
        return accepting ? TEXTGEN_CONSTRAINT_END : TEXTGEN_MISMATCH;
    }
    *state = next;
    return TEXTGEN_CONTINUES;
}

/* Keep a token, which may be in a span that later ones complete. */
static void keep_recent(textgen_lane_call *call, int64_t token) {
    const textgen_stream *stream = call->stream;
    int64_t *count = &call->stream->text.recent;
    call->span_hash = textgen_spans_next(stream->spans, stream->recent, *count, call->span_hash, token);
    if (*count >= TEXTGEN_MAX_RECENT) {
        *count = TEXTGEN_MAX_COPY;
        memcpy(stream->recent, stream->recent + TEXTGEN_MAX_COPY, TEXTGEN_MAX_COPY * sizeof *stream->recent);
    }
    stream->recent[(*count)++] = (int32_t)token;
}

/* Draw a token and return it, or set the ending and return -1. */
static int64_t draw_token(const loop *run, textgen_lane_call *call, const float *logits) {
    const textgen_shape *shape = &run->model->shape;
    double *scratch = run->workspace.scratch;
    textgen_lane *lane = call->lane;
    shape->exp64->widen(allowed_logits(call, logits, run->workspace.masked), shape->vocabulary, scratch);
    const int64_t token = textgen_sampler_take(&call->sampler, scratch, shape->vocabulary);
    call->ending = token < 0 ? textgen_draw_error(shape, logits, token, scratch) : constrain(call, token);
    if (call->ending != TEXTGEN_CONTINUES) {
        return -1;
    }
    if (token != shape->special.end) {
        textgen_sampler_accept(&call->sampler, token);
    }
    if (lane->logprobs) {
        lane->logprobs[lane->drawn] = textgen_logprob(shape, logits, token, scratch);
    }
    lane->drawn++;
    append(call, (int32_t)token);
    if (call->stream->spans) {
        keep_recent(call, token);
    }
    return token;
}

/* Return why the lane ends after its last token, or 0. */
static int64_t find_ending(const textgen_lane_call *call) {
    const textgen_stream *stream = call->stream;
    const textgen_constraint *constraint = stream->constraint;
    return call->stop                                                   ? TEXTGEN_REACHED_STOP
           : call->tokens[call->count - 1] == stream->shape.special.end ? TEXTGEN_REACHED_END
           : constraint && textgen_constraint_complete(constraint, stream->text.constraint_state)
               ? TEXTGEN_CONSTRAINT_END
           : call->lane->drawn >= call->lane->length ? TEXTGEN_REACHED_LENGTH
                                                     : TEXTGEN_CONTINUES;
}

/* Return how many of the first tokens are decided. They end with a whole character, also before the beginning
 * of a stop text. */
static int64_t count_decided(const textgen_lane_call *call) {
    const int64_t whole = call->count - call->pending;
    return call->stream->shape.is_bytes ? whole - textgen_incomplete_bytes(call->tokens, whole) : whole;
}

/* Write some of the first tokens of a lane, which are decided, and remove them. */
static void write_tokens(textgen_lane_call *call, int64_t count) {
    textgen_lane *lane = call->lane;
    for (int64_t i = 0; i < count; i++) {
        if (lane->text) {
            lane->written += textgen_decode_token(call->stream->model->vocabulary, call->tokens[i],
                                                  lane->text + lane->written);
        }
        if (lane->tokens) {
            lane->tokens[lane->decided + (size_t)i] = call->tokens[i];
        }
    }
    lane->decided += (size_t)count;
    call->count -= count;
    memmove(call->tokens, call->tokens + count, (size_t)call->count * sizeof *call->tokens);
}

/* Begin a call. The text may have ended before, and other stop texts may be among the tokens that are held
 * back than those with which these were drawn. */
static void begin_lane(const loop *run, textgen_lane *lane, size_t number) {
    textgen_stream *stream = lane->stream;
    textgen_lane_call *call = &run->workspace.calls[number];
    *call = (textgen_lane_call){.lane = lane,
                                .stream = stream,
                                .sampler = textgen_stream_sampler(stream),
                                .tokens = run->workspace.tokens + number * TEXTGEN_LANE_TOKENS};
    lane->drawn = lane->decided = lane->stop = lane->written = 0;
    stream->text.recent = stream->spans ? stream->text.recent : 0;
    if (stream->spans) {
        call->span_hash = textgen_spans_hash(stream->spans, stream->recent, stream->text.recent);
    }
    while (call->count < stream->text.held && !call->stop) {
        append(call, stream->held[call->count]);
    }
    call->ending =
        call->stop                           ? TEXTGEN_REACHED_STOP
        : textgen_stream_is_complete(stream) ? stream->text.ending
        : stream->constraint && textgen_constraint_complete(stream->constraint, stream->text.constraint_state)
            ? TEXTGEN_CONSTRAINT_END
            : TEXTGEN_CONTINUES;
}

/* Move a text to the end of its lane, and write what the lane has of it. */
static void finish(textgen_lane_call *call) {
    textgen_lane *lane = call->lane;
    textgen_text *text = &call->stream->text;
    const int64_t ending = call->ending;
    text->since_feed += (int64_t)lane->drawn;
    text->ending = ending > 0 && ending != TEXTGEN_MISMATCH ? ending : TEXTGEN_CONTINUES;
    lane->stop = (size_t)call->stop;
    lane->result = ending < 0 ? (int32_t)ending : TEXTGEN_OK;
    lane->ending = ending < 0 ? TEXTGEN_CONTINUES : (int32_t)ending;
    const bool is_whole =
        (lane->finish && ending != TEXTGEN_CONTINUES) || textgen_stream_is_complete(call->stream);
    write_tokens(call, call->stop ? call->count - (call->stream->keep_stop ? 0 : call->stop)
                       : is_whole ? call->count
                                  : count_decided(call));
    /* What is left is held back, or is the stop text. */
    text->held = call->stop ? 0 : call->count;
    memcpy(call->stream->held, call->tokens, (size_t)text->held * sizeof *call->tokens);
    for (int64_t i = 0; lane->tokens && call->stop && i < call->count; i++) {
        lane->tokens[lane->decided + (size_t)i] = call->tokens[i];
    }
    if (lane->text) {
        lane->text[lane->written] = '\0';
    }
}

/* ---- All lanes ---- */

/* Draw a token for each running lane. Return the number of those that have not ended. */
static size_t draw(loop *run, size_t running) {
    size_t slot = 0;
    while (slot < running) {
        const int64_t token = draw_token(run, call_of(run, slot), logits_of(run, slot));
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
        call->ending = find_ending(call);
        if (call->ending != TEXTGEN_CONTINUES) {
            end_lane(run, slot, --running);
            continue;
        }
        if (call->count == TEXTGEN_LANE_TOKENS) {
            write_tokens(call, count_decided(call));
        }
        slot++;
    }
    return running;
}

static double sum_entropies(const loop *run, size_t running) {
    const textgen_shape *shape = &run->model->shape;
    double bits = 0.0;
    for (size_t slot = 0; slot < running; slot++) {
        const textgen_lane_call *call = call_of(run, slot);
        const float *allowed = allowed_logits(call, logits_of(run, slot), run->workspace.masked);
        shape->exp64->widen(allowed, shape->vocabulary, run->workspace.scratch);
        bits += textgen_sampler_entropy(&call->sampler, run->workspace.scratch, shape->vocabulary);
    }
    return bits;
}

/* Run lanes, each of which has a slot, until all have ended, or for some steps. */
static int32_t run_lanes(loop *run, textgen_lane *lanes, size_t count, size_t steps, textgen_error *error) {
    textgen_measurements *sums = run->measurements;
    size_t running = 0;
    for (size_t i = 0; i < count; i++) {
        begin_lane(run, &lanes[i], i);
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
        finish(&run->workspace.calls[i]);
    }
    return TEXTGEN_OK;
}

/* ---- The public functions ---- */

size_t textgen_stream_text_size(const textgen_stream *stream, size_t length) {
    const size_t symbol_bytes = stream->model->vocabulary->longest, held = (size_t)stream->text.held;
    return length <= PTRDIFF_MAX / (symbol_bytes + 1) - held ? (held + length) * symbol_bytes + 1 : 0;
}

/* Check a lane, whose number errors have. */
static int32_t check_lane(const textgen_lane *lane, const textgen_model *model, int64_t number, size_t steps,
                          const textgen_workspace *workspace, textgen_error *error) {
    const textgen_stream *stream = lane->stream;
    const size_t most = lane->length < steps ? lane->length : steps;
    if (stream->model != model || stream->claimed) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "stream", number, "is %s",
                               stream->claimed ? "in an earlier lane, too" : "of another model than lane 0");
    }
    if (!lane->length || lane->length > PTRDIFF_MAX || !textgen_stream_text_size(stream, most)) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "length", number, "must be %s",
                               lane->length ? "less" : "1 or more");
    }
    const size_t least = (size_t)textgen_stream_needed(stream);
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

/* Check all lanes. Claim their streams, so that none is in two lanes. */
static int32_t check_lanes(textgen_lane *lanes, size_t count, size_t steps, const textgen_workspace *workspace,
                           textgen_error *error) {
    int32_t code = TEXTGEN_OK;
    size_t claimed = 0;
    while (claimed < count && (code = check_lane(&lanes[claimed], lanes->stream->model, (int64_t)claimed, steps,
                                                 workspace, error)) == TEXTGEN_OK) {
        lanes[claimed++].stream->claimed = true;
    }
    while (claimed) {
        lanes[--claimed].stream->claimed = false;
    }
    return code;
}

int32_t textgen_generate(textgen_lane *lanes, size_t count, size_t steps, textgen_memory workspace,
                         textgen_measurements *measurements, textgen_error *error) {
    const size_t most = steps ? steps : SIZE_MAX, at_once = TEXTGEN_LANES(count);
    if (!count) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "count", -1, "must be 1 or more");
    }
    loop run = {.model = lanes->stream->model};
#ifdef TEXTGEN_SMALL
    (void)measurements;
#else
    run.measurements = measurements;
#endif
    TEXTGEN_TRY(textgen_workspace_open(run.model, workspace, count, &run.workspace, error));
    TEXTGEN_TRY(check_lanes(lanes, count, most, &run.workspace, error));
    if (run.model->network) {
        run.slots = textgen_slots_find(run.model->network, run.workspace.slots, at_once, 1);
    }
    for (size_t i = 0; i < count; i += at_once) {
        TEXTGEN_TRY(run_lanes(&run, lanes + i, at_once, most, error));
    }
    for (size_t i = 0; i < count; i++) {
        if (lanes[i].result < 0) {
            return textgen_report_at(error, TEXTGEN_LANE_FAILED, NULL, (int64_t)i, "%s",
                                     textgen_code_text(lanes[i].result));
        }
    }
    return TEXTGEN_OK;
}

static int32_t check_text(const textgen_stream *stream, size_t length, size_t size, textgen_error *error) {
    const size_t needed = textgen_stream_text_size(stream, length);
    return size >= needed ? TEXTGEN_OK
                          : textgen_fail_at(error, TEXTGEN_BUFFER_TOO_SMALL, "text", -1,
                                            "has %zu bytes; %zu are needed", size, needed);
}

int32_t textgen_stream_generate(textgen_stream *stream, size_t length, char *text, size_t size, size_t *written,
                                textgen_memory workspace, textgen_error *error) {
    textgen_lane lane = {.stream = stream, .length = length, .text = text};
    TEXTGEN_TRY(check_text(stream, length, size, error));
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
    const int64_t held = stream->text.held;
    TEXTGEN_TRY(check_text(stream, 0, size, error));
    const int64_t kept = complete && stream->shape.is_bytes ? textgen_incomplete_bytes(stream->held, held) : 0;
    *written = 0;
    for (int64_t i = 0; i < held - kept; i++) {
        *written += textgen_decode_token(stream->model->vocabulary, stream->held[i], text + *written);
    }
    text[*written] = '\0';
    memmove(stream->held, stream->held + held - kept, (size_t)kept * sizeof *stream->held);
    stream->text.held = kept;
    return TEXTGEN_OK;
}
