"""Draw from a character distribution without the GIL, from other Cython code.

The functions take the uniform number as an argument and own no memory: the caller brings ``weights``,
room for ``size`` doubles.
"""

from libc.stdint cimport int64_t
from numpy.random cimport bitgen_t

ctypedef fused real:
    float
    double

# What the functions below return instead of a token; any of them is negative.
cdef enum Fault:
    NOT_A_NUMBER = -1
    INFINITE = -2
    NOTHING_POSSIBLE = -3
    USED_UP = -4

# The next uniform of a stream, in [0, 1).
cdef double next_uniform(bitgen_t *source) noexcept nogil

# The most likely token (the lowest id of equals), or a Fault.
cdef int64_t most_likely(const real *logits, Py_ssize_t size) noexcept nogil

# exp((logit - largest logit) / temperature) into weights and their sum into total; 0 or a Fault.
cdef int64_t weigh(
    const real *logits, Py_ssize_t size, double temperature, double *weights, double *total
) noexcept nogil

# The token at `uniform` of the cumulative distribution, or a Fault.
cdef int64_t draw_token(
    const real *logits, Py_ssize_t size, double temperature, double uniform, double *weights
) noexcept nogil

# Entropy in bits of the distribution that a draw is made from; 0 where there is none.
cdef double entropy_of(
    const real *logits, Py_ssize_t size, double temperature, double *weights
) noexcept nogil

# A token as it is; a Fault becomes the SamplingError that tells the user of it.
cdef int64_t checked(int64_t outcome) except -1


cdef class Sampler:
    cdef object __weakref__
    cdef readonly object seed
    cdef readonly object substream
    cdef object bit_generator
    cdef object lock
    cdef bitgen_t *source
    # The temperature; the property that checks it has the name.
    cdef double heat
    # Numbers taken from the random stream so far; whoever draws through `source` adds to it, and sees first
    # that it stays in its range.
    cdef int64_t taken
    cdef double *scratch
    cdef Py_ssize_t capacity
    cdef int open_stream(self, object position) except -1
    cdef int take_lock_back(self) except -1
    cdef int reserve(self, Py_ssize_t size) except -1
    cdef int64_t draw_row(self, const void *row, Py_ssize_t size, bint single) noexcept nogil
