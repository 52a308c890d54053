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
    textgen_slots slots; /* not with another engine */
} loop;

static textgen_stream *stream_of(const loop *run, size_t slot) { return run->workspace.running[slot]->stream; }

/* ---- The network ---- */

/* Another engine runs on the block of each text. The network of the core runs in the slots of the workspace. */
static float *logits_of(const loop *run, size_t slot) {
    const textgen_network *network = run->model->network;
    return network ? run->slots.logits + slot * (size_t)network->padded_vocabulary
                   : stream_of(run, slot)->logits;
}

static void load(loop *run, size_t slot) {
    const textgen_stream *stream = stream_of(run, slot);
    if (run->model->network) {
        textgen_slot_load(run->model->network, &run->slots, stream->state, 1, 0, slot);
        memcpy(logits_of(run, slot), stream->logits, stream->shape.vocabulary * sizeof(float));
    }
    textgen_special_mask(&stream->shape.special, logits_of(run, slot));
}

static void store(loop *run, size_t slot) {
    const textgen_stream *stream = stream_of(run, slot);
    if (run->model->network) {
        textgen_slot_store(run->model->network, &run->slots, stream->state, 1, 0, slot);
        memcpy(stream->logits, logits_of(run, slot), stream->shape.vocabulary * sizeof(float));
    }
}

/* Remove the lanes that have ended: all, or only those without a token. The last lane moves to the slot of one
 * that is removed. Return how many are left. */
static size_t remove_ended(loop *run, size_t running, bool all) {
    size_t slot = 0;
    while (slot < running) {
        const textgen_lane *lane = run->workspace.running[slot];
        const bool has_token = run->workspace.drawn[slot] >= 0;
        if ((lane->ending == TEXTGEN_CONTINUES && lane->result == TEXTGEN_OK) || (has_token && !all)) {
            slot++;
            continue;
        }
        store(run, slot);
        running--;
        if (run->model->network) {
            textgen_slot_move(run->model->network, &run->slots, running, slot);
        }
        run->workspace.running[slot] = run->workspace.running[running];
        run->workspace.drawn[slot] = run->workspace.drawn[running];
    }
    return running;
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
        TEXTGEN_TRY(textgen_stream_forward(stream_of(run, slot), &tokens[slot], 1, NULL, error));
    }
    return TEXTGEN_OK;
}

/* ---- The text of a lane ---- */

/* Return how many of the last tokens that are held back are the longest stop text, or the longest beginning of
 * one. */
static int64_t find_stop(const textgen_stream *stream, bool is_beginning) {
    const int64_t held = stream->text.held;
    const int32_t *end = stream->held + held;
    int64_t longest = 0;
    for (const int32_t *stop = stream->stops; *stop; stop += 1 + *stop) {
        for (int64_t count = is_beginning ? 1 : *stop; count <= *stop && count <= held; count++) {
            if (count > longest && !memcmp(end - count, stop + 1, (size_t)count * sizeof *end)) {
                longest = count;
            }
        }
    }
    return longest;
}

/* Return how many of the tokens that are held back are decided. They end with a whole character, also before
 * the beginning of a stop text. */
static int64_t count_decided(const textgen_stream *stream) {
    const int64_t whole = stream->text.held - find_stop(stream, true);
    return stream->shape.is_bytes ? whole - textgen_incomplete_bytes(stream->held, whole) : whole;
}

/* Write the first tokens that are held back to the lane, and remove them. */
static void write_tokens(textgen_lane *lane, int64_t count) {
    textgen_stream *stream = lane->stream;
    for (int64_t i = 0; i < count; i++) {
        if (lane->text) {
            lane->written +=
                textgen_decode_token(stream->model->vocabulary, stream->held[i], lane->text + lane->written);
        }
        if (lane->tokens) {
            lane->tokens[lane->decided + (size_t)i] = stream->held[i];
        }
    }
    lane->decided += (size_t)count;
    stream->text.held -= count;
    memmove(stream->held, stream->held + count, (size_t)stream->text.held * sizeof *stream->held);
}

/* Begin a call. The text may have ended before, and the stop texts may be others than those with which the
 * tokens were drawn that are held back. */
static void begin_lane(textgen_lane *lane) {
    textgen_stream *stream = lane->stream;
    textgen_text *text = &stream->text;
    const int64_t held = text->held;
    lane->drawn = lane->decided = lane->stop = lane->written = 0;
    lane->result = TEXTGEN_OK;
    text->recent = stream->spans ? text->recent : 0;
    textgen_stream_hash(stream);
    for (text->held = 0; text->held < held && !lane->stop;) {
        text->held++;
        lane->stop = (size_t)find_stop(stream, false);
    }
    lane->ending =
        lane->stop                           ? TEXTGEN_REACHED_STOP
        : textgen_stream_is_complete(stream) ? (int32_t)text->ending
        : stream->constraint && textgen_constraint_complete(stream->constraint, text->constraint_state)
            ? TEXTGEN_CONSTRAINT_END
            : TEXTGEN_CONTINUES;
}

