"""Convert states and lanes between Python objects and the structs of the C core."""

from libc.stdint cimport int64_t

from .c_core cimport textgen_token_lane
from textgen_runtime.sampling.c_sampler cimport textgen_sampler


# The arrays of the state: their names, and the dimensions that all of them share.
cdef class StateLayout:
    cdef tuple names
    cdef Py_ssize_t layers
    cdef Py_ssize_t units
    # Return the number of floats in a state. Raise MemoryError if its size in bytes overflows.
    cdef Py_ssize_t size(self, Py_ssize_t batch) except -1
    cdef object zeros(self, Py_ssize_t batch)
    # Copy a state into memory, starting `offset` floats after its beginning. Writes the address of each array
    # to `arrays`. Returns the copy as a ``State``.
    cdef object copy_state(
        self, object state, Py_ssize_t batch, bytearray memory, Py_ssize_t offset, float **arrays
    )


cdef class Lanes:
    cdef Py_ssize_t count
    cdef textgen_token_lane *items
    # The C loop draws with copies of the samplers. If the process forks during the loop, the
    # samplers of the child are unchanged.
    cdef textgen_sampler *copies
    # The samplers sorted by address. All calls lock them in this order, which prevents deadlocks.
    cdef void **ordered
    # The memory of `items`, `copies` and `ordered`.
    cdef bytearray memory
    # The memory of the tokens of all lanes.
    cdef bytearray tokens
    cdef Py_ssize_t vocabulary
    # Bytes of the logits and the state of one lane, which share a block of memory.
    cdef Py_ssize_t lane_bytes
    cdef list samplers
    cdef list logits
    cdef list states
    cdef int add(self, Py_ssize_t i, object lane, StateLayout layout) except -1
    cdef int order_samplers(self) except -1
    cdef int allocate_tokens(self, int64_t steps) except -1
    # Return the number of steps of the longest lane.
    cdef int64_t max_steps(self, int64_t steps) noexcept
    # Lock and unlock all samplers. The calls between them are: `copy_samplers`, the C loop, `store_samplers`.
    cdef void acquire(self) noexcept
    cdef void release(self) noexcept
    # Return 0, or an error code if the random stream of a lane ends within these steps.
    cdef int64_t copy_samplers(self, int64_t steps) noexcept
    cdef void store_samplers(self) noexcept
    # Raise SamplingError if a lane ended with an error.
    cdef int raise_lane_error(self) except -1
    # Return the number of generated tokens of all lanes.
    cdef int64_t generated(self) noexcept
    # Return a list of ``Generated``.
    cdef list results(self)
