"""Draw from rows of logits, from other Cython code, without the GIL.

Code that cimports this module needs no C header and no library. The functions allocate nothing. A negative
result is an error code, which ``checked`` raises as a SamplingError.
"""

from libc.stdint cimport int64_t

# Write the softmax of logits / temperature to `probabilities`, [size]. Return 0 or an error code.
cdef int64_t softmax_row(
    const double *logits, Py_ssize_t size, double temperature, double *probabilities
) noexcept nogil

# Return the lowest token whose cumulative probability exceeds `uniform`, or an error code. exp_logits:
# temporary, [size].
cdef int64_t draw_row_with(
    const double *logits, Py_ssize_t size, double temperature, double uniform, double *exp_logits
) noexcept nogil

# Return a result that is not negative. Raise SamplingError for an error code.
cdef int64_t checked(int64_t result) except? -1

# Return a temperature as a double. Raise SamplingError unless it is finite and 0 or more.
cdef double checked_temperature(object temperature) except -1.0


cdef class Sampler:
    cdef readonly object seed
    cdef readonly object substream
    cdef object _sampling
    cdef tuple _logit_bias
    # The position of the random numbers before the first draw.
    cdef int64_t waiting
    # A sampler of the C core, for `vocabulary` tokens. NULL before a draw.
    cdef void *core
    cdef bytearray memory
    cdef Py_ssize_t vocabulary
    # Whether a thread draws without the GIL.
    cdef bint busy
    cdef int enter(self) except -1
    cdef int set_sampling(self, object sampling, tuple biases, bytearray memory, Py_ssize_t size) except -1
    cdef int change(self, object sampling, tuple biases) except -1
    # Before draws of rows of `size` logits, call `prepare`.
    cdef int prepare(self, Py_ssize_t size) except -1
    # Return a token drawn from a row of logits, or an error code.
    cdef int64_t draw_row(self, const double *row) noexcept nogil
    cdef int64_t draw_values(self, const void *row, Py_ssize_t itemsize) noexcept nogil
