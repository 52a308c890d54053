"""Reweight rows of logits and draw from them, from other Cython code, without the GIL.

Code that cimports this module needs no C header and no library. The functions take the uniform number as an
argument and allocate nothing: the caller passes ``exp_logits``, an array of ``size`` doubles other than
the logits.
"""

from libc.stdint cimport int64_t

# A negative result is an error code. `checked` raises it as a SamplingError.

# Return the most likely token (the lowest one of equals), or an error code.
cdef int64_t argmax_row(const double *logits, Py_ssize_t size) noexcept nogil

# Write exp((logit - max logit) / temperature) to exp_logits and the sum to `sum`. Return 0 or an error code.
cdef int64_t reweight_row(
    const double *logits, Py_ssize_t size, double temperature, double *exp_logits, double *sum
) noexcept nogil

# Return the lowest token whose cumulative probability exceeds `uniform`, or an error code.
cdef int64_t draw_row_with(
    const double *logits, Py_ssize_t size, double temperature, double uniform, double *exp_logits
) noexcept nogil

# Return the entropy in bits of the distribution at a temperature; 0 if the logits are invalid.
cdef double entropy_row(
    const double *logits, Py_ssize_t size, double temperature, double *exp_logits
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
    # A textgen_sampler of the C core. Its filters are for `vocabulary` tokens; NULL before the first draw.
    cdef void *core
    cdef Py_ssize_t vocabulary
    # Temporary memory of the C core for rows of `capacity` logits.
    cdef double *scratch
    cdef Py_ssize_t capacity
    # Whether a thread draws without the GIL.
    cdef bint busy
    cdef int enter(self) except -1
    cdef int prepare(self, Py_ssize_t vocabulary) except -1
    # Call `reserve` before a draw from a row of `size` logits.
    cdef int reserve(self, Py_ssize_t size) except -1
    # Return a token drawn from a row of float32 or float64 logits, or an error code.
    cdef int64_t draw_row(self, const void *row, Py_ssize_t size, bint is_float32) noexcept nogil


# The rest is for the other modules of this package.

# Copy a seed to a textgen_uint128 of the C core.
cdef int split_seed(object seed, object substream, void *number) except -1

# Arrays of floats: see buffers.pxi.

cdef bytearray new_memory(object size)


# A float32 array that owns a reference to its memory. Several arrays may share one bytearray.
cdef class FloatArray:
    cdef bytearray memory
    cdef float *data
    cdef Py_ssize_t size
    cdef int ndim
    cdef Py_ssize_t shape[3]
    cdef Py_ssize_t strides[3]


cdef FloatArray new_array(int ndim, Py_ssize_t first, Py_ssize_t second, Py_ssize_t third)

cdef FloatArray array_at(
    bytearray memory,
    Py_ssize_t offset,
    int ndim,
    Py_ssize_t first,
    Py_ssize_t second,
    Py_ssize_t third,
)

cdef int copy_buffer(object source, FloatArray target, str argument, object name=*) except -1


# A contiguous buffer of float32 or float64 values.
cdef class RealBuffer:
    cdef Py_buffer buffer
    cdef Py_ssize_t size
    cdef bint is_float32
