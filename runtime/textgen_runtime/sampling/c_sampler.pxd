"""Declarations of the C sampler (runtime/core/sampler.h), for Cython modules that link it."""

from libc.stdint cimport int64_t, uint32_t, uint64_t


cdef extern from "rng.h" nogil:
    ctypedef struct textgen_uint128:
        uint64_t high
        uint64_t low
    ctypedef struct textgen_rng:
        textgen_uint128 seed
        uint64_t substream
        int64_t position
    void textgen_rng_seek(textgen_rng *rng, int64_t position)


cdef extern from "exp64.h" nogil:
    ctypedef void (*textgen_exp64)(double *values, size_t count) noexcept nogil
    textgen_exp64 textgen_find_exp64(const char *kernels)


cdef extern from "textgen.h" nogil:
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
        int order
    const textgen_parameter_info *textgen_parameter(size_t index)


cdef extern from "parameters.h" nogil:
    enum:
        TEXTGEN_MAX_PENALTY_WINDOW
        TEXTGEN_PARAMETER_COUNT
        TEXTGEN_REQUIREMENT_SIZE
    ctypedef struct textgen_parameters:
        double temperature
        size_t penalty_window
        double mirostat_tau
    void textgen_parameters_set(textgen_parameters *parameters, const double *values)
    void textgen_parameters_get(const textgen_parameters *parameters, double *values)
    bint textgen_parameter_accepts(const textgen_parameter_info *parameter, double value)
    const char *textgen_parameter_requirement(const textgen_parameter_info *parameter, char *buffer)


cdef extern from "filters.h" nogil:
    ctypedef struct textgen_filters:
        size_t vocabulary
        double mirostat_mu
        size_t recent_count
    size_t textgen_filters_size(size_t vocabulary)
    double *textgen_filters_bias(textgen_filters *filters)
    bint textgen_filters_active(const textgen_parameters *parameters)
    bint textgen_penalties_active(const textgen_parameters *parameters)
    void textgen_filters_init(
        textgen_filters *filters, const textgen_parameters *parameters, size_t vocabulary
    )
    void textgen_filters_set_recent(
        textgen_filters *filters,
        const textgen_parameters *parameters,
        const uint32_t *tokens,
        size_t count,
    )
    void textgen_filters_change(
        textgen_filters *filters, const textgen_parameters *before, const textgen_parameters *parameters
    )
    size_t textgen_filters_get_recent(const textgen_filters *filters, uint32_t *tokens)


cdef extern from "sampler.h" nogil:
    enum:
        TEXTGEN_SAMPLER_FORBIDDEN
    ctypedef struct textgen_sampler:
        textgen_parameters parameters
        textgen_rng rng
        textgen_filters *filters
    void textgen_sampler_init(
        textgen_sampler *sampler,
        const textgen_parameters *parameters,
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
