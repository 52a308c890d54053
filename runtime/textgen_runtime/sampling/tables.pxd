"""The tables that texts follow, for Cython modules that link the C core."""

from libc.stdint cimport int16_t, int32_t, int64_t, uint16_t, uint64_t


cdef extern from "tables.h" nogil:
    ctypedef struct textgen_stop_state:
        uint16_t matched
        uint16_t pending
    size_t textgen_stops_add(
        textgen_stop_state *states, size_t count, const int64_t *tokens, size_t length
    )
    void textgen_stops_link(textgen_stop_state *states)


cdef extern from "text.h" nogil:
    enum:
        TEXTGEN_MAX_STOP


cdef extern from "tables.h" nogil:
    enum:
        TEXTGEN_MAX_STATES
        TEXTGEN_MAX_ENTRIES
        TEXTGEN_OUT_OF_MEMORY
        TEXTGEN_SHA256_SIZE
    ctypedef struct textgen_error:
        char *text
        size_t size
    ctypedef struct textgen_constraint:
        int16_t *next
        int32_t *distance
        size_t states
        size_t vocabulary
        unsigned char *digest
    int32_t textgen_constraint_link(textgen_constraint *constraint, const textgen_error *error)
    void textgen_constraint_digest(textgen_constraint *constraint)
    int32_t textgen_constraint_ban(
        textgen_constraint *constraint, const int64_t *banned, size_t count, const textgen_error *error
    )
    void textgen_constraint_mask(
        const textgen_constraint *constraint, int64_t state, int64_t remaining, float *logits
    )
    int64_t textgen_constraint_next(
        const textgen_constraint *constraint, int64_t state, int64_t token, int64_t remaining
    )
    bint textgen_constraint_accepting(const textgen_constraint *constraint, int64_t state)
    bint textgen_constraint_complete(const textgen_constraint *constraint, int64_t state)


cdef extern from "tables.h" nogil:
    ctypedef struct textgen_spans:
        size_t vocabulary
        int64_t max_copy
    int32_t textgen_spans_build(
        textgen_spans *spans,
        const int32_t *tokens,
        size_t count,
        size_t vocabulary,
        size_t max_copy,
        const textgen_error *error,
    )
    void textgen_spans_release(textgen_spans *spans)
    uint64_t textgen_spans_next(
        const textgen_spans *spans, const int32_t *recent, int64_t count, uint64_t hash, int64_t token
    )
    bint textgen_spans_has(
        const textgen_spans *spans, const int32_t *recent, int64_t count, uint64_t hash, int64_t token
    )


# Return the address of the items of an `array.array`. The limited C API of Python has no function for it.
cdef const void *address_of(object values) except? NULL


cdef class Stops:
    # Points to the memory below.
    cdef textgen_stop_state *core
    cdef readonly tuple texts
    cdef readonly Py_ssize_t vocabulary_size
    cdef readonly Py_ssize_t states
    cdef bytearray memory


cdef class Constraint:
    # Points to the memory below.
    cdef textgen_constraint core
    cdef readonly Py_ssize_t states
    cdef readonly str digest
    cdef bytearray next_memory
    cdef bytearray distance_memory
    cdef int64_t checked_state(self, object state) except -1


cdef class Spans:
    cdef textgen_spans core