/* End a call: write what the lane has of the text. */
static void end_lane(textgen_lane *lane) {
    textgen_stream *stream = lane->stream;
    textgen_text *text = &stream->text;
    text->ending = lane->ending == TEXTGEN_MISMATCH ? TEXTGEN_CONTINUES : lane->ending;
    const bool is_whole = (lane->finish && (lane->ending != TEXTGEN_CONTINUES || lane->result < 0)) ||
                          textgen_stream_is_complete(stream);
    write_tokens(lane, lane->stop ? text->held - (stream->keep_stop ? 0 : (int64_t)lane->stop)
                       : is_whole ? text->held
                                  : count_decided(stream));
    if (lane->stop) {
        for (int64_t i = 0; lane->tokens && i < text->held; i++) {
            lane->tokens[lane->decided + (size_t)i] = stream->held[i];
        }
        text->held = 0;
    }
    if (lane->text) {
        lane->text[lane->written] = '\0';
    }
}

/* ---- A draw ---- */

/* The tokens that the text may still have, for its constraint. */
static int64_t remaining(const textgen_lane *lane) {
    return lane->finish ? (int64_t)(lane->length - lane->drawn) : INT64_MAX;
}

/* Move the constraint to the state after a token. Return the ending if it forbids the token. It forbids no end
 * of a record in an accepting state. */
static int32_t constrain(const textgen_lane *lane, int64_t token) {
    const textgen_constraint *constraint = lane->stream->constraint;
    int64_t *state = &lane->stream->text.constraint_state;
    if (!constraint) {
        return TEXTGEN_CONTINUES;
    }
    const bool accepting = textgen_constraint_accepting(constraint, *state);
    if (accepting && token == lane->stream->shape.special.end) {
        return TEXTGEN_CONTINUES;
    }
    const int64_t next = textgen_constraint_next(constraint, *state, token, remaining(lane));
    if (next < 0) {
        return accepting ? TEXTGEN_CONSTRAINT_END : TEXTGEN_MISMATCH;
    }
    *state = next;
    return TEXTGEN_CONTINUES;
}

/* Append a drawn token to a text. */
static void append(textgen_lane *lane, int64_t token) {
    textgen_stream *stream = lane->stream;
    textgen_text *text = &stream->text;
    if (text->held == TEXTGEN_HELD_ROOM) {
        write_tokens(lane, count_decided(stream));
    }
    stream->held[text->held++] = (int32_t)token;
    text->since_feed++;
    lane->drawn++;
    if (stream->spans) {
        textgen_stream_keep(stream, token);
    }
}

/* Return why a text ends after its last token, or 0. */
static int32_t find_ending(const textgen_lane *lane, int64_t token) {
    const textgen_stream *stream = lane->stream;
    const textgen_constraint *constraint = stream->constraint;
    return lane->stop                           ? TEXTGEN_REACHED_STOP
           : token == stream->shape.special.end ? TEXTGEN_REACHED_END
           : constraint && textgen_constraint_complete(constraint, stream->text.constraint_state)
               ? TEXTGEN_CONSTRAINT_END
           : lane->drawn >= lane->length ? TEXTGEN_REACHED_LENGTH
                                         : TEXTGEN_CONTINUES;
}

/* Draw the token of a slot, which is -1 if the lane ends without one. Set the ending of the lane. */
static void draw(const loop *run, size_t slot) {
    const textgen_shape *shape = &run->model->shape;
    const float *logits = logits_of(run, slot), *allowed = logits;
    double *scratch = run->workspace.scratch;
    textgen_lane *lane = run->workspace.running[slot];
    textgen_stream *stream = lane->stream;
    textgen_sampler_state sampler = textgen_stream_sampler(stream);
    /* Most texts have no mask, and a call of the function takes time. */
    if (stream->constraint || stream->spans || stream->text.parameters.min_length) {
        allowed =
            textgen_stream_mask(stream, lane->unmasked ? 0 : remaining(lane), logits, run->workspace.masked);
    }
    shape->exp64->widen(allowed, shape->vocabulary, scratch);
    const int64_t token = textgen_sampler_take(&sampler, scratch, shape->vocabulary);
    run->workspace.drawn[slot] = -1;
    if (token < 0) {
        lane->result = textgen_draw_error(shape, logits, token, scratch);
        return;
    }
    lane->ending = constrain(lane, token);
    if (lane->ending != TEXTGEN_CONTINUES) {
        return;
    }
    if (token != shape->special.end) {
        textgen_sampler_accept(&sampler, token);
    }
    if (lane->logprobs) {
        lane->logprobs[lane->drawn] = textgen_logprob(shape, logits, token, scratch);
    }
    append(lane, token);
    lane->stop = (size_t)find_stop(stream, false);
    lane->ending = find_ending(lane, token);
    run->workspace.drawn[slot] = token;
}

