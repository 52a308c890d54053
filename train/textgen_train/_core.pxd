"""Declarations of ``textgen_train.h``, the interface of the trainer in C (``train/core``)."""

from libc.stdint cimport int32_t, int64_t, uint16_t, uint64_t


cdef extern from "textgen_train.h" nogil:
    enum:
        TEXTGEN_INVALID_ARGUMENT
        TEXTGEN_OUT_OF_MEMORY
        TEXTGEN_DAMAGED_MODEL
        TEXTGEN_UNKNOWN_GRAPH
        TEXTGEN_TOO_LARGE
        TEXTGEN_NEWER_FORMAT
        TEXTGEN_UNKNOWN_CHARACTER
        TEXTGEN_DAMAGED_SAVED
        TEXTGEN_OTHER_SAVED
        TEXTGEN_MAX_THREADS
    ctypedef struct textgen_error:
        const char *parameter
        const char *message
    ctypedef struct textgen_corpus_options:
        const char *name
        const char *level
        const char *records
        double held_out
        const char *unicode
        int32_t lowercase
        const void *held_out_text
        size_t held_out_size
        const char *vocabulary
        const char *special
        int32_t extend
    ctypedef struct textgen_corpus:
        pass
    ctypedef struct textgen_corpus_info:
        size_t vocabulary
        size_t common
        size_t training_tokens
        size_t held_out_tokens
        size_t training_characters
        size_t held_out_characters
        size_t training_records
        size_t held_out_records
        double held_out
    ctypedef struct textgen_corpus_content:
        const void *training
        const void *held_out
        int32_t bytes
        int32_t before
        const char *vocabulary
        const char *special
        const char *prompts
        const char *sha256
    int32_t textgen_corpus_create(
        const void *text, size_t size, const textgen_corpus_options *options, textgen_corpus **corpus,
        textgen_error *error
    )
    void textgen_corpus_destroy(textgen_corpus *corpus)
    const textgen_corpus_info *textgen_corpus_get_info(const textgen_corpus *corpus)
    textgen_corpus_content textgen_corpus_get_content(const textgen_corpus *corpus)

    ctypedef struct textgen_options:
        pass
    ctypedef struct textgen_option_info:
        const char *name
        size_t offset
        int32_t is_number
        double initial
        double least
        double most
        const char *help
    const textgen_option_info *textgen_option(size_t index)
    textgen_options textgen_default_options()
    int32_t textgen_choose_preset(
        const char *preset, size_t common, size_t tokens, double epochs, textgen_options *options
    )
    const char *textgen_preset_for(size_t common, size_t tokens, double epochs)
    const char *textgen_nearest_preset(size_t layers, size_t units)
    double textgen_rate_factor(const textgen_options *options, size_t step, double progress)

    ctypedef struct textgen_batch_content:
        size_t time
        size_t lanes
        int32_t is_start
        double targets
        double divisor
        const int32_t *inputs
        const int32_t *next
        const int64_t *places
    ctypedef struct textgen_batches:
        pass
    int32_t textgen_batches_create(
        const textgen_corpus *corpus, const textgen_options *options, textgen_batches **batches,
        textgen_error *error
    )
    void textgen_batches_destroy(textgen_batches *batches)
    size_t textgen_batches_get_per_epoch(const textgen_batches *batches)
    textgen_batch_content textgen_batches_get_content(
        textgen_batches *batches, uint64_t seed, size_t epoch, size_t index
    )

    ctypedef struct textgen_trainer:
        pass
    ctypedef struct textgen_trainer_info:
        size_t parameters
        size_t memory
        size_t per_epoch
        size_t step
        double epoch
        int32_t threads
        int32_t precision
        const char *kernels
    int32_t textgen_trainer_create(
        const textgen_corpus *corpus, const textgen_options *options, uint64_t seed, int32_t threads,
        const char *kernels, textgen_trainer **trainer, textgen_error *error
    )
    void textgen_trainer_destroy(textgen_trainer *trainer)
    textgen_trainer_info textgen_trainer_get_info(const textgen_trainer *trainer)
    int32_t textgen_trainer_regularize(
        textgen_trainer *trainer, const textgen_options *options, textgen_error *error
    )
    double textgen_trainer_update(textgen_trainer *trainer, double progress)
    double textgen_trainer_score(textgen_trainer *trainer)
    double textgen_trainer_score_start(textgen_trainer *trainer, size_t tokens)
    size_t textgen_trainer_write_model(
        const textgen_trainer *trainer, double held_out_nats, const char *training, unsigned char *file
    )
    int32_t textgen_trainer_start_from(
        textgen_trainer *trainer, const void *file, size_t size, textgen_error *error
    )
    int32_t textgen_trainer_teach(
        textgen_trainer *trainer, const uint16_t *shares, const void *tokens, size_t columns, double weight,
        textgen_error *error
    )
    const void *textgen_trainer_save(const textgen_trainer *trainer, size_t *size)
    int32_t textgen_trainer_resume(
        textgen_trainer *trainer, const void *data, size_t size, textgen_error *error
    )
    int32_t textgen_quantize(
        const void *file, size_t file_size, const char *const *more, unsigned char *converted, size_t *size,
        textgen_error *error
    )
