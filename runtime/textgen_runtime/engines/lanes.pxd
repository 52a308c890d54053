"""Convert states and lanes between Python objects and the structs of the C core."""

from libc.stdint cimport int64_t

from .c_core cimport textgen_token_lane
from .lane_samplers cimport LaneSamplers


# The functions of guides.pyx. NULL until the first lane has a guide.
cdef struct GuideFunctions:
    # Set the stop texts and the constraint of a lane whose length is set. Raises the errors of `check_guide`.
    # The lane uses the memory of the guide.
    int (*apply)(textgen_token_lane *lane, object guide, Py_ssize_t vocabulary) except -1
    # Return a guide with the states of a lane.
    object (*advance)(object guide, const textgen_token_lane *lane)


cdef GuideFunctions guide_functions


# The arrays of the state: their names and dimensions. They lie in memory one after the other.
cdef class StateLayout:
    cdef tuple names
    # Rows and units of each array, one after the other.
    cdef bytearray dimension_memory
    cdef const Py_ssize_t *dimensions
    cdef Py_ssize_t lane_size
    # Return the number of floats in a state. Raise MemoryError if its size in bytes overflows.
    cdef Py_ssize_t size(self, Py_ssize_t batch) except -1
    cdef object zeros(self, Py_ssize_t batch)
    # Copy a state into memory, starting `offset` floats after its beginning. Returns the copy as a ``State``.
    cdef object copy_state(self, object state, Py_ssize_t batch, bytearray memory, Py_ssize_t offset)


cdef class Lanes:
    cdef Py_ssize_t count
    cdef textgen_token_lane *items
    # The memory of `items`.
    cdef bytearray memory
    # The ``Lane`` objects. Their guides keep the automata alive that the C loop reads.
    cdef list lanes
    # The memory of the tokens of all lanes.
    cdef bytearray tokens
    # The memory of the log-probabilities of each lane that asks for them.
    cdef list logprobs
    cdef Py_ssize_t vocabulary
    # Bytes of the logits and the state of one lane, which share a block of memory.
    cdef Py_ssize_t lane_bytes
    cdef LaneSamplers samplers
    cdef list logits
    cdef list states
    cdef int fill(
        self,
        list lanes,
        StateLayout layout,
        Py_ssize_t vocabulary,
        int64_t steps,
        size_t filters_size,
    ) except -1
    cdef int add(self, Py_ssize_t i, object lane, StateLayout layout, int64_t steps) except -1
    cdef int allocate_tokens(self, int64_t steps) except -1
    # Return the number of steps of the longest lane.
    cdef int64_t max_steps(self, int64_t steps) noexcept
    # Raise SamplingError if a lane ended with an error.
    cdef int raise_lane_error(self) except -1
    # Return a list of ``Generated``.
    cdef list results(self)


# Return the lanes of one call.
#
# `lanes` is a list of ``Lane``, each with a separate sampler; `layout` the layout of their states; `steps`
# the maximum number of tokens per lane; `filters_size` the size in bytes of a sampler's filters, for this
# vocabulary size.
#
# Raises ValueError if there is no lane, if a shape or a length is wrong, if `steps` is negative, if two lanes
# share a sampler, or if a guide is invalid; SamplingError if a text cannot match within its length; TypeError
# if a lane, a sampler, a state or a guide is of the wrong type.
cdef Lanes new_lanes(
    list lanes, StateLayout layout, Py_ssize_t vocabulary, int64_t steps, size_t filters_size
)
