"""Declarations of ``textgen.h``, the only interface of the C core (``runtime/core``)."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t


cdef extern from "textgen.h" nogil:
    enum:
        TEXTGEN_OUT_OF_MEMORY
        TEXTGEN_DAMAGED_MODEL
        TEXTGEN_UNKNOWN_GRAPH
        TEXTGEN_UNKNOWN_CHARACTER
        TEXTGEN_INVALID_UTF8
        TEXTGEN_NO_PROMPT
        TEXTGEN_LANE_FAILED
        TEXTGEN_TOO_LARGE
        TEXTGEN_NEWER_FORMAT
        TEXTGEN_DAMAGED_SAVED
        TEXTGEN_NO_TOKEN
        TEXTGEN_OTHER_SAVED
        TEXTGEN_FORWARD_FAILED
        TEXTGEN_REQUIREMENT_SIZE
        TEXTGEN_FEED_TEXT
        TEXTGEN_FEED_START
        TEXTGEN_MAX_STATES
    ctypedef struct textgen_error:
        int32_t code
        const char *parameter
        int64_t place
        const char *message
    ctypedef struct textgen_memory:
        void *data
        size_t size
    ctypedef struct textgen_model:
        pass
    ctypedef struct textgen_constraint:
        pass
    ctypedef struct textgen_spans:
        pass
    ctypedef struct textgen_stream:
        pass
    const char *textgen_code_text(int32_t code)

    ctypedef int32_t (*textgen_forward_function)(
        void *context, const int64_t *tokens, size_t count, float *state, float *logits
    ) noexcept nogil
    ctypedef struct textgen_model_options:
        const char *kernels
        textgen_memory memory
        textgen_forward_function forward
        void *context
        size_t state_values
        size_t vocabulary
    ctypedef struct textgen_model_info:
        size_t vocabulary
        size_t state_values
        size_t layers
        size_t units
        size_t embedding
        size_t residual
        size_t bits
        size_t parameters
        size_t step_bytes
        size_t symbol_bytes
        int64_t unknown
        int64_t begin
        int64_t end
        int32_t lowercase
        const char *unicode
        const char *level
        const char *records
        const char *kernels
    const char *textgen_kernels_name(size_t index)
    int32_t textgen_model_create(
        const void *data, size_t size, const textgen_model_options *options, textgen_model **model,
        textgen_error *error
    )
    void textgen_model_destroy(textgen_model *model)
    const textgen_model_info *textgen_model_get_info(const textgen_model *model)
    const char *textgen_model_get_metadata(const textgen_model *model, const char *key, size_t *size)
    size_t textgen_model_get_symbol(const textgen_model *model, int64_t token, char *symbol)
    int32_t textgen_encode(
        const textgen_model *model, const char *text, size_t size, int32_t skip, int64_t *tokens,
        size_t *count, textgen_error *error
    )
    size_t textgen_forward_size(const textgen_model *model, size_t batch, size_t logit_steps)
    int32_t textgen_forward(
        const textgen_model *model, const int64_t *tokens, size_t time, size_t batch, float *state,
        size_t logit_steps, float *logits, textgen_memory workspace, textgen_error *error
    )
    uint32_t textgen_model_read(const textgen_model *model)

    int32_t textgen_constraint_create_table(
        const int16_t *next, const uint8_t *accepting, size_t states, size_t vocabulary,
        const int64_t *banned, size_t banned_count, textgen_constraint **constraint, textgen_error *error
    )
    void textgen_constraint_destroy(textgen_constraint *constraint)
    int32_t textgen_spans_create_tokens(
        const int32_t *tokens, size_t count, size_t vocabulary, size_t max_copy, textgen_spans **spans,
        textgen_error *error
    )
    void textgen_spans_destroy(textgen_spans *spans)
    size_t textgen_spans_count(const textgen_spans *spans, const int32_t *tokens, size_t count)

    ctypedef struct textgen_sampling:
        uint64_t seed
        uint64_t seed_high
        uint64_t substream
        const double *logit_bias
        const char *const *stop
        size_t stop_count
        size_t keep_stop
        const textgen_constraint *constraint
        const textgen_spans *spans
    ctypedef struct textgen_parameter_info:
        const char *name
        const char *kind
        const char *group
        const char *value
        const char *help
        double initial
        double off
        double low
        double high
        int32_t low_is_open
        int32_t order
        size_t offset
    const textgen_parameter_info *textgen_parameter(size_t index)
    const char *textgen_parameter_requirement(const textgen_parameter_info *parameter, char *buffer)
    size_t textgen_sampler_size(size_t vocabulary)
    int32_t textgen_sampler_init(
        textgen_memory memory, size_t vocabulary, const textgen_sampling *sampling, textgen_stream **sampler,
        textgen_error *error
    )
    int64_t textgen_sampler_draw(textgen_stream *sampler, const void *logits, int32_t is_float)
    int32_t textgen_sampler_probabilities(
        textgen_stream *sampler, const double *logits, double *probabilities
    )
    int32_t textgen_softmax(const double *logits, size_t count, double temperature, double *probabilities)
    int64_t textgen_draw_with(
        const double *logits, size_t count, double temperature, double uniform, double *exp_logits
    )

    ctypedef struct textgen_stream_info:
        int32_t ending
        int32_t is_fed
        int32_t is_complete
        int32_t at_end
        int64_t drawn
        size_t needed
        size_t held
        size_t recent
        float *state
        float *logits
        const int32_t *held_tokens
    size_t textgen_stream_size(const textgen_model *model)
    size_t textgen_workspace_size(const textgen_model *model, size_t lanes)
    int32_t textgen_stream_init(
        textgen_memory memory, const textgen_model *model, const textgen_sampling *sampling,
        textgen_stream **stream, textgen_error *error
    )
    int32_t textgen_stream_copy(
        const textgen_stream *stream, textgen_memory memory, textgen_stream **copy, textgen_error *error
    )
    int32_t textgen_stream_set_sampling(
        textgen_stream *stream, const textgen_sampling *sampling, textgen_error *error
    )
    void textgen_stream_get_sampling(const textgen_stream *stream, textgen_sampling *sampling)
    void textgen_stream_seek(textgen_stream *stream, int64_t drawn)
    textgen_stream_info textgen_stream_get_info(const textgen_stream *stream)
    int32_t textgen_stream_feed_tokens(
        textgen_stream *stream, const int64_t *tokens, size_t count, int32_t how, double *logprobs,
        textgen_memory workspace, textgen_error *error
    )
    int32_t textgen_stream_probabilities(
        textgen_stream *stream, int32_t of_draw, double *probabilities, textgen_memory workspace,
        textgen_error *error
    )

    ctypedef struct textgen_lane:
        textgen_stream *stream
        size_t length
        int32_t finish
        int32_t unmasked
        char *text
        int64_t *tokens
        double *logprobs
        size_t drawn
        size_t decided
        size_t stop
        size_t written
        int32_t result
        int32_t ending
    int32_t textgen_generate(
        textgen_lane *lanes, size_t count, size_t steps, textgen_memory workspace,
        int64_t *latencies, textgen_error *error
    )
    size_t textgen_stream_text_size(const textgen_stream *stream, size_t length)
    int32_t textgen_stream_finish(
        textgen_stream *stream, int32_t complete, char *text, size_t size, size_t *written,
        textgen_error *error
    )
    size_t textgen_stream_saved_size(const textgen_stream *stream, size_t description_size)
    int32_t textgen_stream_save(
        const textgen_stream *stream, const void *description, size_t description_size, textgen_memory data,
        textgen_error *error
    )
    int32_t textgen_saved_description(
        const void *data, size_t size, const void **description, size_t *description_size,
        textgen_error *error
    )
    int32_t textgen_stream_resume(
        textgen_memory memory, const textgen_model *model, const textgen_sampling *sampling, const void *data,
        size_t size, textgen_stream **stream, textgen_error *error
    )


# For the module `sampler`.

# Write the numbers of a ``Sampling``, or the defaults for None. The other fields become 0.
cdef int write_numbers(textgen_sampling *to, object sampling) except -1

# Check a seed and a substream, and write them. Raise SamplingError.
cdef int write_seed(textgen_sampling *to, object seed, object substream) except -1

# Raise the exception of an error of the core.
cdef int check(int32_t code, const textgen_error *error, object exception=*) except -1

# Return uninitialized memory, or raise MemoryError.
cdef bytearray new_memory(object size)
cdef textgen_memory memory_of(bytearray data) noexcept
cdef double as_double(object value) except? -1.0
