#include "text.h"

#include <string.h>

/* Saved texts are the same bytes everywhere, so that no part may have padding. */
_Static_assert(sizeof(textgen_rng) == 10 * 8, "padding");
_Static_assert(sizeof(textgen_text) == (TEXTGEN_PARAMETER_COUNT + 10 + 8) * 8, "padding");
_Static_assert(sizeof(textgen_filters) == 5 * 8 + TEXTGEN_MAX_PENALTY_WINDOW * 4, "padding");

/* ---- The block ---- */

static size_t end_of_logits(const textgen_shape *shape) {
    return textgen_aligned(sizeof(textgen_text) + (shape->state_values + shape->vocabulary) * sizeof(float));
}

static size_t end_of_held(const textgen_shape *shape) {
    return end_of_logits(shape) + TEXTGEN_MAX_HELD * sizeof(int32_t);
}

static size_t end_of_filters(const textgen_shape *shape) {
    return end_of_held(shape) + textgen_filters_size(shape->vocabulary);
}

size_t textgen_text_size(const textgen_shape *shape) {
    return end_of_filters(shape) + TEXTGEN_MAX_RECENT * sizeof(int32_t);
}

size_t textgen_text_used(const textgen_shape *shape, const textgen_text *text) {
    return text->recent     ? textgen_text_size(shape)
           : text->filtered ? end_of_filters(shape)
           : text->held     ? end_of_held(shape)
                            : end_of_logits(shape);
}

textgen_text_parts textgen_text_find(const textgen_shape *shape, const textgen_text *text) {
    char *start = (char *)text;
    textgen_text_parts parts;
    parts.state = (void *)(start + sizeof *text);
    parts.logits = parts.state + shape->state_values;
    parts.held = (void *)(start + end_of_logits(shape));
    parts.filters = (void *)(start + end_of_held(shape));
    parts.recent = (void *)(start + end_of_filters(shape));
    return parts;
}

void textgen_text_seed(textgen_text *text, textgen_uint128 seed, uint32_t substream, int64_t position) {
    textgen_rng_init(&text->rng, seed, substream);
    if (position) {
        textgen_rng_seek(&text->rng, position);
    }
}

void textgen_text_init(const textgen_shape *shape, textgen_text *text) {
    const textgen_uint128 unseeded = {0, 0};
    memset(text, 0, end_of_logits(shape));
    text->parameters = textgen_parameters_default;
    textgen_text_seed(text, unseeded, 0, 0);
}

void textgen_text_configure(const textgen_shape *shape, textgen_text *text,
                            const textgen_parameters *parameters, const double *bias) {
    textgen_filters *filters = textgen_text_find(shape, text).filters;
    const bool filtered = bias || textgen_filters_active(parameters);
    if (filtered && text->filtered) {
        textgen_filters_change(filters, &text->parameters, parameters);
    } else if (filtered) {
        textgen_filters_init(filters, parameters, shape->vocabulary);
    }
    for (size_t i = 0; filtered && i < shape->vocabulary; i++) {
        textgen_filters_bias(filters)[i] = bias ? bias[i] : 0.0;
    }
    if (text->parameters.min_length != parameters->min_length) {
        text->since_feed = 0;
    }
    text->filtered = filtered;
    text->parameters = *parameters;
}

void textgen_text_begin(const textgen_shape *shape, textgen_text *text, bool restart) {
    text->ending = text->at_end = text->since_feed = text->constraint_state = 0;
    text->held = text->recent = 0;
    if (restart) {
        text->is_fed = 0;
        memset(textgen_text_find(shape, text).state, 0, shape->state_values * sizeof(float));
    }
}

void textgen_text_begin_constraint(textgen_text *text) {
    text->constraint_state = 0;
    text->ending = text->at_end ? text->ending : TEXTGEN_CONTINUES;
}

bool textgen_text_is_complete(const textgen_text *text) {
    return text->ending == TEXTGEN_CONSTRAINT_END || text->ending == TEXTGEN_REACHED_END;
}

int64_t textgen_text_needed(const textgen_text *text, const textgen_constraint *constraint) {
    const bool is_open = constraint && !textgen_text_is_complete(text) &&
                         !textgen_constraint_accepting(constraint, text->constraint_state);
    return is_open ? constraint->distance[text->constraint_state] : 0;
}

/* ---- The next token ---- */

textgen_sampler_state textgen_text_sampler(const textgen_shape *shape, const textgen_text *text) {
    return (textgen_sampler_state){text->parameters, text->rng, shape->exp64,
                                   text->filtered ? textgen_text_find(shape, text).filters : NULL};
}

