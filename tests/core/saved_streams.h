/* Streams that are saved and resumed. */
#ifndef SAVED_STREAMS_H
#define SAVED_STREAMS_H

#include "check.h"

#include "handles.h"
#include "saved.h"

#include <math.h>

enum { PART = 20, TEXT_SIZE = 2 * PART * 64 + 1, MOST_TOKENS = 300, HEADER = 104 };

/* The tokens of MODEL that are "a" and "b". */
enum { A = 2, B = 3 };

static const textgen_sampling defaults = TEXTGEN_SAMPLING_DEFAULT;

/* A saved stream, in a buffer of exactly its size, and what resuming it needs. */
typedef struct {
    const textgen_model *model;
    textgen_sampling sampling;
    void *data;
    size_t size;
} saved_stream;

static inline saved_stream save(const textgen_model *model, const textgen_stream *stream,
                                const textgen_sampling *sampling) {
    saved_stream saved = {model, defaults, NULL, textgen_stream_saved_size(stream)};
    saved.data = allocate(saved.size);
    CHECK_OK(textgen_stream_save(stream, saved.data, saved.size, ERROR));
    /* All else is in the data. */
    saved.sampling.stop = sampling->stop;
    saved.sampling.stop_count = sampling->stop_count;
    saved.sampling.keep_stop = sampling->keep_stop;
    saved.sampling.constraint = sampling->constraint;
    saved.sampling.spans = sampling->spans;
    return saved;
}

/* After an error, a stream that the memory held goes on; or it has no text, if the data is damaged. */
static inline void check_stream_after(textgen_stream *before) {
    char text[TEXT_SIZE], message[sizeof error];
    memcpy(message, error, sizeof error);
    const size_t size = textgen_stream_text_size(before, 1);
    CHECK(size < TEXT_SIZE);
    const int32_t code = textgen_stream_generate(before, 1, text, size, NULL, ERROR);
    CHECK(code == TEXTGEN_OK || (code == TEXTGEN_NO_PROMPT && strstr(message, "is damaged")));
    CHECK_OK(textgen_stream_feed(before, "ab", 2, ERROR));
    CHECK_OK(textgen_stream_generate(before, 1, text, TEXT_SIZE, NULL, ERROR));
    memcpy(error, message, sizeof error);
}

/* Resume a stream in memory of exactly its size, which holds another one. Return the code. `*stream` is NULL
 * after an error. */
static inline int32_t resume(const saved_stream *saved, textgen_stream **stream) {
    const size_t size = textgen_stream_size(saved->model);
    void *memory = allocate(size);
    textgen_stream *before;
    *stream = NULL;
    CHECK_OK(textgen_stream_init(memory, size, saved->model, NULL, &before, ERROR));
    CHECK_OK(textgen_stream_feed(before, "abc", 3, ERROR));
    memset(error, 0, sizeof error);
    const int32_t code = textgen_stream_resume(memory, size, saved->model, &saved->sampling, saved->data,
                                               saved->size, stream, ERROR);
    CHECK((code == TEXTGEN_OK) == (*stream != NULL));
    if (code < 0) {
        CHECK(*error);
        check_stream_after(before);
        free(memory);
    }
    return code;
}

/* Start a stream and draw tokens. */
static inline textgen_stream *run(const textgen_model *model, const textgen_sampling *sampling,
                                  const char *prompt, size_t length) {
    textgen_stream *stream = start_with(model, sampling, prompt);
    char text[TEXT_SIZE];
    if (length) {
        CHECK_OK(textgen_stream_generate(stream, length, text, TEXT_SIZE, NULL, ERROR));
    }
    return stream;
}

/* A stream that holds "a" back, and has all filters. */
static inline textgen_stream *start_everything(const textgen_model *model, textgen_sampling *sampling,
                                               float *bias) {
    static const char *const stop[] = {"ab"};
    textgen_stream *stream = NULL;
    *sampling = defaults;
    sampling->temperature = 1.2;
    sampling->repetition_penalty = 1.1;
    sampling->frequency_penalty = 0.2;
    sampling->penalty_window = 7;
    sampling->mirostat_tau = 2.0;
    sampling->stop = stop;
    sampling->stop_count = 1;
    sampling->logit_bias = bias;
    sampling->logit_bias_count = model->shape.vocabulary;
    do {
        free(stream);
        sampling->seed++;
        stream = run(model, sampling, "abc", 12);
    } while (!textgen_stream_text(stream)->held);
    return stream;
}

static const char table[] =
    "{\"states\": [{\"accepting\": false, \"next\": {\"a\": 1, \"b\": 0}},"
    " {\"accepting\": false, \"next\": {\"b\": 2}}, {\"accepting\": true, \"next\": {}}]}";

#endif
