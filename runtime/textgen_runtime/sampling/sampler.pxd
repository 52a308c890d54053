"""Draw from a next-token distribution, from other Cython code.

Code that cimports this module needs no C header and no library.
"""

from libc.stdint cimport int64_t

# For other Cython code to cimport from here.
from .reweighting cimport argmax_row, checked, draw_row_with, entropy_row, real, reweight_row


cdef class Sampler:
    cdef object __weakref__
    cdef readonly object seed
    cdef readonly object substream
    # A textgen_sampler of the C core: temperature and random generator.
    cdef void *core
    # Held by the thread that uses `core` or `scratch`.
    cdef void *lock
    # An array of `capacity` doubles.
    cdef double *scratch
    cdef Py_ssize_t capacity
    # Take the lock. Waits without the GIL.
    cdef void acquire(self) noexcept
    cdef void release(self) noexcept
    cdef int replace_held_lock(self) except -1
    # Enlarge `scratch` to at least `size` doubles.
    cdef int reserve(self, Py_ssize_t size) except -1
    # Return a token drawn from a row of `size` float32 or float64 logits, or an error code. Before the call,
    # take the lock and reserve `size`.
    cdef int64_t draw_row(self, const void *row, Py_ssize_t size, bint is_float32) noexcept nogil
