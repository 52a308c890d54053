/* What a program can learn of a model and of a stream: tokens, scores and the next tokens. */
#include "handles.h"

int64_t textgen_model_get_token(const textgen_model *model, const char *symbol, size_t size) {
    const textgen_view view = {(const unsigned char *)symbol, size};
    return model && symbol && size ? textgen_symbols_find(&model->vocabulary->symbols, view) : -1;
}

size_t textgen_model_get_symbol(const textgen_model *model, int64_t token, char *symbol) {
    return model && symbol && token >= 0 && (size_t)token < model->shape.vocabulary
               ? textgen_decode_token(model->vocabulary, token, symbol)
               : 0;
}

/* Find temporary memory in the workspace of a stream. */
static textgen_slots slots_of(textgen_stream *stream) {
    const textgen_workspace_parts parts = textgen_workspace_find(textgen_stream_workspace(stream), 1);
    return textgen_slots_find(stream->model->network, parts.slots, 1, 1);
}

/* Feed tokens one by one, and write their log-probabilities. */
static void score_text(textgen_stream *stream, textgen_encoder *encoder, double *logprobs) {
    const textgen_model *model = stream->model;
    const float *logits = textgen_text_find(&model->shape, textgen_stream_text(stream)).logits;
    const textgen_slots slots = slots_of(stream);
    textgen_error none = {NULL, 0};
    int64_t token;
    while (textgen_encode_next(model->vocabulary, encoder, &token, &none) > 0) {
        *logprobs++ = (double)logits[token] - textgen_log_sum_exp_float(logits, model->shape.vocabulary,
                                                                        slots.sampling, model->shape.exp64);
        textgen_stream_forward(stream, &token, 1);
    }
}

int32_t textgen_stream_score(textgen_stream *stream, const char *text, size_t size, double *logprobs,
                             size_t capacity, size_t *count, char *error, size_t error_size) {
    textgen_error message = {error, error_size};
    textgen_encoder encoder = {text, size, 0};
    TEXTGEN_TRY(textgen_check_pointer(stream, "stream", &message));
    TEXTGEN_TRY(textgen_check_pointer(logprobs, "logprobs", &message));
    TEXTGEN_TRY(textgen_check_pointer(count, "count", &message));
    TEXTGEN_TRY(textgen_check_fed(stream, &message));
    const int64_t tokens = textgen_stream_check_text(stream, text, size, &message);
    if (tokens < 0) {
        return (int32_t)tokens;
    }
    if ((size_t)tokens > capacity) {
        return textgen_fail(&message, TEXTGEN_BUFFER_TOO_SMALL, "logprobs has %zu elements; %zu are needed",
                            capacity, (size_t)tokens);
    }
    textgen_stream_begin_text(stream);
    score_text(stream, &encoder, logprobs);
    *count = (size_t)tokens;
    return TEXTGEN_OK;
}

/* Whether a token comes before another in the list of textgen_stream_next. */
static bool is_likelier(const textgen_next_token *one, const textgen_next_token *other) {
    return one->draw_probability != other->draw_probability ? one->draw_probability > other->draw_probability
           : one->probability != other->probability         ? one->probability > other->probability
                                                            : one->token < other->token;
}

/* Put a token in its place in a heap, in which each token is likelier than the one above it. heap[place] is
 * replaced. */
static void sink(textgen_next_token *heap, size_t count, size_t place, textgen_next_token token) {
    size_t child;
    while ((child = 2 * place + 1) < count) {
        if (child + 1 < count && is_likelier(&heap[child], &heap[child + 1])) {
            child++;
        }
        if (!is_likelier(&token, &heap[child])) {
            break;
        }
        heap[place] = heap[child];
        place = child;
    }
    heap[place] = token;
}

/* Write the likeliest of all tokens, in order. count: at most the vocabulary size. */
static void choose_likeliest(const double *probabilities, const double *draw_probabilities, size_t vocabulary,
                             textgen_next_token *tokens, size_t count) {
    for (size_t i = 0; i < vocabulary; i++) {
        const textgen_next_token next = {(int64_t)i, probabilities[i], draw_probabilities[i]};
        if (i >= count) {
            if (is_likelier(&next, &tokens[0])) {
                sink(tokens, count, 0, next);
            }
            continue;
        }
        tokens[i] = next;
        for (size_t place = i + 1 == count ? count / 2 : 0; place > 0; place--) {
            sink(tokens, count, place - 1, tokens[place - 1]);
        }
    }
    for (size_t i = count; i > 1; i--) {
        const textgen_next_token last = tokens[i - 1];
        tokens[i - 1] = tokens[0];
        sink(tokens, i - 1, 0, last);
    }
}

int32_t textgen_stream_next(textgen_stream *stream, textgen_next_token *tokens, size_t count, size_t *written,
                            char *error, size_t error_size) {
    textgen_error message = {error, error_size};
    double *probabilities[2];
    int64_t result = 0;
    TEXTGEN_TRY(textgen_check_pointer(stream, "stream", &message));
    TEXTGEN_TRY(textgen_check_pointer(tokens, "tokens", &message));
    TEXTGEN_TRY(textgen_check_pointer(written, "written", &message));
    TEXTGEN_TRY(textgen_check_fed(stream, &message));
    const textgen_shape *shape = &stream->model->shape;
    textgen_text *text = textgen_stream_text(stream);
    if (textgen_text_is_complete(text)) {
        *written = 0;
        return TEXTGEN_OK;
    }
    const textgen_slots slots = slots_of(stream);
    for (int i = 0; i < 2 && result == 0; i++) {
        probabilities[i] = slots.probabilities + (size_t)i * shape->vocabulary;
        result = textgen_text_probabilities(shape, text, textgen_stream_guide(stream), i == 1, probabilities[i],
                                            slots.masked, slots.sampling);
    }
    if (result < 0) {
        return textgen_fail(&message, textgen_sampler_code(result), "%s", textgen_sampler_error_text(result));
    }
    count = count < shape->vocabulary ? count : shape->vocabulary;
    if (count) {
        choose_likeliest(probabilities[0], probabilities[1], shape->vocabulary, tokens, count);
    }
    *written = count;
    return TEXTGEN_OK;
}
