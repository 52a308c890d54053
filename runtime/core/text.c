#include "text.h"

#include <string.h>

/* Saved texts are the same bytes everywhere, so that no part may have padding. */
_Static_assert(sizeof(textgen_rng) == 10 * 8, "padding");
_Static_assert(sizeof(textgen_text) == (TEXTGEN_PARAMETER_COUNT + 10 + 8) * 8, "padding");
_Static_assert(sizeof(textgen_filters) == 5 * 8 + TEXTGEN_MAX_PENALTY_WINDOW * 4, "padding");

/* Parts are aligned to 8 bytes. */
static size_t aligned(size_t size) { return (size + 7) / 8 * 8; }

static size_t end_of_logits(const textgen_shape *shape) {
    return aligned(sizeof(textgen_text) + (shape->state_values + shape->vocabulary) * sizeof(float));
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
        text->drawn = 0;
    }
    text->filtered = filtered;
    text->parameters = *parameters;
}

void textgen_text_feed(const textgen_shape *shape, textgen_text *text, bool restart) {
    text->ending = text->at_end = text->drawn = text->constraint_state = 0;
    text->held = text->recent = 0;
    text->is_fed = 1;
    if (restart) {
        memset(textgen_text_find(shape, text).state, 0, shape->state_values * sizeof(float));
    }
}

int64_t textgen_text_stop_state(const textgen_shape *shape, textgen_text *text, const textgen_stops *stops) {
    const int32_t *held = textgen_text_find(shape, text).held;
    int64_t state = 0, i;
    for (i = 0; stops && i < text->held; i++) {
        state = textgen_stops_next(stops, state, held[i]);
        /* These tokens were drawn with other stop texts. */
        state = stops->states[state].matched ? 0 : state;
    }
    return state;
}

bool textgen_text_is_complete(const textgen_text *text) {
    return text->ending == TEXTGEN_CONSTRAINT_END || text->ending == TEXTGEN_REACHED_END ||
           text->ending == TEXTGEN_MASKED_END;
}

int64_t textgen_text_probabilities(const textgen_shape *shape, textgen_text *text, textgen_guide guide,
                                   bool of_draw, double *probabilities, float *masked, double *scratch) {
    const textgen_text_parts parts = textgen_text_find(shape, text);
    const textgen_sampler sampler = {text->parameters, text->rng, shape->exp64,
                                     text->filtered ? parts.filters : NULL};
    double sum = 1.0;
    memcpy(masked, parts.logits, shape->vocabulary * sizeof *masked);
    textgen_special_mask(&shape->special, masked);
    int64_t result;
    if (!of_draw) {
        result = textgen_reweight_float(masked, shape->vocabulary, 1.0, scratch, &sum, shape->exp64);
    } else {
        if (guide.constraint) {
            textgen_constraint_mask(guide.constraint, text->constraint_state, INT64_MAX, masked);
        }
        if (guide.spans) {
            textgen_spans_mask(guide.spans, parts.recent, text->recent, masked);
        }
        if (shape->special.end >= 0 && text->drawn < (int64_t)text->parameters.min_length) {
            masked[shape->special.end] = -INFINITY;
        }
        result = textgen_sampler_reweight_float(&sampler, masked, shape->vocabulary, scratch, &sum);
    }
    for (size_t i = 0; i < shape->vocabulary && result == 0; i++) {
        probabilities[i] = scratch[i] / sum;
    }
    return result;
}
