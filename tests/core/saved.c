/* Tests saved streams: saved MODEL RECORDS OTHER. The vocabularies contain "abc". RECORDS is a model of
 * records, and OTHER another model with the vocabulary of MODEL.
 *
 *     saved MODEL
 *
 * This writes a saved stream with filters and held text to the standard output. */
#include "saved_streams.h"

enum { FORMAT_AT = 8 };

static void check_same_part(textgen_stream *one, textgen_stream *other) {
    char text[TEXT_SIZE], other_text[TEXT_SIZE];
    size_t written = 0, other_written = 1;
    const int32_t code = textgen_stream_generate(one, PART, text, TEXT_SIZE, &written, ERROR);
    CHECK(code == TEXTGEN_OK || code == TEXTGEN_NO_PROMPT);
    CHECK(textgen_stream_generate(other, PART, other_text, TEXT_SIZE, &other_written, ERROR) == code);
    CHECK(textgen_stream_ending(one) == textgen_stream_ending(other));
    CHECK(code < 0 || (written == other_written && !memcmp(text, other_text, written)));
}

/* A resumed stream goes on like the saved one. */
static void check_resumed(const textgen_model *model, textgen_stream *stream,
                          const textgen_sampling *sampling) {
    saved_stream saved = save(model, stream, sampling);
    textgen_stream *resumed;
    CHECK_OK(resume(&saved, &resumed));
    CHECK(textgen_stream_ending(resumed) == textgen_stream_ending(stream));
    const saved_stream again = save(model, resumed, sampling);
    CHECK(again.size == saved.size);
    if (!textgen_stream_text(stream)->filtered) {
        CHECK(!memcmp(again.data, saved.data, saved.size));
    }
    for (size_t i = 0; i < 3; i++) {
        check_same_part(stream, resumed);
    }
    CHECK_OK(textgen_stream_feed(stream, "ab", 2, ERROR));
    CHECK_OK(textgen_stream_feed(resumed, "ab", 2, ERROR));
    check_same_part(stream, resumed);
    free(saved.data), free(again.data), free(resumed), free(stream);
}

static void check_states(const textgen_model *model, const textgen_model *records) {
    float bias[MOST_TOKENS] = {0.5f, -1000.0f, 0.0f, 0.0f, 0.0f, -INFINITY};
    textgen_sampling sampling = defaults;
    check_resumed(model, start_with(model, &sampling, NULL), &sampling);
    check_resumed(model, start_with(model, &sampling, "abc"), &sampling);
    sampling.temperature = 1.0;
    sampling.seed = 5;
    sampling.seed_high = 6;
    sampling.substream = 7;
    check_resumed(model, run(model, &sampling, "abc", 9), &sampling);
    sampling.top_k = 3;
    check_resumed(model, run(model, &sampling, "abc", 9), &sampling);
    check_resumed(model, start_everything(model, &sampling, bias), &sampling);
    /* Some of these texts stop with the next token. */
    for (size_t i = 0; i < model->shape.vocabulary; i++) {
        bias[i] = i == A || i == B ? 0.0f : -INFINITY;
    }
    for (size_t i = 0; i < 10; i++) {
        textgen_stream *stream = start_everything(model, &sampling, bias);
        sampling.seed += 100 * i;
        CHECK_OK(textgen_stream_set_sampling(stream, &sampling, ERROR));
        check_resumed(model, stream, &sampling);
    }
    sampling = defaults;
    textgen_constraint *constraint;
    CHECK_OK(textgen_constraint_create(model, table, sizeof table - 1, NULL, 0, &constraint, ERROR));
    sampling.constraint = constraint;
    check_resumed(model, run(model, &sampling, "abc", 0), &sampling);
    check_resumed(model, run(model, &sampling, "abc", 1), &sampling);
    check_resumed(model, run(model, &sampling, "abc", PART), &sampling);
    textgen_constraint_destroy(constraint);
    sampling = defaults;
    sampling.temperature = 1.0;
    check_resumed(records, run(records, &sampling, NULL, 0), &sampling);
    check_resumed(records, run(records, &sampling, "abc", 2), &sampling);
    sampling.min_length = 9;
    check_resumed(records, run(records, &sampling, NULL, 3), &sampling);
    check_resumed(records, run(records, &sampling, NULL, PART * 3), &sampling);
}

static void check_messages(const textgen_model *model, const textgen_model *other) {
    textgen_stream *stream = run(model, &defaults, "abc", 3);
    saved_stream saved = save(model, stream, &defaults);
    unsigned char *bytes = saved.data;
    textgen_constraint *constraint;
    CHECK_OK(textgen_constraint_create(model, table, sizeof table - 1, NULL, 0, &constraint, ERROR));
    saved.sampling.constraint = constraint;
    textgen_stream *resumed;
    CHECK(resume(&saved, &resumed) == TEXTGEN_DAMAGED_SAVED);
    CHECK(strstr(error, "the stream was saved from another model, or with another constraint"));
    saved.sampling.constraint = NULL;
    saved.model = other;
    CHECK(resume(&saved, &resumed) == TEXTGEN_DAMAGED_SAVED && strstr(error, "another model"));
    saved.model = model;
    bytes[FORMAT_AT]++;
    CHECK(resume(&saved, &resumed) == TEXTGEN_NEWER_FORMAT && strstr(error, "format 2"));
    bytes[FORMAT_AT] = 0;
    CHECK(resume(&saved, &resumed) == TEXTGEN_DAMAGED_SAVED && strstr(error, "the saved text is damaged"));
    *bytes = 'T';
    CHECK(resume(&saved, &resumed) == TEXTGEN_DAMAGED_SAVED && strstr(error, "this is not a saved text"));
    textgen_constraint_destroy(constraint);
    free(saved.data), free(stream);
}

