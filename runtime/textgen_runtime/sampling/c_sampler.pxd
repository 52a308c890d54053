"""Declarations of the C sampler (runtime/core/sampler.h), for Cython modules that link it."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t


cdef extern from "rng.h" nogil:
    ctypedef struct textgen_uint128:
        uint64_t high
        uint64_t low
    ctypedef struct textgen_rng:
        textgen_uint128 seed
        uint64_t substream
        int64_t position
    void textgen_rng_init(textgen_rng *rng, textgen_uint128 seed, uint32_t substream)
    void textgen_rng_seek(textgen_rng *rng, int64_t position)


cdef extern from "exp.h" nogil:
    # A pointer to a table of functions.
    ctypedef struct textgen_exp64_table "struct textgen_exp64":
        pass
    ctypedef const textgen_exp64_table *textgen_exp64
    textgen_exp64 textgen_find_exp64(const char *kernels)


cdef extern from "textgen.h" nogil:
    enum:
        TEXTGEN_NO_TOKEN
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
    const char *textgen_code_text(int32_t code)


cdef extern from "sampler.h" nogil:
    enum:
        TEXTGEN_PARAMETER_COUNT
        TEXTGEN_REQUIREMENT_SIZE
    ctypedef struct textgen_parameters:
        pass
    ctypedef struct textgen_filters:
        pass
    ctypedef struct textgen_sampler:
        textgen_parameters parameters
        textgen_rng rng
        textgen_exp64 exp64
        textgen_filters *filters
    void textgen_parameters_set(textgen_parameters *parameters, const double *values)
    void textgen_parameters_get(const textgen_parameters *parameters, double *values)
    bint textgen_parameter_accepts(const textgen_parameter_info *parameter, double value)
    const char *textgen_parameter_requirement(const textgen_parameter_info *parameter, char *buffer)
    size_t textgen_filters_size(size_t vocabulary)
    void textgen_filters_init(
        textgen_filters *filters, const textgen_parameters *parameters, size_t vocabulary
    )
    double *textgen_filters_bias(textgen_filters *filters)
    bint textgen_filters_active(const textgen_parameters *parameters)
    void textgen_filters_change(
        textgen_filters *filters, const textgen_parameters *before, const textgen_parameters *parameters
    )
    double *textgen_widen(const float *logits, size_t count, double *values, textgen_exp64 exp64)
    int64_t textgen_argmax(const double *logits, size_t count, textgen_exp64 exp64)
    int32_t textgen_reweight(
        const double *logits,
        size_t count,
        double temperature,
        double *weights,
        double *sum,
        textgen_exp64 exp64,
    )
    int64_t textgen_draw_with(
        const double *logits,
        size_t count,
        double temperature,
        double uniform,
        double *weights,
        textgen_exp64 exp64,
    )
    double textgen_entropy(
        const double *logits, size_t count, double temperature, double *weights, textgen_exp64 exp64
    )
    size_t textgen_sampler_scratch(size_t count)
    int32_t textgen_sampler_reweight(
        const textgen_sampler *sampler, double *values, size_t count, double *weights, double *sum
    )
    int64_t textgen_sampler_draw(textgen_sampler *sampler, double *values, size_t count)
    void textgen_sampler_accept(textgen_sampler *sampler, int64_t token)