/* ---- All lanes ---- */

/* In nanoseconds. */
static int64_t now(void) {
    struct timespec moment = {0};
    timespec_get(&moment, TIME_UTC);
    return (int64_t)moment.tv_sec * 1000000000 + moment.tv_nsec;
}

/* Run lanes, each of which has a slot, until all have ended, or for some steps. */
static int32_t run_lanes(loop *run, textgen_lane *lanes, size_t count, size_t steps, int64_t *latencies,
                         textgen_error *error) {
    int32_t code = TEXTGEN_OK;
    size_t running = 0;
    for (size_t i = 0; i < count; i++) {
        begin_lane(&lanes[i]);
        if (lanes[i].ending == TEXTGEN_CONTINUES) {
            run->workspace.running[running] = &lanes[i];
            load(run, running++);
        }
    }
    for (size_t step = 0; code == TEXTGEN_OK && running && step < steps; step++) {
        const int64_t before = latencies ? now() : 0;
        for (size_t slot = 0; slot < running; slot++) {
            draw(run, slot);
        }
        running = remove_ended(run, running, false);
        if (running) {
            code = forward(run, running, error);
            running = remove_ended(run, running, true);
            if (latencies) {
                latencies[step] = now() - before;
            }
        }
    }
    for (size_t slot = 0; slot < running; slot++) {
        store(run, slot);
    }
    for (size_t i = 0; i < count; i++) {
        end_lane(&lanes[i]);
    }
    return code;
}

/* Check a lane, whose number errors have. */
static int32_t check_lane(const textgen_lane *lane, size_t number, const textgen_workspace *workspace,
                          textgen_error *error) {
    const size_t needed = (size_t)textgen_stream_needed(lane->stream);
    const size_t least = lane->finish && needed ? needed : 1;
    if (lane->length < least || lane->length > PTRDIFF_MAX) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "length", (int64_t)number,
                               "must be %zu or more, not %zu", least, lane->length);
    }
    const int32_t code = textgen_stream_ready(lane->stream, workspace, error);
    if (code < 0 && error) {
        error->place = (int64_t)number;
    }
    return code;
}

int32_t textgen_generate(textgen_lane *lanes, size_t count, size_t steps, textgen_memory workspace,
                         int64_t *latencies, textgen_error *error) {
    const size_t at_once = TEXTGEN_LANES(count);
    loop run = {.model = lanes->stream->model};
    TEXTGEN_TRY(textgen_workspace_open(run.model, workspace, count, &run.workspace, error));
    for (size_t i = 0; i < count; i++) {
        TEXTGEN_TRY(check_lane(&lanes[i], i, &run.workspace, error));
    }
    if (run.model->network) {
        run.slots = textgen_slots_find(run.model->network, run.workspace.slots, at_once, 1);
    }
    for (size_t i = 0; i < count; i += at_once) {
        TEXTGEN_TRY(run_lanes(&run, lanes + i, at_once, steps ? steps : SIZE_MAX, latencies, error));
    }
    for (size_t i = 0; i < count; i++) {
        if (lanes[i].result < 0) {
            return textgen_report_at(error, TEXTGEN_LANE_FAILED, NULL, (int64_t)i, "%s",
                                     textgen_code_text(lanes[i].result));
        }
    }
    return TEXTGEN_OK;
}

/* ---- One stream ---- */

size_t textgen_stream_text_size(const textgen_stream *stream, size_t length) {
    const size_t symbol_bytes = stream->model->vocabulary->longest, held = (size_t)stream->text.held;
    return length <= PTRDIFF_MAX / (symbol_bytes + 1) - held ? (held + length) * symbol_bytes + 1 : SIZE_MAX;
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
    if (code == TEXTGEN_OK || code == TEXTGEN_LANE_FAILED || code == TEXTGEN_FORWARD_FAILED) {
        *written = lane.written;
    }
    return code == TEXTGEN_LANE_FAILED
               ? textgen_report(error, lane.result, "%s", textgen_code_text(lane.result))
               : code;
}

int32_t textgen_stream_finish(textgen_stream *stream, int32_t complete, char *text, size_t size,
                              size_t *written, textgen_error *error) {
    const int64_t held = stream->text.held;
    textgen_lane lane = {.stream = stream, .text = text};
    TEXTGEN_TRY(check_text(stream, 0, size, error));
    write_tokens(&lane, complete && stream->shape.is_bytes ? held - textgen_incomplete_bytes(stream->held, held)
                                                           : held);
    *written = lane.written;
    text[*written] = '\0';
    return TEXTGEN_OK;
}
