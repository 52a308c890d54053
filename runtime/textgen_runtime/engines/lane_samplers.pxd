"""Lock and copy the samplers of the lanes of one call."""

from libc.stdint cimport int64_t

from textgen_runtime.sampling.c_sampler cimport textgen_sampler


cdef class LaneSamplers:
    cdef Py_ssize_t count
    cdef Py_ssize_t vocabulary
    cdef size_t filters_size
    cdef list samplers
    # By lane: the copies of the samplers, and how often each may draw.
    cdef textgen_sampler *copies
    cdef int64_t *draws
    # The samplers sorted by address. All calls lock them in this order, which prevents deadlocks.
    cdef void **ordered
    # The memory of `copies`, `draws` and `ordered`.
    cdef bytearray memory
    # The memory of the copies of their filters, or NULL if no sampler has filters.
    cdef void *filters
    # If `copy` failed: the lane whose sampler failed, and the error code of its filters or of its draws.
    cdef Py_ssize_t failed
    cdef int filter_error
    cdef int64_t draw_error
    cdef bint out_of_memory
    cdef int allocate(self, Py_ssize_t capacity, Py_ssize_t vocabulary, size_t filters_size) except -1
    # Add the sampler of the next lane, and return the address of its copy.
    cdef textgen_sampler *add(self, object sampler, int64_t draws) except NULL
    # Sort the samplers. Raise ValueError if two of them are the same.
    cdef int order(self) except -1
    # Lock and unlock all samplers. The calls between them are: `copy`, the C loop, `store`. They create no
    # Python object: an allocation can run the garbage collector, and a finalizer may need one of the locks.
    cdef void acquire(self) noexcept
    cdef void release(self) noexcept
    # Prepare the filters of all samplers for the vocabulary, and copy the samplers. Return whether it
    # succeeded.
    cdef bint copy(self) noexcept
    cdef bint copy_filters(self, size_t filtered) noexcept
    cdef void store(self) noexcept
    # Raise the error of `copy`, if any.
    cdef int raise_copy_error(self) except -1


# Return an object for up to `capacity` lanes. `filters_size` is the size in bytes of a sampler's filters, for
# this vocabulary size.
cdef LaneSamplers new_lane_samplers(Py_ssize_t capacity, Py_ssize_t vocabulary, size_t filters_size)
