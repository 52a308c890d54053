#include "text.h"

#include <string.h>

/* Saved texts are the same bytes everywhere, so that no part may have padding. */
_Static_assert(sizeof(textgen_rng) == 10 * 8, "padding");
_Static_assert(sizeof(textgen_text) == (TEXTGEN_PARAMETER_COUNT + 10 + 8) * 8, "padding");
_Static_assert(sizeof(textgen_filters) == 5 * 8 + TEXTGEN_MAX_PENALTY_WINDOW * 4, "padding");

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

textgen_text_parts textgen_text_find(const textgen_shape *shape, textgen_text *text) {
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

void textgen_text_init(const textgen_shape *shape, textgen_text *text, textgen_uint128 seed,
                       uint32_t substream) {
    memset(text, 0, end_of_logits(shape));
    text->parameters = textgen_parameters_default;
    textgen_text_seed(text, seed, substream, 0);
}

void textgen_text_configure(const textgen_shape *shape, textgen_text *text,
                            const textgen_parameters *parameters, bool biased) {
    textgen_filters *filters = textgen_text_find(shape, text).filters;
    const bool filtered = biased || textgen_filters_active(parameters);
    if (filtered && text->filtered) {
        textgen_filters_change(filters, &text->parameters, parameters);
    } else if (filtered) {
        textgen_filters_init(filters, parameters, shape->vocabulary);
    }
    if (text->parameters.min_length != parameters->min_length) {
        text->since_feed = 0;
    }
    text->filtered = filtered;
    text->parameters = *parameters;
}

void textgen_text_feed(const textgen_shape *shape, textgen_text *text, bool restart) {
    text->ending = text->at_end = text->since_feed = text->constraint_state = 0;
    text->held = text->recent = 0;
    text->is_fed = 1;
    if (restart) {
        memset(textgen_text_find(shape, text).state, 0, shape->state_values * sizeof(float));
    }
}

void textgen_text_begin_constraint(textgen_text *text) {
    text->constraint_state = 0;
    text->ending = text->at_end ? text->ending : TEXTGEN_CONTINUES;
}

bool textgen_text_is_complete(const textgen_text *text) {
    return text->ending == TEXTGEN_CONSTRAINT_END || text->ending == TEXTGEN_REACHED_END ||
           text->ending == TEXTGEN_MASKED_END;
}

int64_t textgen_text_needed(const textgen_text *text, const textgen_constraint *constraint) {
    const bool is_open = constraint && !textgen_text_is_complete(text) &&
                         !textgen_constraint_accepting(constraint, text->constraint_state);
    return is_open ? constraint->distance[text->constraint_state] : 0;
}

const float *textgen_text_mask(const textgen_shape *shape, textgen_text *text, textgen_guide guide,
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

int64_t textgen_text_draw_error(const textgen_shape *shape, const float *logits, int64_t error,
                                double *scratch) {
    const double *values = textgen_widen(logits, shape->vocabulary, scratch, shape->exp64);
    return error == TEXTGEN_INVALID_LOGITS && textgen_argmax(values, shape->vocabulary, shape->exp64) >= 0
               ? TEXTGEN_NO_TOKEN
               : error;
}

int64_t textgen_text_probabilities(const textgen_shape *shape, textgen_text *text, textgen_guide guide,
                                   bool of_draw, double *probabilities, float *masked, double *scratch) {
    const textgen_text_parts parts = textgen_text_find(shape, text);
    const textgen_sampler sampler = {text->parameters, text->rng, shape->exp64,
                                     text->filtered ? parts.filters : NULL};
    double sum = 1.0;
    int32_t result;
    memcpy(masked, parts.logits, shape->vocabulary * sizeof *masked);
    textgen_special_mask(&shape->special, masked);
    if (of_draw) {
        const uint64_t hash = guide.spans ? textgen_spans_hash(guide.spans, parts.recent, text->recent) : 0;
        (void)textgen_text_mask(shape, text, guide, 0, INT64_MAX, hash, masked, masked);
    }
    double *values = textgen_widen(masked, shape->vocabulary, scratch, shape->exp64);
    if (of_draw) {
        result = textgen_sampler_reweight(&sampler, values, shape->vocabulary, probabilities, &sum);
    } else {
        result = textgen_reweight(values, shape->vocabulary, 1.0, probabilities, &sum, shape->exp64);
    }
    for (size_t i = 0; i < shape->vocabulary && result == TEXTGEN_OK; i++) {
        probabilities[i] /= sum;
    }
    return of_draw && result < 0 ? textgen_text_draw_error(shape, parts.logits, result, scratch) : result;
}
