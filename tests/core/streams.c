/* Tests single streams: streams MODEL. Its vocabulary contains "abc", and not "x". */
#include "check.h"

enum { LENGTH = 100, TEXT_SIZE = LENGTH * 4 + 1 };

static void check_memory(const textgen_model *model) {
    const size_t size = textgen_stream_size(model);
    char *memory = allocate(size + 8);
    textgen_stream *stream = NULL;
    CHECK(textgen_stream_size(NULL) == 0);
    CHECK_INVALID(textgen_stream_init(NULL, size, model, NULL, &stream, ERROR), "NULL");
    CHECK_INVALID(textgen_stream_init(memory, size, NULL, NULL, &stream, ERROR), "NULL");
    CHECK_INVALID(textgen_stream_init(memory, size, model, NULL, NULL, ERROR), "NULL");
    CHECK_FAILS(textgen_stream_init(memory, size - 1, model, NULL, &stream, ERROR), TEXTGEN_BUFFER_TOO_SMALL,
                "are needed");
    for (size_t i = 1; i < 8; i++) {
        CHECK_INVALID(textgen_stream_init(memory + i, size, model, NULL, &stream, ERROR), "aligned");
    }
    CHECK(!stream);
    CHECK_OK(textgen_stream_init(memory, size, model, NULL, &stream, ERROR));
    CHECK((void *)stream == (void *)memory);
    free(memory);
}

/* Parameters of a later version have another field. */
static void check_sampling(const textgen_model *model) {
    textgen_stream *stream = start(model, 0.5, 3, 2, "abc"), *other = start(model, 0.5, 3, 2, "abc");
    struct {
        textgen_sampling sampling;
        uint64_t later;
    } newer = {TEXTGEN_SAMPLING_DEFAULT, 1};
    newer.sampling.struct_size = sizeof newer;
    newer.sampling.seed = 3;
    newer.sampling.substream = 2;
    CHECK_INVALID(textgen_stream_set_sampling(stream, &newer.sampling, ERROR), "does not support");
    newer.later = 0;
    CHECK_INVALID(textgen_stream_set_sampling(stream, NULL, ERROR), "sampling is NULL");
    CHECK_INVALID(textgen_stream_set_sampling(NULL, &newer.sampling, ERROR), "stream is NULL");
    CHECK_OK(textgen_stream_set_sampling(stream, &newer.sampling, ERROR));
    check_same_text(stream, other);
    free(stream), free(other);
}

/* Another temperature continues with the same random numbers. */
static void check_new_temperature(const textgen_model *model) {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    textgen_stream *stream = start(model, 1.0, 3, 0, "abc"), *other = start(model, 1.0, 3, 0, "abc");
    char text[TEXT_SIZE];
    generate_text(stream, 10, text);
    generate_text(other, 10, text);
    sampling.temperature = 0.2;
    sampling.seed = 3;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    sampling.temperature = 1.0;
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    check_same_text(stream, other);
    free(stream), free(other);
}

/* Another seed or substream restarts the random numbers, as in a new stream that was fed the same text. */
static void check_new_seed(const textgen_model *model, uint64_t seed, uint64_t seed_high, uint64_t substream) {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    const size_t size = textgen_stream_size(model);
    textgen_stream *stream = start(model, 1.0, 3, 0, "abc");
    char text[TEXT_SIZE];
    sampling.temperature = 1.0;
    sampling.seed = seed;
    sampling.seed_high = seed_high;
    sampling.substream = substream;
    generate_text(stream, 10, text);
    CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
    textgen_stream *fresh;
    CHECK_OK(textgen_stream_init(allocate(size), size, model, &sampling, &fresh, ERROR));
    CHECK_OK(textgen_stream_feed(fresh, "abc", 3, ERROR));
    CHECK_OK(textgen_stream_feed(fresh, text, strlen(text), ERROR));
    check_same_text(stream, fresh);
    free(stream), free(fresh);
}

/* A text with an error is not fed at all. */
static void check_feed(const textgen_model *model) {
    textgen_stream *stream = start(model, 0.5, 1, 0, "abc"), *other = start(model, 0.5, 1, 0, "abc");
    static char text[5000];
    CHECK_FAILS(textgen_stream_feed(stream, "abx", 3, ERROR), TEXTGEN_UNKNOWN_CHARACTER, "'x'");
    CHECK_FAILS(textgen_stream_feed(stream, "ab\xc3", 3, ERROR), TEXTGEN_INVALID_UTF8, "byte 2");
    memset(text, 'a', sizeof text);
    text[sizeof text - 1] = 'x';
    CHECK_FAILS(textgen_stream_feed(stream, text, sizeof text, ERROR), TEXTGEN_UNKNOWN_CHARACTER, "'x'");
    CHECK_INVALID(textgen_stream_feed(stream, NULL, 1, ERROR), "text is NULL");
    CHECK_INVALID(textgen_stream_feed(NULL, "a", 1, ERROR), "stream is NULL");
    CHECK_OK(textgen_stream_feed(stream, NULL, 0, ERROR));
    CHECK_OK(textgen_stream_feed(stream, "", 0, ERROR));
    check_same_text(stream, other);
    /* A text longer than a chunk, fed at once or in parts. */
    for (size_t i = 0; i < 6; i++) {
        text[128] = "abcdeh"[i];
        CHECK_OK(textgen_stream_feed(stream, text, 129, ERROR));
        CHECK_OK(textgen_stream_feed(other, text, 60, ERROR));
        CHECK_OK(textgen_stream_feed(other, text + 60, 69, ERROR));
        check_same_text(stream, other);
    }
    /* A byte-order mark is dropped, and line ends become \n. */
    CHECK_OK(textgen_stream_feed(stream,
                                 "\xef\xbb\xbf"
                                 "a\r\nb\rc",
                                 9, ERROR));
    CHECK_OK(textgen_stream_feed(other, "a\nb\nc", 5, ERROR));
    check_same_text(stream, other);
    free(stream), free(other);
}

