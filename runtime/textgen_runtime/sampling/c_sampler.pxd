"""Declarations of the C sampler (runtime/core/sampler.h), for Cython modules that link it."""

from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "rng.h" nogil:
    ctypedef struct textgen_uint128:
        uint64_t high
        uint64_t low
    ctypedef struct textgen_rng:
        int64_t position
    void textgen_rng_seek(textgen_rng *rng, int64_t position)


cdef extern from "exp64.h" nogil:
    ctypedef void (*textgen_exp64)(double *values, size_t count) noexcept nogil
    textgen_exp64 textgen_find_exp64(const char *kernels)


cdef extern from "filters.h" nogil:
    enum:
        TEXTGEN_MAX_PENALTY_WINDOW
    ctypedef struct textgen_filter_parameters:
        double repetition_penalty
        double frequency_penalty
        double presence_penalty
        size_t penalty_window
        size_t top_k
        double typical_p
        double top_p
        double min_p
        double mirostat_tau
        double mirostat_eta
    ctypedef struct textgen_filters:
        textgen_filter_parameters parameters
        size_t vocabulary
        double mirostat_mu
        size_t recent_count
        size_t recent_next
        uint32_t *recent
    size_t textgen_filters_size(size_t vocabulary)
    double *textgen_filters_bias(textgen_filters *filters)
    void textgen_filters_init(
        textgen_filters *filters, const textgen_filter_parameters *parameters, size_t vocabulary
    )
    void textgen_filters_set_recent(textgen_filters *filters, const uint32_t *tokens, size_t count)
    size_t textgen_filters_get_recent(const textgen_filters *filters, uint32_t *tokens)


cdef extern from "sampler.h" nogil:
    enum:
        TEXTGEN_SAMPLER_EXHAUSTED
    ctypedef struct textgen_sampler:
        double temperature
        textgen_rng rng
        textgen_filters *filters
    void textgen_sampler_init(
        textgen_sampler *sampler,
        double temperature,
        textgen_uint128 seed,
        uint32_t substream,
        textgen_exp64 exp64,
    )
    size_t textgen_sampler_scratch(size_t count)
    int64_t textgen_argmax(const double *logits, size_t count)
    int64_t textgen_argmax_float(const float *logits, size_t count)
    int64_t textgen_reweight(
        const double *logits,
        size_t count,
        double temperature,
        double *exp_logits,
        double *sum,
        textgen_exp64 exp64,
    )
    int64_t textgen_reweight_float(
        const float *logits,
        size_t count,
        double temperature,
        double *exp_logits,
        double *sum,
        textgen_exp64 exp64,
    )
    int64_t textgen_draw_with(
        const double *logits,
        size_t count,
        double temperature,
        double uniform,
        double *exp_logits,
        textgen_exp64 exp64,
    )
    int64_t textgen_draw_with_float(
        const float *logits,
        size_t count,
        double temperature,
        double uniform,
        double *exp_logits,
        textgen_exp64 exp64,
    )
    double textgen_entropy_float(
        const float *logits,
        size_t count,
        double temperature,
        double *exp_logits,
        textgen_exp64 exp64,
    )
    int64_t textgen_sampler_reweight(
        const textgen_sampler *sampler, const double *logits, size_t count, double *scratch, double *sum
    )
    int64_t textgen_sampler_reweight_float(
        const textgen_sampler *sampler, const float *logits, size_t count, double *scratch, double *sum
    )
    int64_t textgen_sampler_draw(
        textgen_sampler *sampler, const double *logits, size_t count, double *scratch
    )
    int64_t textgen_sampler_draw_float(
        textgen_sampler *sampler, const float *logits, size_t count, double *scratch
    )
    void textgen_sampler_accept(textgen_sampler *sampler, int64_t token)
    const char *textgen_sampler_error_text(int64_t error)
