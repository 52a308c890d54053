"""States and lanes as the core's loop takes them."""

from libc.stdint cimport int64_t

from .c_core cimport textgen_token_lane
from textgen_runtime.sampling.c_sampler cimport textgen_sampler


cdef class StateLayout:
    # The names of the arrays, and the shape of each but for the batch.
    cdef tuple names
    cdef Py_ssize_t layers
    cdef Py_ssize_t units
    # Numbers of all arrays together; MemoryError if they could not be counted.
    cdef Py_ssize_t size(self, Py_ssize_t batch) except -1
    cdef object zeros(self, Py_ssize_t batch)
    # Copy a state into memory that there is, after `offset` other numbers. `places`: where its arrays start.
    cdef object copy(
        self, object state, Py_ssize_t batch, bytearray room, Py_ssize_t offset, float **places
    )


cdef class Lanes:
    cdef Py_ssize_t count
    cdef textgen_token_lane *items
    # Copies of the samplers' states, which the loop draws with: a process that is forked meanwhile finds the
    # samplers as they were before.
    cdef textgen_sampler *copies
    # The samplers in one order everywhere, so that two calls with the same ones cannot wait for each other.
    cdef void **ordered
    # What all of these lie in, and the tokens of all lanes.
    cdef bytearray room
    cdef bytearray tokens
    cdef Py_ssize_t vocabulary
    # Of the logits and the state of a lane, which lie together.
    cdef Py_ssize_t lane_bytes
    cdef list samplers
    cdef list logits
    cdef list states
    cdef int add(self, Py_ssize_t i, object lane, StateLayout layout) except -1
    cdef int order_samplers(self) except -1
    cdef int place_tokens(self, int64_t steps) except -1
    # How many steps the longest lane takes.
    cdef int64_t longest(self, int64_t steps) noexcept
    # All samplers are held from `acquire` to `release`; in between: `copy_samplers`, the loop,
    # `store_samplers`.
    cdef void acquire(self) noexcept
    cdef void release(self) noexcept
    # Raises the error of a lane whose random numbers would end.
    cdef int64_t copy_samplers(self, int64_t steps) noexcept
    cdef void store_samplers(self) noexcept
    # Raises the error of a lane that ended at a fault.
    cdef int raise_fault(self) except -1
    # Tokens of all lanes.
    cdef int64_t generated(self) noexcept
    # A list of ``Generated``.
    cdef list results(self)