/* Return the logits to draw from, [vocabulary]: those of the network, or `masked`, a copy in which the tokens
 * are -infinity that the constraint, min_length or the spans forbid. It may be the logits themselves. drawn:
 * tokens of this call, which `since_feed` does not count yet. remaining: see constraint.h. span_hash: see
 * textgen_spans_hash. */
static const float *mask(const textgen_shape *shape, const textgen_text *text, textgen_guide guide,
                         int64_t drawn, int64_t remaining, uint64_t span_hash, const float *logits,
                         float *masked) {
    const bool endless =
        shape->special.end >= 0 && text->since_feed + drawn < (int64_t)text->parameters.min_length;
    if ((guide.constraint || endless) && logits != masked) {
        logits = memcpy(masked, logits, shape->vocabulary * sizeof *masked);
    }
    if (guide.constraint) {
        textgen_constraint_mask(guide.constraint, text->constraint_state, remaining, masked);
    }
    if (endless) {
        masked[shape->special.end] = -INFINITY;
    }
    return guide.spans ? textgen_spans_mask(guide.spans, textgen_text_find(shape, text).recent, text->recent,
                                            span_hash, logits, masked)
                       : logits;
}

/* Return the code of a draw that failed. logits: those of the network, which may be valid. */
static int32_t draw_error(const textgen_shape *shape, const float *logits, int64_t error) {
    return error == TEXTGEN_INVALID_LOGITS && textgen_argmax_float(logits, shape->vocabulary) >= 0
               ? TEXTGEN_NO_TOKEN
               : (int32_t)error;
}

int32_t textgen_text_probabilities(const textgen_shape *shape, const textgen_text *text, textgen_guide guide,
                                   bool of_draw, double *probabilities, float *masked, double *scratch) {
    const textgen_text_parts parts = textgen_text_find(shape, text);
    const textgen_sampler_state sampler = textgen_text_sampler(shape, text);
    double sum = 1.0;
    int64_t error;
    memcpy(masked, parts.logits, shape->vocabulary * sizeof *masked);
    textgen_special_mask(&shape->special, masked);
    if (of_draw) {
        const uint64_t hash = guide.spans ? textgen_spans_hash(guide.spans, parts.recent, text->recent) : 0;
        (void)mask(shape, text, guide, 0, INT64_MAX, hash, masked, masked);
        error = textgen_filtered_reweight_float(&sampler, masked, shape->vocabulary, scratch, &sum);
    } else {
        error = textgen_reweight_float(masked, shape->vocabulary, 1.0, scratch, &sum, shape->exp64);
    }
    for (size_t i = 0; i < shape->vocabulary && error == 0; i++) {
        probabilities[i] = scratch[i] / sum;
    }
    return draw_error(shape, parts.logits, error);
}

/* ---- A lane ---- */

/* Follow the stop texts over a token. */
static void find_stop(textgen_lane_call *lane, int64_t token) {
    const textgen_stop_state *stops = lane->guide.stops;
    if (stops) {
        lane->stop_state = textgen_stops_next(stops, lane->stop_state, token);
        lane->stop = stops[lane->stop_state].matched;
    }
}

void textgen_lane_begin(const textgen_shape *shape, textgen_lane_call *lane) {
    textgen_text *text = lane->text;
    const textgen_text_parts parts = textgen_text_find(shape, text);
    const textgen_constraint *constraint = lane->guide.constraint;
    lane->sampler = textgen_text_sampler(shape, text);
    if (lane->guide.spans) {
        lane->span_hash = textgen_spans_hash(lane->guide.spans, parts.recent, text->recent);
    } else {
        text->recent = 0;
    }
    lane->count = lane->drawn = lane->stop = lane->stop_state = 0;
    /* The stop texts may be others than those with which these tokens were drawn. */
    while (lane->count < text->held && !lane->stop) {
        lane->tokens[lane->count] = parts.held[lane->count];
        find_stop(lane, lane->tokens[lane->count++]);
    }
    lane->ending = lane->stop                       ? TEXTGEN_REACHED_STOP
                   : textgen_text_is_complete(text) ? text->ending
                   : constraint && textgen_constraint_complete(constraint, text->constraint_state)
                       ? TEXTGEN_CONSTRAINT_END
                       : TEXTGEN_CONTINUES;
}

