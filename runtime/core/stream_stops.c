#include "stream_stops.h"

#include "symbols.h"
#include "utf8.h"

#include <string.h>

/* Encode a text. Return the number of tokens, at most one more than the limit, or a negative code. */
static int64_t encode(const char *text, const textgen_vocabulary *vocabulary,
                      int64_t tokens[TEXTGEN_MAX_STOP_TOKENS + 1], textgen_error *error) {
    textgen_encoder encoder = {text, strlen(text), 0};
    int64_t count = 0;
    int32_t result = 1;
    while (count <= TEXTGEN_MAX_STOP_TOKENS && result > 0) {
        result = textgen_encode_next(vocabulary, &encoder, &tokens[count], error);
        if (result > 0 && tokens[count] == vocabulary->special.unknown) {
            return textgen_fail(error, TEXTGEN_UNKNOWN_CHARACTER,
                                "the character before byte %zu of the text is not in the vocabulary: remove it",
                                encoder.offset);
        }
        count += result > 0;
    }
    return result < 0 ? result : count;
}

static int32_t add(textgen_stream_stops *stops, const char *text, const textgen_vocabulary *vocabulary,
                   textgen_error *error) {
    int64_t tokens[TEXTGEN_MAX_STOP_TOKENS + 1];
    const int64_t count = text ? encode(text, vocabulary, tokens, error) : 0;
    if (count < 0) {
        return (int32_t)count;
    }
    if (!count) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "the text is %s", text ? "empty" : "NULL");
    }
    if (stops->count + (size_t)count > TEXTGEN_MAX_STOP_TOKENS + 1) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT,
                            "the stop texts together have more than %d tokens: use fewer or shorter ones",
                            (int)TEXTGEN_MAX_STOP_TOKENS);
    }
    stops->count = textgen_stops_add(stops->states, stops->count, tokens, (size_t)count);
    return TEXTGEN_OK;
}

int32_t textgen_stream_stops_read(const char *const *texts, size_t count, const textgen_vocabulary *vocabulary,
                                  textgen_stream_stops *stops, textgen_error *error) {
    char text[TEXTGEN_MESSAGE_SIZE];
    textgen_error message = {text, sizeof text};
    memset(stops, 0, sizeof *stops);
    stops->count = 1;
    if (count && !texts) {
        return textgen_fail(error, TEXTGEN_INVALID_ARGUMENT, "stop is NULL");
    }
    for (size_t i = 0; i < count; i++) {
        const int32_t result = add(stops, texts[i], vocabulary, &message);
        if (result < 0) {
            return textgen_fail(error, result, "stop[%zu]: %s", i, text);
        }
    }
    textgen_stops_link(stops->states);
    return TEXTGEN_OK;
}
