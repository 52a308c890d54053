"""Draw from a character distribution, from other Cython code.

Neither headers nor a library are needed to compile what uses it.
"""

from libc.stdint cimport int64_t

# They can be cimported from here too.
from .reweighting cimport argmax_row, checked, draw_row_with, entropy_row, real, reweight_row


cdef class Sampler:
    cdef object __weakref__
    cdef readonly object seed
    cdef readonly object substream
    # The core's textgen_sampler: temperature and random stream.
    cdef void *core
    # Whoever uses the core's sampler or the scratch space holds it.
    cdef void *lock
    cdef double *scratch
    cdef Py_ssize_t capacity
    # Wait for the lock with the GIL let go; `release` gives it back.
    cdef void acquire(self) noexcept
    cdef void release(self) noexcept
    cdef int take_lock_back(self) except -1
    cdef int reserve(self, Py_ssize_t size) except -1
    # Draw from a row of `size` float32 (`single`) or float64 logits; a token or a fault. The caller holds the
    # lock and has reserved room for `size` numbers.
    cdef int64_t draw_row(self, const void *row, Py_ssize_t size, bint single) noexcept nogil
