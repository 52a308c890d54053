/* Tests the stop texts of streams: stream_stops MODEL. Its vocabulary contains "abcd", and not "x". The texts
 * of streams with stop texts are compared with those of streams without. */
#include "check.h"

enum { LENGTH = 300, TEXT_SIZE = LENGTH * 4 + 1, STEP = 7 };

static textgen_stream *start_with_stops(const textgen_model *model, uint64_t seed, const char *const *stop,
                                        size_t count) {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    sampling.temperature = 1.0;
    sampling.seed = seed;
    sampling.stop = stop;
    sampling.stop_count = count;
    return start_with(model, &sampling, "abc");
}

/* The first end of a stop text in a text, and the bytes of the longest that ends there, or 0. */
static size_t find_stop(const char *text, const char *const *stop, size_t count, size_t *bytes) {
    size_t end, i;
    *bytes = 0;
    for (end = 1; end <= strlen(text); end++) {
        for (i = 0; i < count; i++) {
            const size_t length = strlen(stop[i]);
            if (length <= end && !memcmp(text + end - length, stop[i], length) && length > *bytes) {
                *bytes = length;
            }
        }
        if (*bytes) {
            return end;
        }
    }
    return 0;
}

/* The bytes at the end of a text that are the longest proper prefix of a stop text. */
static size_t find_pending(const char *text, size_t size, const char *const *stop, size_t count) {
    size_t longest = 0, i, prefix;
    for (i = 0; i < count; i++) {
        for (prefix = 1; prefix < strlen(stop[i]) && prefix <= size; prefix++) {
            if (!memcmp(text + size - prefix, stop[i], prefix) && prefix > longest) {
                longest = prefix;
            }
        }
    }
    return longest;
}

/* Generate in steps, and check each end. */
static void check_stream(const textgen_model *model, uint64_t seed, const char *const *stop, size_t count) {
    char whole[TEXT_SIZE], part[TEXT_SIZE];
    textgen_stream *plain = start_with_stops(model, seed, NULL, 0);
    textgen_stream *stopping = start_with_stops(model, seed, stop, count);
    size_t used = 0, begin = 0, total = 0, written, bytes, found, expected;
    CHECK_OK(textgen_stream_generate(plain, LENGTH, whole, TEXT_SIZE, &total, ERROR));
    while (used + STEP * 4 < total) {
        CHECK_OK(textgen_stream_generate(stopping, STEP, part, TEXT_SIZE, &written, ERROR));
        CHECK(!memcmp(part, whole + used, written));
        used += written;
        found = begin + find_stop(whole + begin, stop, count, &expected);
        if (textgen_stream_stopped(stopping, &bytes)) {
            CHECK(used == found && bytes == expected);
            begin = used;
        } else {
            CHECK(found == begin || found > used);
            CHECK(bytes == find_pending(whole + begin, used - begin, stop, count));
        }
    }
    free(plain);
    free(stopping);
}

static void check_wrong_stops(const textgen_model *model) {
    char longest[251 + 1] = {0};
    const char *const texts[] = {"ab", NULL, "", "x", "\xff", longest};
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_stream *stream = start(model, 0.5, 1, 0, "abc");
    memset(longest, 'a', 251);
    sampling.stop_count = 1;
    CHECK_FAILS(textgen_stream_set_sampling(stream, &sampling, ERROR), TEXTGEN_INVALID_ARGUMENT,
                "stop is NULL");
    sampling.stop = texts;
    sampling.stop_count = 2;
    CHECK_FAILS(textgen_stream_set_sampling(stream, &sampling, ERROR), TEXTGEN_INVALID_ARGUMENT,
                "stop[1]: the text is NULL");
    sampling.stop_count = 1;
    sampling.stop = texts + 2;
    CHECK_FAILS(textgen_stream_set_sampling(stream, &sampling, ERROR), TEXTGEN_INVALID_ARGUMENT, "empty");
    sampling.stop = texts + 3;
    CHECK_FAILS(textgen_stream_set_sampling(stream, &sampling, ERROR), TEXTGEN_UNKNOWN_CHARACTER,
                "stop[0]: 'x' (U+0078)");
    sampling.stop = texts + 4;
    CHECK_FAILS(textgen_stream_set_sampling(stream, &sampling, ERROR), TEXTGEN_INVALID_UTF8, "stop[0]");
    sampling.stop = texts + 5;
    CHECK_FAILS(textgen_stream_set_sampling(stream, &sampling, ERROR), TEXTGEN_INVALID_ARGUMENT,
                "more than 250 tokens");
    longest[250] = '\0';
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    free(stream);
}

/* Other stop texts begin with the next token; equal ones go on. A fed text is no part of a stop text. */
static void check_changes(const textgen_model *model) {
    const char *const stop[] = {"ab"};
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    char text[TEXT_SIZE];
    textgen_stream *stream;
    size_t bytes = 9, seed;
    CHECK(!textgen_stream_stopped(NULL, &bytes) && bytes == 0);
    sampling.temperature = 1.0;
    sampling.stop = stop;
    sampling.stop_count = 1;
    for (seed = 0; bytes != 1; seed++) {
        sampling.seed = seed;
        stream = start_with(model, &sampling, "c");
        CHECK_OK(textgen_stream_generate(stream, 1, text, TEXT_SIZE, NULL, ERROR));
        CHECK(!textgen_stream_stopped(stream, &bytes) && bytes == (*text == 'a'));
        if (bytes != 1) {
            free(stream);
        }
    }
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    CHECK(!textgen_stream_stopped(stream, &bytes) && bytes == 1);
    CHECK_OK(textgen_stream_feed(stream, "a", 1, ERROR));
    CHECK(!textgen_stream_stopped(stream, &bytes) && bytes == 0);
    sampling.stop_count = 0;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    CHECK_OK(textgen_stream_generate(stream, LENGTH, text, TEXT_SIZE, NULL, ERROR));
    CHECK(!textgen_stream_stopped(stream, NULL));
    free(stream);
}

int main(int count, char **arguments) {
    static const char *const stops[] = {"ab",   "ba", "aab",  "abcd",     "b",
                                        "cdcd", "dd", "cabd", "\xc3\xa9", "d\xe2\x82\xac\xc3\xa9"};
    loaded file;
    uint64_t state = 1, round;
    CHECK(count == 2);
    file = load(arguments[1], NULL);
    for (round = 0; round < 100; round++) {
        const size_t first = random_up_to(&state, 9);
        check_stream(file.model, round, stops + first, 1 + random_up_to(&state, 9 - first));
    }
    check_wrong_stops(file.model);
    check_changes(file.model);
    unload(&file);
    return 0;
}
