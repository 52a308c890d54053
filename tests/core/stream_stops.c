/* Tests the stop texts of streams: stream_stops MODEL. Its vocabulary contains "abcd", and not "x". The texts
 * of streams with stop texts are compared with those of streams without. */
#include "check.h"

#include <math.h>

enum { LENGTH = 300, TEXT_SIZE = LENGTH * 4 + 1, STEP = 7, LONGEST = 8 };

/* The number of tokens of MODEL, and those that are "b" and "c". */
enum { TOKENS = 12, B = 3, C = 4 };

static textgen_stream *start_with_stops(const textgen_model *model, uint64_t seed, const char *const *stop,
                                        size_t count, size_t keep_stop) {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    sampling.temperature = 1.0;
    sampling.seed = seed;
    sampling.stop = stop;
    sampling.stop_count = count;
    sampling.keep_stop = keep_stop;
    return start_with(model, &sampling, "abc");
}

/* The first end of a stop text in a text, and the bytes of the longest that ends there, or 0. */
static size_t find_stop(const char *text, const char *const *stop, size_t count, size_t *bytes) {
    *bytes = 0;
    for (size_t end = 1; end <= strlen(text); end++) {
        for (size_t i = 0; i < count; i++) {
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
    size_t longest = 0;
    for (size_t i = 0; i < count; i++) {
        for (size_t prefix = 1; prefix < strlen(stop[i]) && prefix <= size; prefix++) {
            if (!memcmp(text + size - prefix, stop[i], prefix) && prefix > longest) {
                longest = prefix;
            }
        }
    }
    return longest;
}

/* The bytes of a number of characters. */
static size_t bytes_of(const char *text, size_t characters) {
    size_t bytes = 0;
    while (characters > 0) {
        bytes++;
        characters -= ((unsigned char)text[bytes] & 0xC0) != 0x80;
    }
    return bytes;
}

/* A text without stop texts, and how far a stream with stop texts has come in it. */
typedef struct {
    char whole[TEXT_SIZE];
    size_t begin; /* where the search for stop texts begins */
    size_t used;  /* bytes that were drawn */
    size_t shown; /* bytes that were written */
    const char *const *stop;
    size_t count, keep_stop;
} walk;

static void check_part(walk *at, const char *part, size_t written, size_t end) {
    CHECK(written == end - at->shown && !memcmp(part, at->whole + at->shown, written));
    at->shown = end;
}

/* Generate at most `length` characters, and check what was written. */
static void step(walk *at, textgen_lane *lane, void *workspace, size_t size) {
    lane->size = textgen_stream_text_size(lane->stream, lane->length);
    lane->text = allocate(lane->size);
    CHECK_OK(textgen_generate(lane, 1, workspace, size, ERROR));
    size_t stop_bytes;
    const size_t found = find_stop(at->whole + at->begin, at->stop, at->count, &stop_bytes);
    at->used += bytes_of(at->whole + at->used, lane->drawn);
    CHECK(lane->ending == textgen_stream_ending(lane->stream));
    if (lane->ending == TEXTGEN_REACHED_STOP) {
        CHECK(at->used == at->begin + found);
        check_part(at, lane->text, lane->written, at->used - (at->keep_stop ? 0 : stop_bytes));
        at->begin = at->shown = at->used;
    } else {
        const size_t drawn = at->used - at->begin;
        CHECK(lane->ending == TEXTGEN_REACHED_LENGTH && lane->drawn == lane->length);
        CHECK(!found || found > drawn);
        check_part(at, lane->text, lane->written,
                   at->used -
                       (lane->finish ? 0 : find_pending(at->whole + at->begin, drawn, at->stop, at->count)));
        at->begin = lane->finish ? at->used : at->begin;
    }
    free(lane->text);
}

/* Write what is held back. The search for stop texts begins again. */
static void finish(walk *at, textgen_stream *stream) {
    char part[LONGEST * 4 + 1];
    size_t written;
    CHECK_OK(textgen_stream_finish(stream, part, sizeof part, &written, ERROR));
    check_part(at, part, written, at->used);
    CHECK_OK(textgen_stream_finish(stream, part, sizeof part, &written, ERROR));
    CHECK(written == 0 && !*part);
    at->begin = at->used;
}

/* Generate in steps of random lengths. */
static void check_stream(const textgen_model *model, uint64_t seed, const char *const *stop, size_t count) {
    const size_t size = textgen_workspace_size(model, 1);
    textgen_stream *plain = start_with_stops(model, seed, NULL, 0, 0);
    textgen_lane lane = TEXTGEN_LANE_DEFAULT;
    void *workspace = allocate(size);
    walk at = {.stop = stop, .count = count, .keep_stop = seed & 1};
    uint64_t state = seed;
    size_t total;
    CHECK_OK(textgen_stream_generate(plain, LENGTH, at.whole, TEXT_SIZE, &total, ERROR));
    lane.stream = start_with_stops(model, seed, stop, count, at.keep_stop);
    while (at.used + STEP * 4 < total) {
        lane.length = 1 + random_up_to(&state, STEP - 1);
        lane.finish = random_up_to(&state, 9) == 0;
        step(&at, &lane, workspace, size);
        if (random_up_to(&state, 9) == 0) {
            finish(&at, lane.stream);
        }
    }
    free(plain), free(lane.stream), free(workspace);
}

static void check_wrong_stops(const textgen_model *model) {
    char longest[251 + 1] = {0};
    const struct {
        const char *text;
        int32_t code;
    } cases[] = {{NULL, TEXTGEN_INVALID_ARGUMENT},
                 {"", TEXTGEN_INVALID_ARGUMENT},
                 {"ax", TEXTGEN_UNKNOWN_CHARACTER},
                 {"\xff", TEXTGEN_INVALID_UTF8},
                 {longest, TEXTGEN_INVALID_ARGUMENT}};
    const char *texts[] = {"ab", NULL};
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_stream *stream = start(model, 0.5, 1, 0, "abc");
    memset(longest, 'b', 251);
    sampling.stop_count = 2;
    CHECK_INVALID(textgen_stream_set_sampling(stream, &sampling, ERROR), "stop[0]");
    sampling.stop = texts;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        texts[1] = cases[i].text;
        CHECK_FAILS(textgen_stream_set_sampling(stream, &sampling, ERROR), cases[i].code, "stop[1]");
    }
    /* With the two of "ab", these are 250 tokens. */
    longest[248] = '\0';
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    longest[248] = 'b', longest[249] = '\0';
    CHECK_INVALID(textgen_stream_set_sampling(stream, &sampling, ERROR), "stop[1]");
    free(stream);
}

/* Return a stream with the stop text "ab" that holds "a" back, which it drew first. */
static textgen_stream *start_holding(const textgen_model *model, textgen_sampling *sampling) {
    static const char *const stop[] = {"ab"};
    char text[2 * 4 + 1];
    textgen_stream *stream = NULL;
    const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;
    *sampling = defaults;
    sampling->temperature = 1.0;
    sampling->stop = stop;
    sampling->stop_count = 1;
    do {
        free(stream);
        sampling->seed++;
        stream = start_with(model, sampling, "c");
        CHECK_OK(textgen_stream_generate(stream, 1, text, sizeof text, NULL, ERROR));
    } while (*text);
    return stream;
}

static void check_held(const textgen_model *model, const textgen_stream *stream, const char *expected) {
    const size_t size = textgen_stream_size(model);
    textgen_stream *copy;
    char text[2 * 4 + 1];
    CHECK_OK(textgen_stream_copy(stream, allocate(size), size, &copy, ERROR));
    size_t written;
    CHECK_OK(textgen_stream_finish(copy, text, sizeof text, &written, ERROR));
    CHECK(!strcmp(text, expected) && written == strlen(expected));
    free(copy);
}

/* Allow only one token from now on. */
static void forbid_others(textgen_stream *stream, textgen_sampling *sampling, size_t token) {
    static float bias[TOKENS];
    for (size_t i = 0; i < TOKENS; i++) {
        bias[i] = i == token ? 0.0f : -INFINITY;
    }
    sampling->logit_bias = bias;
    sampling->logit_bias_count = TOKENS;
    CHECK_OK(textgen_stream_set_sampling(stream, sampling, ERROR));
}

/* Other stop texts begin with the text that is held back. A fed text is no part of a stop text. */
static void check_changes(const textgen_model *model) {
    static const char *const same[] = {"ab"}, *const other[] = {"ac"}, *const unlike[] = {"cc"};
    textgen_sampling sampling;
    textgen_stream *stream = start_holding(model, &sampling);
    char text[2 * 4 + 1];
    check_held(model, stream, "a");
    sampling.stop = same;
    forbid_others(stream, &sampling, B);
    CHECK_OK(textgen_stream_generate(stream, 1, text, sizeof text, NULL, ERROR));
    CHECK(!*text && textgen_stream_ending(stream) == TEXTGEN_REACHED_STOP);
    free(stream);
    stream = start_holding(model, &sampling);
    CHECK_FAILS(textgen_stream_generate(stream, 1, text, 2 * 4, NULL, ERROR), TEXTGEN_BUFFER_TOO_SMALL,
                "text has 8 bytes; 9 are needed");
    sampling.stop = unlike;
    forbid_others(stream, &sampling, C);
    CHECK_OK(textgen_stream_generate(stream, 1, text, sizeof text, NULL, ERROR));
    CHECK(!strcmp(text, "a") && textgen_stream_ending(stream) == TEXTGEN_REACHED_LENGTH);
    free(stream);
    stream = start_holding(model, &sampling);
    sampling.stop = other;
    forbid_others(stream, &sampling, C);
    CHECK_OK(textgen_stream_generate(stream, 1, text, sizeof text, NULL, ERROR));
    CHECK(!*text && textgen_stream_ending(stream) == TEXTGEN_REACHED_STOP);
    free(stream);
    stream = start_holding(model, &sampling);
    CHECK_OK(textgen_stream_feed(stream, "a", 1, ERROR));
    CHECK(textgen_stream_ending(stream) == TEXTGEN_CONTINUES);
    check_held(model, stream, "");
    free(stream);
}

/* A text ends before a new stop text in the text that is held back. What was drawn after it is dropped. */
static void check_stop_within_held(const textgen_model *model) {
    static const char *const longer[] = {"abc"}, *const first[] = {"a"}, *const last[] = {"b"};
    static const struct {
        const char *const *stop;
        size_t keep_stop;
        const char *text;
    } cases[] = {{first, 0, ""}, {first, 1, "a"}, {last, 0, "a"}, {last, 1, "ab"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        textgen_sampling sampling;
        textgen_stream *stream = start_holding(model, &sampling);
        char text[3 * 4 + 1];
        sampling.stop = longer;
        forbid_others(stream, &sampling, B);
        CHECK_OK(textgen_stream_generate(stream, 1, text, sizeof text, NULL, ERROR));
        check_held(model, stream, "ab");
        sampling.stop = cases[i].stop;
        sampling.keep_stop = cases[i].keep_stop;
        CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
        CHECK_OK(textgen_stream_generate(stream, 1, text, sizeof text, NULL, ERROR));
        CHECK(!strcmp(text, cases[i].text) && textgen_stream_ending(stream) == TEXTGEN_REACHED_STOP);
        check_held(model, stream, "");
        free(stream);
    }
}

static void check_finish(const textgen_model *model) {
    textgen_sampling sampling;
    textgen_stream *stream = start_holding(model, &sampling);
    char text[4 + 1];
    CHECK(textgen_stream_text_size(NULL, 1) == 0 && textgen_stream_text_size(stream, SIZE_MAX / 4) == 0);
    CHECK_INVALID(textgen_stream_finish(NULL, text, 5, NULL, ERROR), "stream is NULL");
    CHECK_INVALID(textgen_stream_finish(stream, NULL, 5, NULL, ERROR), "text is NULL");
    CHECK_FAILS(textgen_stream_finish(stream, text, 4, NULL, ERROR), TEXTGEN_BUFFER_TOO_SMALL,
                "text has 4 bytes; 5 are needed");
    CHECK_OK(textgen_stream_finish(stream, text, 5, NULL, ERROR));
    CHECK(!strcmp(text, "a"));
    /* What was written is no part of a stop text. */
    forbid_others(stream, &sampling, B);
    CHECK_OK(textgen_stream_generate(stream, 1, text, 5, NULL, ERROR));
    CHECK(!strcmp(text, "b") && textgen_stream_ending(stream) == TEXTGEN_REACHED_LENGTH);
    free(stream);
}

int main(int count, char **arguments) {
    static const char *const stops[] = {"ab",   "ba", "aab",  "abcd",     "b",
                                        "cdcd", "dd", "cabd", "\xc3\xa9", "d\xe2\x82\xac\xc3\xa9"};
    uint64_t state = 1;
    CHECK(count == 2);
    loaded file = load(arguments[1], NULL);
    for (uint64_t round = 0; round < 100; round++) {
        const size_t first = random_up_to(&state, 9);
        check_stream(file.model, round, stops + first, 1 + random_up_to(&state, 9 - first));
    }
    check_wrong_stops(file.model);
    check_changes(file.model);
    check_stop_within_held(file.model);
    check_finish(file.model);
    unload(&file);
    return 0;
}
