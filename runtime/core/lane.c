#include "lane.h"

#include <string.h>

void textgen_lane_begin(const textgen_shape *shape, textgen_lane_call *lane) {
    textgen_text *text = lane->text;
    const textgen_text_parts parts = textgen_text_find(shape, text);
    const textgen_constraint *constraint = lane->guide.constraint;
    lane->sampler.parameters = text->parameters;
    lane->sampler.rng = text->rng;
    lane->sampler.exp64 = shape->exp64;
    lane->sampler.filters = text->filtered ? parts.filters : NULL;
    lane->recent = parts.recent;
    if (lane->guide.spans) {
        lane->span_hash = textgen_spans_hash(lane->guide.spans, lane->recent, text->recent);
    } else {
        text->recent = 0;
    }
    lane->stop_state = textgen_text_stop_state(shape, text, lane->guide.stops);
    lane->held = text->held;
    for (int64_t i = 0; i < lane->held; i++) {
        lane->tokens[i] = parts.held[i];
    }
    lane->generated = lane->stop_length = 0;
    lane->ending = textgen_text_is_complete(text) ? text->ending
                   : constraint && textgen_constraint_complete(constraint, text->constraint_state)
                       ? TEXTGEN_CONSTRAINT_END
                       : TEXTGEN_CONTINUES;
}

/* The tokens that the text may still have. */
static int64_t remaining(const textgen_lane_call *lane) {
    return lane->must_end ? lane->length - lane->generated : INT64_MAX;
}

/* Return the logits to draw from: those of the network, or a copy with the mask of the constraint and of
 * min_length. */
static const float *allowed_logits(const textgen_shape *shape, const textgen_lane_call *lane,
                                   const float *logits, float *masked) {
    const textgen_text *text = lane->text;
    const textgen_constraint *constraint = lane->guide.constraint;
    const bool constrained =
        constraint && lane->masked && !textgen_constraint_accepting(constraint, text->constraint_state);
    const bool endless =
        shape->special.end >= 0 && text->drawn + lane->generated < (int64_t)text->parameters.min_length;
    if (!constrained && !endless) {
        return logits;
    }
    memcpy(masked, logits, shape->vocabulary * sizeof *masked);
    if (constrained) {
        textgen_constraint_mask(constraint, text->constraint_state, remaining(lane), masked);
    }
    if (endless) {
        masked[shape->special.end] = -INFINITY;
    }
    return masked;
}

/* Move the constraint to the state after a token. Return the ending if it forbids the token. */
static int64_t constrain(textgen_lane_call *lane, int64_t token, int64_t end) {
    const textgen_constraint *constraint = lane->guide.constraint;
    int64_t *state = &lane->text->constraint_state;
    if (!constraint || (token == end && textgen_constraint_accepting(constraint, *state))) {
        return TEXTGEN_CONTINUES;
    }
    const int64_t next = textgen_constraint_next(constraint, *state, token, remaining(lane));
    if (next < 0) {
        return textgen_constraint_accepting(constraint, *state) ? TEXTGEN_CONSTRAINT_END : TEXTGEN_MISMATCH;
    }
    *state = next;
    return TEXTGEN_CONTINUES;
}

/* Keep a token, which may be in a span that later ones complete. */
static void keep_recent(textgen_lane_call *lane, int64_t token) {
    int64_t *count = &lane->text->recent;
    lane->span_hash = textgen_spans_next(lane->guide.spans, lane->recent, *count, lane->span_hash, token);
    if (*count == TEXTGEN_MAX_RECENT) {
        *count = TEXTGEN_MAX_COPY;
        memcpy(lane->recent, lane->recent + TEXTGEN_MAX_COPY, TEXTGEN_MAX_COPY * sizeof *lane->recent);
    }
    lane->recent[(*count)++] = (int32_t)token;
}

/* Append a drawn token. */
static void append(const textgen_shape *shape, textgen_lane_call *lane, const float *logits, int64_t token,
                   double *scratch) {
    const textgen_stops *stops = lane->guide.stops;
    /* The end is no part of a text, so the penalties do not count it. */
    if (token != shape->special.end) {
        textgen_sampler_accept(&lane->sampler, token);
    }
    if (lane->logprobs) {
        lane->logprobs[lane->generated] =
            (double)logits[token] - textgen_log_sum_exp_float(logits, shape->vocabulary, scratch, shape->exp64);
    }
    lane->tokens[lane->held + lane->generated++] = token;
    if (stops) {
        const int64_t state = textgen_stops_next(stops, lane->stop_state, token);
        lane->stop_length = stops->states[state].matched;
        lane->stop_state = lane->stop_length > 0 ? 0 : state;
    }
    if (lane->guide.spans) {
        keep_recent(lane, token);
    }
}

/* Draw a token that completes no span. Each one that does is masked and another one is drawn, so that the
 * others keep their ratios. */
