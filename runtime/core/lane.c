#include "lane.h"

#include <string.h>

/* Follow the stop texts over a token. */
static void find_stop(textgen_lane_call *lane, int64_t token) {
    const textgen_stop_state *stops = lane->guide.stops;
    if (stops) {
        lane->stop_state = textgen_stops_next(stops, lane->stop_state, token);
        lane->stop_length = stops[lane->stop_state].matched;
    }
}

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
    lane->held = lane->generated = lane->stop_length = lane->stop_state = 0;
    /* The stop texts may be others than those with which these tokens were drawn. */
    while (lane->held < text->held && !lane->stop_length) {
        lane->tokens[lane->held] = parts.held[lane->held];
        find_stop(lane, lane->tokens[lane->held++]);
    }
    lane->ending = lane->stop_length                ? TEXTGEN_REACHED_STOP
                   : textgen_text_is_complete(text) ? text->ending
                   : constraint && textgen_constraint_complete(constraint, text->constraint_state)
                       ? TEXTGEN_CONSTRAINT_END
                       : TEXTGEN_CONTINUES;
}

/* The tokens that the text may still have. */
static int64_t remaining(const textgen_lane_call *lane) {
    return lane->must_end ? lane->length - lane->generated : INT64_MAX;
}

/* Return the logits to draw from. */
static const float *allowed_logits(const textgen_shape *shape, const textgen_lane_call *lane,
                                   const float *logits, float *masked) {
    textgen_guide guide = lane->guide;
    /* Most texts have no mask, and a call of the function takes time. */
    if (!guide.constraint && !guide.spans && !lane->text->parameters.min_length) {
        return logits;
    }
    guide.constraint = lane->masked ? guide.constraint : NULL;
    return textgen_text_mask(shape, lane->text, guide, lane->generated, remaining(lane), lane->span_hash,
                             logits, masked);
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
    if (*count >= TEXTGEN_MAX_RECENT) {
        *count = TEXTGEN_MAX_COPY;
        memcpy(lane->recent, lane->recent + TEXTGEN_MAX_COPY, TEXTGEN_MAX_COPY * sizeof *lane->recent);
    }
    lane->recent[(*count)++] = (int32_t)token;
}

/* Append a drawn token. */
static void append(const textgen_shape *shape, textgen_lane_call *lane, const float *logits, int64_t token,
                   double *scratch) {
    /* The end is no part of a text, so the penalties do not count it. */
    if (token != shape->special.end) {
        textgen_sampler_accept(&lane->sampler, token);
    }
    if (lane->logprobs) {
        lane->logprobs[lane->generated] =
            (double)logits[token] -
            textgen_log_sum_exp(textgen_widen(logits, shape->vocabulary, scratch, shape->exp64),
                                shape->vocabulary, scratch + shape->vocabulary, shape->exp64);
    }
    lane->tokens[lane->held + lane->generated++] = token;
    find_stop(lane, token);
    if (lane->guide.spans) {
        keep_recent(lane, token);
    }
}

int64_t textgen_lane_draw(const textgen_shape *shape, textgen_lane_call *lane, const float *logits,
                          float *masked, double *scratch) {
    const float *allowed = allowed_logits(shape, lane, logits, masked);
    const int64_t token = textgen_sampler_draw(
        &lane->sampler, textgen_widen(allowed, shape->vocabulary, scratch, shape->exp64), shape->vocabulary);
    lane->ending = token < 0 ? textgen_text_draw_error(shape, logits, token, scratch)
                             : constrain(lane, token, shape->special.end);
    if (lane->ending != TEXTGEN_CONTINUES) {
        return -1;
    }
    append(shape, lane, logits, token, scratch);
    return token;
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
    const float *allowed = allowed_logits(shape, lane, logits, masked);
    return textgen_sampler_entropy(
        &lane->sampler, textgen_widen(allowed, shape->vocabulary, scratch, shape->exp64), shape->vocabulary);
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
    const textgen_stop_state *stops = lane->guide.stops;
    const int64_t pending = stops ? stops[lane->stop_state].pending : 0;
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
    text->since_feed += lane->generated;
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