/* The data may lie at any address, and may have a description, as other languages write it. */
static void check_description(const textgen_model *model) {
    static const unsigned char text[] = "{\"prompt\": \"abc\"}";
    textgen_stream *stream = run(model, &defaults, "abc", 3);
    saved_stream saved = save(model, stream, &defaults);
    const textgen_view data = {saved.data, saved.size};
    textgen_error message = {ERROR};
    const size_t size = textgen_saved_size(&model->shape, textgen_stream_text(stream), sizeof text - 1);
    char *described = allocate(size), *moved = allocate(size + 1);
    textgen_saved parts;
    CHECK_OK(textgen_saved_open(data, &parts, &message));
    CHECK(parts.description.size == 0);
    parts.description.data = text;
    parts.description.size = sizeof text - 1;
    textgen_saved_write(&model->shape, textgen_stream_text(stream), &parts, described);
    free(saved.data);
    saved.data = memcpy(moved + 1, described, size);
    saved.size = size;
    CHECK_OK(textgen_saved_open((textgen_view){saved.data, size}, &parts, &message));
    CHECK(parts.description.size == sizeof text - 1 && !memcmp(parts.description.data, text, sizeof text - 1));
    textgen_stream *resumed;
    CHECK_OK(resume(&saved, &resumed));
    check_same_part(stream, resumed);
    free(described), free(moved), free(stream), free(resumed);
}

/* A parameter that a text was saved without has its default. More parameters than there are cannot be known. */
static void check_missing_parameters(const textgen_model *model) {
    enum { COUNT = HEADER - 24, SIZE = HEADER - 8, LAST = (TEXTGEN_PARAMETER_COUNT - 1) * 8 };
    textgen_stream *stream = run(model, &defaults, "abc", 3), *resumed;
    saved_stream saved = save(model, stream, &defaults);
    unsigned char *bytes = saved.data;
    bytes[COUNT] += 1;
    CHECK(resume(&saved, &resumed) == TEXTGEN_NEWER_FORMAT && strstr(error, "upgrade textgen-onnx"));
    bytes[COUNT] -= 2;
    CHECK(resume(&saved, &resumed) == TEXTGEN_DAMAGED_SAVED);
    saved.size -= 8;
    bytes[SIZE] = (unsigned char)((saved.size - HEADER) & 0xFF);
    bytes[SIZE + 1] = (unsigned char)((saved.size - HEADER) >> 8 & 0xFF);
    memmove(bytes + HEADER + LAST, bytes + HEADER + LAST + 8, saved.size - HEADER - LAST);
    CHECK_OK(resume(&saved, &resumed));
    check_same_part(stream, resumed);
    free(saved.data), free(stream), free(resumed);
}

static void check_wrong_arguments(const textgen_model *model) {
    textgen_stream *stream = run(model, &defaults, "abc", 3), *resumed = NULL;
    saved_stream saved = save(model, stream, &defaults);
    const size_t size = textgen_stream_size(model);
    char *memory = allocate(size);
    CHECK(textgen_stream_saved_size(NULL) == 0);
    CHECK_INVALID(textgen_stream_save(NULL, saved.data, saved.size, ERROR), "stream is NULL");
    CHECK_INVALID(textgen_stream_save(stream, NULL, saved.size, ERROR), "data is NULL");
    CHECK_INVALID(textgen_stream_save(stream, memory + 4, size - 4, ERROR), "aligned");
    CHECK_FAILS(textgen_stream_save(stream, saved.data, saved.size - 1, ERROR), TEXTGEN_BUFFER_TOO_SMALL,
                "are needed");
#define RESUME(memory, size, model, data, data_size, stream)                                                   \
    textgen_stream_resume(memory, size, model, NULL, data, data_size, stream, ERROR)
    CHECK_INVALID(RESUME(memory, size, NULL, saved.data, saved.size, &resumed), "model is NULL");
    CHECK_INVALID(RESUME(memory, size, model, NULL, saved.size, &resumed), "data is NULL");
    CHECK_INVALID(RESUME(memory, size, model, saved.data, saved.size, NULL), "stream is NULL");
    CHECK_INVALID(RESUME(NULL, size, model, saved.data, saved.size, &resumed), "memory is NULL");
    CHECK_FAILS(RESUME(memory, size - 1, model, saved.data, saved.size, &resumed), TEXTGEN_BUFFER_TOO_SMALL,
                "are needed");
    CHECK_INVALID(RESUME(memory, size, model, saved.data, SIZE_MAX, &resumed), "larger than any buffer");
    CHECK(!resumed);
    CHECK_OK(RESUME(memory, size, model, saved.data, saved.size, &resumed));
    free(memory), free(saved.data), free(stream);
}

static void write_saved(const textgen_model *model) {
    float bias[MOST_TOKENS] = {0.5f};
    textgen_sampling sampling;
    textgen_stream *stream = start_everything(model, &sampling, bias);
    saved_stream saved = save(model, stream, &sampling);
    CHECK(fwrite(saved.data, 1, saved.size, stdout) == saved.size);
    free(saved.data), free(stream);
}

int main(int count, char **arguments) {
    CHECK(count == 2 || count == 4);
    loaded model = load(arguments[1], NULL);
    if (count == 2) {
        write_saved(model.model);
        unload(&model);
        return 0;
    }
    loaded records = load(arguments[2], NULL);
    loaded other = load(arguments[3], NULL);
    check_states(model.model, records.model);
    check_messages(model.model, other.model);
    check_description(model.model);
    check_missing_parameters(model.model);
    check_wrong_arguments(model.model);
    unload(&model), unload(&records), unload(&other);
    return 0;
}
