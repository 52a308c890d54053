"""Reweight a row of logits and draw from it without the GIL, from other Cython code.

The functions take the uniform number as an argument and own no memory: the caller brings ``exp_logits``,
room for ``size`` doubles. Neither headers nor a library are needed to compile what uses them.
"""

from libc.stdint cimport int64_t

ctypedef fused real:
    float
    double

# The functions below return a token, or a fault, which is negative: `checked` raises the error that it is.

# The likeliest token (the lowest of equals), or a fault.
cdef int64_t argmax_row(const real *logits, Py_ssize_t size) noexcept nogil

# exp((logit - largest logit) / temperature) into exp_logits, and their sum; 0 or a fault.
cdef int64_t reweight_row(
    const real *logits, Py_ssize_t size, double temperature, double *exp_logits, double *sum
) noexcept nogil

# The lowest token whose cumulative probability exceeds `uniform`, or a fault.
cdef int64_t draw_row_with(
    const real *logits, Py_ssize_t size, double temperature, double uniform, double *exp_logits
) noexcept nogil

# Entropy in bits of the distribution that a draw is made from; 0 where there is none.
cdef double entropy_row(
    const float *logits, Py_ssize_t size, double temperature, double *exp_logits
) noexcept nogil

# A token as it is; a fault becomes the SamplingError that tells the user of it.
cdef int64_t checked(int64_t outcome) except? -1

# A temperature that is a finite number, 0 or more; else the SamplingError.
cdef double checked_temperature(object temperature) except -1.0
