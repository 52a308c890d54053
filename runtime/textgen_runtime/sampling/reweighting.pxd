"""Reweight a row of logits and draw from it without the GIL, from other Cython code.

The functions take the uniform number as an argument and allocate nothing: the caller passes ``exp_logits``,
an array of ``size`` doubles. Code that cimports them needs no C header and no library.
"""

from libc.stdint cimport int64_t

ctypedef fused real:
    float
    double

# A negative result is an error code. `checked` raises it as a SamplingError.

# Return the most likely token (the lowest one of equals), or an error code.
cdef int64_t argmax_row(const real *logits, Py_ssize_t size) noexcept nogil

# Write exp((logit - max logit) / temperature) to exp_logits and the sum to `sum`. Return 0 or an error code.
cdef int64_t reweight_row(
    const real *logits, Py_ssize_t size, double temperature, double *exp_logits, double *sum
) noexcept nogil

# Return the lowest token whose cumulative probability exceeds `uniform`, or an error code.
cdef int64_t draw_row_with(
    const real *logits, Py_ssize_t size, double temperature, double uniform, double *exp_logits
) noexcept nogil

# Return the entropy in bits of the distribution at a temperature; 0 if the logits are invalid.
cdef double entropy_row(
    const float *logits, Py_ssize_t size, double temperature, double *exp_logits
) noexcept nogil

# Return a result that is not negative. Raise SamplingError for an error code.
cdef int64_t checked(int64_t result) except? -1

# Return a temperature as a double. Raise SamplingError unless it is finite and 0 or more.
cdef double checked_temperature(object temperature) except -1.0
