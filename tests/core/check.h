/* Helpers of the C tests. A failed check prints its location and exits with status 1. */
#ifndef CHECK_H
#define CHECK_H

#include "textgen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The message of the latest call that failed. */
static char error[256];
#define ERROR error, sizeof error

#define CHECK(condition)                                                                                       \
    do {                                                                                                       \
        if (!(condition)) {                                                                                    \
            fprintf(stderr, "%s:%d: %s (error: %s)\n", __FILE__, __LINE__, #condition, error);                 \
            exit(1);                                                                                           \
        }                                                                                                      \
    } while (0)

#define CHECK_OK(call) CHECK((call) == TEXTGEN_OK)

/* Check that the call fails with this code, and that its message contains this text. */
#define CHECK_FAILS(call, code, text)                                                                          \
    do {                                                                                                       \
        memset(error, 0, sizeof error);                                                                        \
        CHECK((call) == (code));                                                                               \
        CHECK(strstr(error, text) != NULL);                                                                    \
    } while (0)

/* Check that the call refuses an argument. */
#define CHECK_INVALID(call, text) CHECK_FAILS(call, TEXTGEN_INVALID_ARGUMENT, text)

/* Knuth's MMIX generator: TAOCP, volume 2, section 3.3.4. Return 53 random bits. */
static inline uint64_t next_random(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 11;
}

/* Return a random number from 0 up to a limit, or up to and including a count. */
static inline double random_below(uint64_t *state, double limit) {
    return (double)next_random(state) * (1.0 / 9007199254740992.0) * limit;
}
static inline size_t random_up_to(uint64_t *state, size_t count) {
    return (size_t)((next_random(state) >> 16) % (count + 1));
}

/* Allocate memory filled with garbage: large numbers as float32. */
static inline void *allocate(size_t size) {
    void *memory = malloc(size);
    CHECK(memory);
    return memset(memory, 0x7f, size);
}

static inline void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    CHECK(file && !fseek(file, 0, SEEK_END));
    *size = (size_t)ftell(file);
    void *data = allocate(*size);
    CHECK(!fseek(file, 0, SEEK_SET) && fread(data, 1, *size, file) == *size && !fclose(file));
    return data;
}

/* A model and the content of its file. */
typedef struct {
    void *data;
    textgen_model *model;
    size_t symbol_bytes;
} loaded;

static inline loaded load(const char *path, const char *kernels) {
    textgen_model_options options = TEXTGEN_MODEL_OPTIONS_DEFAULT;
    textgen_model_info info = TEXTGEN_MODEL_INFO_DEFAULT;
    loaded result = {0};
    options.kernels = kernels;
    size_t size;
    result.data = read_file(path, &size);
    CHECK_OK(textgen_model_create(result.data, size, &options, &result.model, ERROR));
    CHECK_OK(textgen_model_get_info(result.model, &info, ERROR));
    result.symbol_bytes = info.symbol_bytes;
    return result;
}

static inline void unload(loaded *file) {
    textgen_model_destroy(file->model);
    free(file->data);
}

static inline textgen_stream *start_with(const textgen_model *model, const textgen_sampling *sampling,
                                         const char *prompt) {
    const size_t size = textgen_stream_size(model);
    textgen_stream *stream;
    CHECK_OK(textgen_stream_init(allocate(size), size, model, sampling, &stream, ERROR));
    if (prompt) {
        CHECK_OK(textgen_stream_feed(stream, prompt, strlen(prompt), ERROR));
    }
    return stream;
}

static inline textgen_stream *start(const textgen_model *model, double temperature, uint64_t seed,
                                    uint64_t substream, const char *prompt) {
    textgen_sampling sampling = TEXTGEN_SAMPLING_DEFAULT;
    sampling.temperature = temperature;
    sampling.seed = seed;
    sampling.substream = substream;
    return start_with(model, &sampling, prompt);
}

/* Characters of the texts that are compared. */
enum { COMPARED = 300 };

/* Generate a text of characters. text: [4 * length + 1]. */
static inline void generate_text(textgen_stream *stream, size_t length, char *text) {
    size_t written = 0;
    CHECK_OK(textgen_stream_generate(stream, length, text, length * 4 + 1, &written, ERROR));
    CHECK(written == strlen(text) && written >= length);
}

/* Check that both streams generate the same text. */
static inline void check_same_text(textgen_stream *one, textgen_stream *other) {
    char text[COMPARED * 4 + 1], other_text[COMPARED * 4 + 1];
    generate_text(one, COMPARED, text);
    generate_text(other, COMPARED, other_text);
    CHECK(!strcmp(text, other_text));
}

/* The same for new streams with these parameters, which are fed "a". */
static inline void check_same_samplings(const textgen_model *model, const textgen_sampling *one,
                                        const textgen_sampling *other) {
    textgen_stream *stream = start_with(model, one, "a"), *other_stream = start_with(model, other, "a");
    check_same_text(stream, other_stream);
    free(stream), free(other_stream);
}

#endif