static void check_generate(const textgen_model *model) {
    textgen_stream *stream = start(model, 0.5, 1, 0, NULL);
    char text[TEXT_SIZE] = "before";
    size_t written = 99;
    CHECK_FAILS(textgen_stream_generate(stream, 1, text, TEXT_SIZE, &written, ERROR), TEXTGEN_NO_PROMPT,
                "feed");
    CHECK_OK(textgen_stream_feed(stream, "\xef\xbb\xbf", 3, ERROR));
    CHECK_FAILS(textgen_stream_generate(stream, 1, text, TEXT_SIZE, &written, ERROR), TEXTGEN_NO_PROMPT,
                "feed");
    CHECK_OK(textgen_stream_feed(stream, "abc", 3, ERROR));
    CHECK_INVALID(textgen_stream_generate(NULL, 1, text, TEXT_SIZE, &written, ERROR), "stream");
    CHECK_INVALID(textgen_stream_generate(stream, 1, NULL, TEXT_SIZE, &written, ERROR), "text");
    CHECK_INVALID(textgen_stream_generate(stream, 0, text, TEXT_SIZE, &written, ERROR),
                  "length must be 1 or more, not 0");
    CHECK_INVALID(textgen_stream_generate(stream, SIZE_MAX, text, TEXT_SIZE, &written, ERROR), "length is");
    CHECK_INVALID(textgen_stream_generate(stream, SIZE_MAX / 4, text, TEXT_SIZE, &written, ERROR), "length is");
    CHECK_FAILS(textgen_stream_generate(stream, LENGTH, text, TEXT_SIZE - 1, &written, ERROR),
                TEXTGEN_BUFFER_TOO_SMALL, "text has 400 bytes; 401 are needed");
    CHECK(written == 99 && !strcmp(text, "before"));
    textgen_stream *other = start(model, 0.5, 1, 0, "abc");
    check_same_text(stream, other);
    /* `written` may be NULL, and one character at a time is the same text. */
    CHECK_OK(textgen_stream_generate(stream, 1, text, TEXT_SIZE, NULL, ERROR));
    generate_text(other, 1, text);
    check_same_text(stream, other);
    free(stream), free(other);
}

/* A copy, and a copy of the bytes at another alignment, generate the same text as the original. */
static void check_copies(const textgen_model *model) {
    const size_t size = textgen_stream_size(model);
    textgen_stream *stream = start(model, 1.0, 5, 0, "abc"), *copy = NULL;
    char *memory = allocate(size + 64), text[TEXT_SIZE];
    generate_text(stream, 30, text);
    CHECK_INVALID(textgen_stream_copy(NULL, memory, size, &copy, ERROR), "stream");
    CHECK_INVALID(textgen_stream_copy(stream, memory, size, NULL, ERROR), "copy");
    CHECK_INVALID(textgen_stream_copy(stream, NULL, size, &copy, ERROR), "memory is NULL");
    CHECK_INVALID(textgen_stream_copy(stream, memory + 4, size, &copy, ERROR), "aligned");
    CHECK_FAILS(textgen_stream_copy(stream, memory, size - 1, &copy, ERROR), TEXTGEN_BUFFER_TOO_SMALL,
                "needed");
    CHECK(!copy);
    CHECK_OK(textgen_stream_copy(stream, memory, size, &copy, ERROR));
    check_same_text(stream, copy);
    CHECK_OK(textgen_stream_copy(stream, stream, size, &copy, ERROR));
    memcpy(memory + 40, stream, size);
    check_same_text(stream, (textgen_stream *)(void *)(memory + 40));
    free(stream), free(memory);
}

int main(int count, char **arguments) {
    CHECK(count > 1);
    loaded file = load(arguments[1], NULL);
    CHECK(file.symbol_bytes == 4);
    check_memory(file.model);
    check_sampling(file.model);
    check_new_temperature(file.model);
    check_new_seed(file.model, 4, 0, 0);
    check_new_seed(file.model, 3, 1, 0);
    check_new_seed(file.model, 3, 0, 1);
    check_feed(file.model);
    check_generate(file.model);
    check_copies(file.model);
    unload(&file);
    return 0;
}
