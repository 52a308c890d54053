"""Draw from a next-token distribution, from other Cython code.

Code that cimports this module needs no C header and no library.
"""

from libc.stdint cimport int64_t

from .filters cimport Filters

# For other Cython code to cimport from here.
from .reweighting cimport argmax_row, checked, draw_row_with, entropy_row, real, reweight_row


cdef class Sampler:
    cdef object __weakref__
    cdef readonly object seed
    cdef readonly object substream
    # A textgen_sampler of the C core: temperature, random generator, and a pointer to `block` once that is
    # made for a vocabulary size.
    cdef void *core
    # The textgen_filters of the C core, with their state; NULL if no filter is on. Made for `vocabulary`
    # tokens; 0 means that the size is not known yet.
    cdef void *block
    cdef Py_ssize_t vocabulary
    cdef Filters parameters
    # Held by the thread that uses one of the above or `scratch`.
    cdef void *lock
    # Temporary memory of the C core for rows of `capacity` logits.
    cdef double *scratch
    cdef Py_ssize_t capacity
    # Take the lock. Waits without the GIL.
    cdef void acquire(self) noexcept
    cdef void release(self) noexcept
    cdef int replace_held_lock(self) except -1
    # Make the filters for a vocabulary size, with their state. Before the call, take the lock. Returns 0, or
    # an error code; after the release of the lock, `raise_error` raises it. Creates no Python object.
    cdef int prepare(self, Py_ssize_t vocabulary) noexcept
    cdef int raise_error(self, int error, Py_ssize_t vocabulary) except -1
    cdef int replace_block(self, Filters parameters, Py_ssize_t vocabulary) noexcept
    # `prepare`, and enlarge `scratch` to rows of `size` logits.
    cdef int reserve(self, Py_ssize_t size) noexcept
    # Return a token drawn from a row of `size` float32 or float64 logits, or an error code. Before the call,
    # take the lock and reserve `size`. `draw_row` also passes the token to the filters.
    cdef int64_t draw_row(self, const void *row, Py_ssize_t size, bint is_float32) noexcept nogil
    cdef int64_t propose_row(self, const void *row, Py_ssize_t size, bint is_float32) noexcept nogil
