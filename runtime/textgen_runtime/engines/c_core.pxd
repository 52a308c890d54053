"""Declarations of the C core (runtime/core): kernels, networks and the generation loop."""

from libc.stdint cimport int32_t, int64_t

from textgen_runtime.model_file.c_model_file cimport textgen_description, textgen_error
from textgen_runtime.sampling.c_automata cimport textgen_constraint, textgen_stops
from textgen_runtime.sampling.c_sampler cimport textgen_sampler


cdef extern from "kernels/kernels.h" nogil:
    enum:
        TEXTGEN_GROUP
        TEXTGEN_MAX_KERNELS
    ctypedef struct textgen_int8_kernels:
        void (*sigmoid)(float *values, ptrdiff_t count) noexcept nogil
        void (*tanh)(float *values, ptrdiff_t count) noexcept nogil
    ctypedef struct textgen_kernels:
        const char *name
        void (*sigmoid)(float *values, ptrdiff_t count) noexcept nogil
        void (*tanh)(float *values, ptrdiff_t count) noexcept nogil
        const textgen_int8_kernels *int8
    int textgen_available_kernels(const textgen_kernels **kernels)
    const textgen_kernels *textgen_find_kernels(const char *name)


cdef extern from "special.h" nogil:
    ctypedef struct textgen_special:
        int64_t unknown
        int64_t begin
        int64_t end
    void textgen_special_mask(const textgen_special *special, float *values)


cdef extern from "pack.h" nogil:
    ctypedef struct textgen_network:
        size_t vocabulary
        textgen_special special
        const textgen_kernels *kernels
    int32_t textgen_network_create(
        const textgen_description *description,
        const textgen_kernels *kernels,
        textgen_special special,
        textgen_network **network,
        const textgen_error *error,
    )
    void textgen_network_destroy(textgen_network *network)
    size_t textgen_network_step_bytes(const textgen_network *network)
    float textgen_network_read(const textgen_network *network)


cdef extern from "generate.h" nogil:
    ctypedef struct textgen_token_lane:
        textgen_sampler *sampler
        float *state
        float *logits
        int64_t *tokens
        int64_t length
        int64_t min_length
        int64_t generated
        int64_t ending
        const textgen_constraint *constraint
        int64_t constraint_state
        bint must_end
        bint masked
        const textgen_stops *stops
        int64_t stop_state
        int64_t stop_length
        double *logprobs
    ctypedef struct textgen_measurements:
        int64_t steps
        int64_t draws
        int64_t model_ns
        int64_t sampler_ns
        double entropy
        int64_t *latencies
    size_t textgen_slots_size(const textgen_network *network, size_t lanes, size_t logit_steps)
    void textgen_forward(
        const textgen_network *network,
        const int64_t *tokens,
        size_t time,
        size_t batch,
        float *state,
        size_t logit_steps,
        float *logits,
        void *workspace,
    )
    void textgen_generate_tokens(
        const textgen_network *network,
        textgen_token_lane *lanes,
        size_t count,
        int64_t steps,
        void *workspace,
        textgen_measurements *measurements,
    )