static int64_t draw_no_copy(const textgen_shape *shape, textgen_lane_call *lane, const float *logits,
                            float *masked, double *scratch) {
    const textgen_spans *spans = lane->guide.spans;
    int64_t token = textgen_sampler_draw_float(&lane->sampler, logits, shape->vocabulary, scratch);
    while (token >= 0 && textgen_spans_has(spans, lane->recent, lane->text->recent, lane->span_hash, token)) {
        if (logits != masked) {
            memcpy(masked, logits, shape->vocabulary * sizeof *masked);
            logits = masked;
        }
        masked[token] = -INFINITY;
        token = textgen_sampler_draw_float(&lane->sampler, masked, shape->vocabulary, scratch);
    }
    return token == TEXTGEN_SAMPLER_NO_TOKEN && logits == masked ? TEXTGEN_SAMPLER_FORBIDDEN : token;
}

int64_t textgen_lane_draw(const textgen_shape *shape, textgen_lane_call *lane, const float *logits,
                          float *masked, double *scratch) {
    const float *allowed = allowed_logits(shape, lane, logits, masked);
    const int64_t token = lane->guide.spans
                              ? draw_no_copy(shape, lane, allowed, masked, scratch)
                              : textgen_sampler_draw_float(&lane->sampler, allowed, shape->vocabulary, scratch);
    int64_t ending = token < 0 ? token : constrain(lane, token, shape->special.end);
    if (ending == TEXTGEN_CONTINUES) {
        append(shape, lane, logits, token, scratch);
        return token;
    }
    if (ending == TEXTGEN_SAMPLER_NO_TOKEN && allowed == masked) {
        ending = TEXTGEN_SAMPLER_FORBIDDEN;
    }
    lane->ending = ending;
    return -1;
}

int64_t textgen_lane_ending(const textgen_shape *shape, const textgen_lane_call *lane) {
    const textgen_constraint *constraint = lane->guide.constraint;
    if (lane->stop_length > 0) {
        return TEXTGEN_REACHED_STOP;
    }
    if (lane->generated > 0 && lane->tokens[lane->held + lane->generated - 1] == shape->special.end) {
        return TEXTGEN_REACHED_END;
    }
    if (constraint && textgen_constraint_complete(constraint, lane->text->constraint_state)) {
        return TEXTGEN_CONSTRAINT_END;
    }
    return lane->generated >= lane->length ? TEXTGEN_REACHED_LENGTH : TEXTGEN_CONTINUES;
}

double textgen_lane_entropy(const textgen_shape *shape, const textgen_lane_call *lane, const float *logits,
                            float *masked, double *scratch) {
    return textgen_sampler_entropy_float(&lane->sampler, allowed_logits(shape, lane, logits, masked),
                                         shape->vocabulary, scratch);
}

/* The limits of the second byte are those of the Unicode Standard, table 3-7. */
int64_t textgen_incomplete_bytes(const int64_t *tokens, int64_t count) {
    for (int64_t size = 1; size <= 3 && size <= count; size++) {
        const int64_t *bytes = tokens + count - size;
        const int64_t first = bytes[0];
        if (first < 0x80 || first > 0xBF) {
            const int64_t needed = first < 0xC2 || first > 0xF4 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
            const int64_t least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
            const int64_t most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
            return size < needed && (size == 1 || (bytes[1] >= least && bytes[1] <= most)) ? size : 0;
        }
    }
    return 0;
}

/* Return how many of the last tokens must be held back. */
static int64_t undecided(const textgen_shape *shape, const textgen_lane_call *lane, int64_t count) {
    const textgen_stops *stops = lane->guide.stops;
    const int64_t pending = stops ? stops->states[lane->stop_state].pending : 0;
    if (textgen_text_is_complete(lane->text)) {
        return 0;
    }
    /* What is decided ends with a whole character, also before the beginning of a stop text. */
    return shape->is_bytes ? pending + textgen_incomplete_bytes(lane->tokens, count - pending) : pending;
}

void textgen_lane_finish(const textgen_shape *shape, textgen_lane_call *lane) {
    textgen_text *text = lane->text;
    int32_t *held = textgen_text_find(shape, text).held;
    const int64_t count = lane->held + lane->generated;
    text->rng = lane->sampler.rng;
    text->drawn += lane->generated;
    text->ending = lane->ending > 0 && lane->ending != TEXTGEN_MISMATCH ? lane->ending : TEXTGEN_CONTINUES;
    text->at_end = text->at_end || lane->ending == TEXTGEN_REACHED_END;
    if (lane->ending == TEXTGEN_REACHED_STOP) {
        lane->decided = lane->keep_stop ? count : count - lane->stop_length;
        text->held = 0;
        return;
    }
    text->held = undecided(shape, lane, count);
    lane->decided = count - text->held;
    for (int64_t i = 0; i < text->held; i++) {
        held[i] = (int32_t)lane->tokens[lane->decided + i];
    }
}
