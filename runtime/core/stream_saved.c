/* textgen_stream_save and textgen_stream_resume: a handle as a saved text, which names its model and its
 * constraint by their hashes. */
#include "handles.h"
#include "saved.h"

#include <string.h>

size_t textgen_stream_saved_size(const textgen_stream *stream) {
    return stream ? textgen_saved_size(&stream->model->shape, textgen_stream_text(stream), 0) : 0;
}

/* Write the hashes of a model, and of a constraint, which may be NULL. */
static void hash(const textgen_model *model, const textgen_constraint *constraint, textgen_saved *saved) {
    memset(saved, 0, sizeof *saved);
    textgen_sha256 sum;
    textgen_sha256_init(&sum);
    textgen_sha256_add(&sum, model->content.data, model->content.size);
    textgen_sha256_end(&sum, saved->model);
    if (constraint) {
        textgen_constraint_digest(constraint, saved->constraint);
    }
}

int32_t textgen_stream_save(const textgen_stream *stream, void *data, size_t size, char *error,
                            size_t error_size) {
    textgen_error message = {error, error_size};
    TEXTGEN_TRY(textgen_check_pointer(stream, "stream", &message));
    TEXTGEN_TRY(textgen_check_memory(data, size, textgen_stream_saved_size(stream), "data", &message));
    textgen_saved saved;
    if (!textgen_saved_is_possible(&stream->model->shape, textgen_stream_text(stream))) {
        return textgen_fail(&message, TEXTGEN_INVALID_LOGITS,
                            "the stream cannot be saved: its logits contain NaN or +inf, or none is finite");
    }
    hash(stream->model, stream->constraint, &saved);
    textgen_saved_write(&stream->model->shape, textgen_stream_text(stream), &saved, data);
    return TEXTGEN_OK;
}

int32_t textgen_stream_resume(void *memory, size_t size, const textgen_model *model,
                              const textgen_sampling *sampling, const void *data, size_t data_size,
                              textgen_stream **stream, char *error, size_t error_size) {
    textgen_error message = {error, error_size};
    textgen_saved saved, expected;
    textgen_stream_sampling read;
    TEXTGEN_TRY(textgen_check_pointer(model, "model", &message));
    TEXTGEN_TRY(textgen_check_data(data, data_size, "data", "data_size", &message));
    TEXTGEN_TRY(textgen_check_pointer(stream, "stream", &message));
    TEXTGEN_TRY(textgen_saved_open((textgen_view){data, data_size}, &saved, &message));
    TEXTGEN_TRY(textgen_stream_check(memory, size, model, sampling, &read, &message));
    hash(model, read.sampling.constraint, &expected);
    if (memcmp(saved.model, expected.model, sizeof saved.model) ||
        memcmp(saved.constraint, expected.constraint, sizeof saved.constraint)) {
        return textgen_report(&message, TEXTGEN_DAMAGED_SAVED,
                              "the stream was saved from another model, or with "
                              "another constraint: pass those of the stream");
    }
    textgen_stream *created = textgen_stream_place(memory, model, &read);
    TEXTGEN_TRY(
        textgen_saved_read(&model->shape, &saved, created->constraint, textgen_stream_text(created), &message));
    *stream = created;
    return TEXTGEN_OK;
}
