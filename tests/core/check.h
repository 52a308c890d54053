/* What the C tests share. A failed check prints its location and exits with status 1. */
#ifndef CHECK_H
#define CHECK_H

#include "textgen.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The latest error. */
static textgen_error error;

#define CHECK(condition)                                                                                       \
    do {                                                                                                       \
        if (!(condition)) {                                                                                    \
            fprintf(stderr, "%s:%d: %s (error %d: %s %s)\n", __FILE__, __LINE__, #condition, (int)error.code,  \
                    error.parameter ? error.parameter : "", error.message);                                    \
            exit(1);                                                                                           \
        }                                                                                                      \
    } while (0)

#define CHECK_OK(call) CHECK((call) == TEXTGEN_OK)

/* Check that the call fails with this code, and describes it. */
#define CHECK_FAILS(call, expected)                                                                            \
    do {                                                                                                       \
        memset(&error, 0, sizeof error);                                                                       \
        CHECK((call) == (expected));                                                                           \
        CHECK(error.code == (expected) && *error.message);                                                     \
    } while (0)

/* Check that the call fails because of this parameter, at this place. */
#define CHECK_REFUSES(call, expected, name, at)                                                                \
    do {                                                                                                       \
        CHECK_FAILS(call, expected);                                                                           \
        CHECK(error.parameter && !strcmp(error.parameter, name) && error.place == (at));                       \
    } while (0)
#define CHECK_INVALID(call, name, at) CHECK_REFUSES(call, TEXTGEN_INVALID_ARGUMENT, name, at)

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
    void *memory = malloc(size + !size);
    CHECK(memory);
    return memset(memory, 0x7f, size);
}

static inline textgen_memory new_memory(size_t size) { return (textgen_memory){allocate(size), size}; }

static inline void *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    CHECK(file && !fseek(file, 0, SEEK_END));
    *size = (size_t)ftell(file);
    void *data = allocate(*size);
    CHECK(!fseek(file, 0, SEEK_SET) && fread(data, 1, *size, file) == *size && !fclose(file));
    return data;
}

/* Read a part of standard input, which is after its size in 4 little-endian bytes. Return NULL at the end. The
 * buffer has exactly its size, so that a sanitizer detects reads beyond it. */
static inline unsigned char *read_part(size_t *size) {
    unsigned char head[4];
    if (fread(head, 1, sizeof head, stdin) != sizeof head) {
        return NULL;
    }
    *size = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
    unsigned char *data = malloc(*size + !*size);
    CHECK(data && fread(data, 1, *size, stdin) == *size);
    return data;
}

/* A workspace that is enough for MOST_LANES streams of each model that is loaded. */
enum { MOST_LANES = 40, TOKEN_BYTES = 256 };
static textgen_memory work;

/* A model and the content of its file. */
typedef struct {
    void *data;
    size_t size;
    textgen_model *model;
    const textgen_model_info *info;
    size_t symbol_bytes;
} loaded;

static inline loaded load_with(const char *path, const textgen_model_options *options) {
    loaded result = {0};
    result.data = read_file(path, &result.size);
    CHECK_OK(textgen_model_create(result.data, result.size, options, &result.model, &error));
    result.info = textgen_model_get_info(result.model);
    result.symbol_bytes = result.info->symbol_bytes;
    const size_t size = textgen_workspace_size(result.model, MOST_LANES);
    if (size > work.size) {
        free(work.data);
        work = new_memory(size);
    }
    return result;
}

static inline loaded load(const char *path, const char *kernels) {
    const textgen_model_options options = {.kernels = kernels};
    return load_with(path, &options);
}

static inline void unload(loaded *file) {
    textgen_model_destroy(file->model);
    free(file->data);
}

/* Return the only token of a text. */
static inline int64_t token_of(const textgen_model *model, const char *text, size_t size) {
    int64_t tokens[TOKEN_BYTES];
    size_t count;
    CHECK(size <= TOKEN_BYTES);
    CHECK_OK(textgen_encode(model, text, size, 0, tokens, &count, &error));
    CHECK(count == 1);
    return *tokens;
}

static inline void feed(textgen_stream *stream, const char *text) {
    CHECK_OK(textgen_stream_feed(stream, text, strlen(text), work, &error));
}

/* Return a stream that was fed a prompt, which may be NULL. */
static inline textgen_stream *start_with(const textgen_model *model, const textgen_sampling *sampling,
                                         const char *prompt) {
    textgen_stream *stream;
    CHECK_OK(textgen_stream_init(new_memory(textgen_stream_size(model)), model, sampling, &stream, &error));
    if (prompt) {
        feed(stream, prompt);
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

static inline textgen_stream *copy_of(const textgen_model *model, const textgen_stream *stream) {
    textgen_stream *copy;
    CHECK_OK(textgen_stream_copy(stream, new_memory(textgen_stream_size(model)), &copy, &error));
    return copy;
}

/* Generate up to `length` tokens. Return the text, which the caller frees. */
static inline char *generate(textgen_stream *stream, size_t length, size_t *written) {
    const size_t size = textgen_stream_text_size(stream, length);
    char *text = allocate(size);
    CHECK_OK(textgen_stream_generate(stream, length, text, size, written, work, &error));
    CHECK(text[*written] == '\0');
    return text;
}

/* Check that both streams generate the same text, and end it for the same reason. */
static inline void check_same_text(textgen_stream *one, textgen_stream *other) {
    size_t written, other_written;
    char *text = generate(one, 300, &written), *other_text = generate(other, 300, &other_written);
    CHECK(written == other_written && !memcmp(text, other_text, written));
    CHECK(textgen_stream_get_info(one).ending == textgen_stream_get_info(other).ending);
    free(text), free(other_text);
}

/* The natural logarithm of a positive number. No test needs the library of mathematics. */
static inline double logarithm(double x) {
    const double ln2 = 0.69314718055994530942;
    double twos = 0.0, sum = 0.0;
    for (; x > 1.5; x /= 2.0) {
        twos += 1.0;
    }
    for (; x < 0.75; x *= 2.0) {
        twos -= 1.0;
    }
    const double z = (x - 1.0) / (x + 1.0);
    for (int n = 41; n > 0; n -= 2) {
        sum = sum * z * z + 2.0 / n;
    }
    return sum * z + twos * ln2;
}

#endif