/* The tokens that the text may still have. */
static int64_t remaining(const textgen_lane_call *lane) {
    return lane->must_end ? lane->length - lane->drawn : INT64_MAX;
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
    return mask(shape, lane->text, guide, lane->drawn, remaining(lane), lane->span_hash, logits, masked);
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
static void keep_recent(const textgen_shape *shape, textgen_lane_call *lane, int64_t token) {
    int32_t *recent = textgen_text_find(shape, lane->text).recent;
    int64_t *count = &lane->text->recent;
    lane->span_hash = textgen_spans_next(lane->guide.spans, recent, *count, lane->span_hash, token);
    if (*count >= TEXTGEN_MAX_RECENT) {
        *count = TEXTGEN_MAX_COPY;
        memcpy(recent, recent + TEXTGEN_MAX_COPY, TEXTGEN_MAX_COPY * sizeof *recent);
    }
    recent[(*count)++] = (int32_t)token;
}

/* Append a drawn token. */
static void append(const textgen_shape *shape, textgen_lane_call *lane, const float *logits, int64_t token,
                   double *scratch) {
    /* The end is no part of a text, so the penalties do not count it. */
    if (token != shape->special.end) {
        textgen_sampler_accept(&lane->sampler, token);
    }
    if (lane->logprobs) {
        lane->logprobs[lane->drawn] =
            (double)logits[token] - textgen_log_sum_exp_float(logits, shape->vocabulary, scratch, shape->exp64);
    }
    lane->tokens[lane->count++] = token;
    lane->drawn++;
    find_stop(lane, token);
    if (lane->guide.spans) {
        keep_recent(shape, lane, token);
    }
}

int64_t textgen_lane_draw(const textgen_shape *shape, textgen_lane_call *lane, const float *logits,
                          float *masked, double *scratch) {
    const float *allowed = allowed_logits(shape, lane, logits, masked);
    const int64_t token = textgen_filtered_draw_float(&lane->sampler, allowed, shape->vocabulary, scratch);
    lane->ending = token < 0 ? draw_error(shape, logits, token) : constrain(lane, token, shape->special.end);
    if (lane->ending != TEXTGEN_CONTINUES) {
        return -1;
    }
    append(shape, lane, logits, token, scratch);
    return token;
}

int64_t textgen_lane_ending(const textgen_shape *shape, const textgen_lane_call *lane) {
    const textgen_constraint *constraint = lane->guide.constraint;
    if (lane->stop > 0) {
        return TEXTGEN_REACHED_STOP;
    }
    if (lane->drawn > 0 && lane->tokens[lane->count - 1] == shape->special.end) {
        return TEXTGEN_REACHED_END;
    }
    if (constraint && textgen_constraint_complete(constraint, lane->text->constraint_state)) {
        return TEXTGEN_CONSTRAINT_END;
    }
    return lane->drawn >= lane->length ? TEXTGEN_REACHED_LENGTH : TEXTGEN_CONTINUES;
}

double textgen_lane_entropy(const textgen_shape *shape, const textgen_lane_call *lane, const float *logits,
                            float *masked, double *scratch) {
    return textgen_filtered_entropy_float(&lane->sampler, allowed_logits(shape, lane, logits, masked),
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

int64_t textgen_lane_decided(const textgen_shape *shape, const textgen_lane_call *lane) {
    const textgen_stop_state *stops = lane->guide.stops;
    const int64_t whole = lane->count - (stops ? stops[lane->stop_state].pending : 0);
    if (textgen_text_is_complete(lane->text)) {
        return lane->count;
    }
    /* What is decided ends with a whole character, also before the beginning of a stop text. */
    return shape->is_bytes ? whole - textgen_incomplete_bytes(lane->tokens, whole) : whole;
}

int64_t textgen_lane_finish(const textgen_shape *shape, textgen_lane_call *lane) {
    textgen_text *text = lane->text;
    text->rng = lane->sampler.rng;
    text->since_feed += lane->drawn;
    text->ending = lane->ending > 0 && lane->ending != TEXTGEN_MISMATCH ? lane->ending : TEXTGEN_CONTINUES;
    text->at_end = text->at_end || lane->ending == TEXTGEN_REACHED_END;
    text->held = 0;
    if (lane->ending == TEXTGEN_REACHED_STOP) {
        return lane->count - lane->stop;
    }
    const int64_t decided = textgen_lane_decided(shape, lane);
    int32_t *held = textgen_text_find(shape, text).held;
    while (text->held < lane->count - decided) {
        held[text->held] = (int32_t)lane->tokens[decided + text->held];
        text->held++;
    }
    return decided;
}
