"""Declarations of the C core (runtime/core): kernels, networks and the generation loop."""

from libc.stdint cimport int32_t, int64_t, uint32_t

from textgen_runtime.model_file.reader cimport textgen_description, textgen_error, textgen_view
from textgen_runtime.sampling.tables cimport textgen_constraint, textgen_spans, textgen_stop_state
from textgen_runtime.sampling.c_sampler cimport (
    textgen_exp64,
    textgen_filters,
    textgen_parameters,
    textgen_rng,
    textgen_uint128,
)


cdef extern from "kernels/kernels.h" nogil:
    enum:
        TEXTGEN_MAX_KERNELS
    ctypedef struct textgen_kernels:
        const char *name
    int textgen_available_kernels(const textgen_kernels **kernels)
    const textgen_kernels *textgen_find_kernels(const char *name)


cdef extern from "vocabulary.h" nogil:
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
        textgen_exp64 exp64
    int32_t textgen_network_create(
        const textgen_description *description,
        const textgen_kernels *kernels,
        textgen_special special,
        textgen_network **network,
        const textgen_error *error,
    )
    void textgen_network_destroy(textgen_network *network)
    size_t textgen_network_step_bytes(const textgen_network *network)
    uint32_t textgen_network_read(const textgen_network *network)


cdef extern from "text.h" nogil:
    enum:
        TEXTGEN_MAX_HELD
    enum:
        TEXTGEN_CONTINUES
        TEXTGEN_MASKED_END
    ctypedef struct textgen_shape:
        size_t vocabulary
        size_t state_values
        textgen_special special
        bint is_bytes
        textgen_exp64 exp64
    ctypedef struct textgen_guide:
        const textgen_stop_state *stops
        const textgen_constraint *constraint
        const textgen_spans *spans
    ctypedef struct textgen_text:
        textgen_parameters parameters
        textgen_rng rng
        int64_t filtered
        int64_t is_fed
        int64_t ending
        int64_t at_end
        int64_t drawn
        int64_t constraint_state
        int64_t held
        int64_t recent
    ctypedef struct textgen_text_parts:
        float *state
        float *logits
        int32_t *held
        textgen_filters *filters
    size_t textgen_text_size(const textgen_shape *shape)
    size_t textgen_text_used(const textgen_shape *shape, const textgen_text *text)
    textgen_text_parts textgen_text_find(const textgen_shape *shape, textgen_text *text)
    void textgen_text_init(
        const textgen_shape *shape, textgen_text *text, textgen_uint128 seed, uint32_t substream
    )
    void textgen_text_seed(textgen_text *text, textgen_uint128 seed, uint32_t substream, int64_t position)
    void textgen_text_configure(
        const textgen_shape *shape, textgen_text *text, const textgen_parameters *parameters, bint biased
    )
    void textgen_text_feed(const textgen_shape *shape, textgen_text *text, bint restart)
    void textgen_text_begin_constraint(textgen_text *text)
    bint textgen_text_is_complete(const textgen_text *text)
    int64_t textgen_text_needed(const textgen_text *text, const textgen_constraint *constraint)
    int64_t textgen_text_probabilities(
        const textgen_shape *shape,
        textgen_text *text,
        textgen_guide guide,
        bint of_draw,
        double *probabilities,
        float *masked,
        double *scratch,
    )


cdef extern from "saved.h" nogil:
    ctypedef struct textgen_saved:
        unsigned char *model
        unsigned char *constraint
        textgen_view description
        textgen_view block
    bint textgen_saved_is_possible(const textgen_shape *shape, textgen_text *text)
    size_t textgen_saved_size(const textgen_shape *shape, const textgen_text *text, size_t description)
    void textgen_saved_write(
        const textgen_shape *shape, const textgen_text *text, const textgen_saved *saved, void *data
    )
    int32_t textgen_saved_open(textgen_view data, textgen_saved *saved, const textgen_error *error)
    int32_t textgen_saved_read(
        const textgen_shape *shape,
        const textgen_saved *saved,
        const textgen_constraint *constraint,
        textgen_text *text,
        const textgen_error *error,
    )


cdef extern from "lane.h" nogil:
    ctypedef struct textgen_lane_call:
        textgen_text *text
        textgen_guide guide
        int64_t length
        bint must_end
        bint masked
        bint keep_stop
        int64_t *tokens
        double *logprobs
        int64_t held
        int64_t generated
        int64_t decided
        int64_t stop_length
        int64_t ending
    void textgen_lane_begin(const textgen_shape *shape, textgen_lane_call *lane)
    int64_t textgen_lane_draw(
        const textgen_shape *shape,
        textgen_lane_call *lane,
        const float *logits,
        float *masked,
        double *scratch,
    )
    int64_t textgen_lane_ending(const textgen_shape *shape, const textgen_lane_call *lane)
    double textgen_lane_entropy(
        const textgen_shape *shape,
        const textgen_lane_call *lane,
        const float *logits,
        float *masked,
        double *scratch,
    )
    void textgen_lane_finish(const textgen_shape *shape, textgen_lane_call *lane)


cdef extern from "generate.h" nogil:
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
        const textgen_shape *shape,
        textgen_lane_call *lanes,
        size_t count,
        int64_t steps,
        void *workspace,
        textgen_measurements *measurements,
    )
