# cython: language_level=3, freethreading_compatible=True
"""Convert states and lanes between Python objects and the structs of the C core.

A call may generate a single token for many lanes, so the cost per lane matters. Each lane has few Python
objects and one block of memory. One further block holds the structs of all lanes.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.number cimport PyNumber_Index
from libc.stdint cimport INT64_MAX, int64_t, uintptr_t
from libc.stdlib cimport qsort
from libc.string cimport memset

from textgen_runtime.sampling.buffers cimport FloatArray, array_at, copy_buffer, new_array, new_memory
from .c_core cimport TEXTGEN_REACHED_LENGTH, textgen_token_lane
from textgen_runtime.sampling.c_sampler cimport TEXTGEN_SAMPLER_EXHAUSTED, textgen_sampler
from textgen_runtime.sampling.reweighting cimport checked
from textgen_runtime.sampling.sampler cimport Sampler

from .base import NO_LANES_ERROR, SHARED_SAMPLER_ERROR, Generated, State


cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX


# A longer lane could not end: a random stream has fewer numbers.
cdef object MAX_LENGTH = INT64_MAX


@cython.final
cdef class StateLayout:
    """The memory layout of a state: arrays of shape [layers, batch, units].

    Args:
        names: The names of the arrays, in the order of the C core.
        layers: The number of layers of each array.
        units: The number of units of each layer.
    """

    def __cinit__(self, tuple names, Py_ssize_t layers, Py_ssize_t units):
        self.names, self.layers, self.units = names, layers, units

    cdef Py_ssize_t size(self, Py_ssize_t batch) except -1:
        cdef Py_ssize_t lane_size = len(self.names) * self.layers * self.units
        if batch > PY_SSIZE_T_MAX // <Py_ssize_t>sizeof(float) // lane_size:
            raise MemoryError
        return batch * lane_size

    cdef object zeros(self, Py_ssize_t batch):
        cdef FloatArray array
        if batch < 0:
            raise ValueError(f"batch must be 0 or more, not {batch}")
        buffers = {}
        for name in self.names:
            array = new_array(3, self.layers, batch, self.units)
            memset(array.data, 0, array.size * sizeof(float))
            buffers[name] = array
        return State(buffers)

    cdef object copy_state(
        self, object state, Py_ssize_t batch, bytearray memory, Py_ssize_t offset, float **arrays
    ):
        if not isinstance(state, State):
            raise TypeError(f"the state must be a State, not {type(state).__name__}")
        cdef dict sources = state.buffers
        cdef dict copies = {}
        cdef FloatArray array
        cdef Py_ssize_t i = 0
        for name in self.names:
            source = sources.get(name)
            if source is None:
                raise ValueError(f"the state must have the arrays {', '.join(self.names)}")
            array = array_at(memory, offset, 3, self.layers, batch, self.units)
            copy_buffer(source, array, f"the state array {name!r}")
            copies[name], arrays[i] = array, array.data
            offset += array.size
            i += 1
        return new_state(copies)


# The constructors of State and Generated are Python code. Calling them would take most of the time of a lane.
cdef object new_object = object.__new__
cdef object new_tuple = tuple.__new__


cdef object new_state(dict buffers):
    """Return a ``State`` that takes ownership of a dictionary."""
    state = new_object(State)
    state.buffers = buffers
    return state


cdef int compare_addresses(const void *a, const void *b) noexcept nogil:
    cdef uintptr_t first = (<const uintptr_t *>a)[0]
    cdef uintptr_t second = (<const uintptr_t *>b)[0]
    return (first > second) - (first < second)


@cython.final
cdef class Lanes:
    """The lanes of one call, with copies of all memory that the call may change.

    Args:
        lanes: A list of ``Lane``, each with a separate sampler.
        layout: The layout of their states.
        vocabulary: The vocabulary size.
        steps: The maximum number of tokens per lane.

    Raises:
        ValueError: If there is no lane, if a shape or a length is wrong, if ``steps`` is negative, or if two
            lanes share a sampler.
        TypeError: If a lane, a sampler or a state is of the wrong type.
    """

    def __cinit__(self, list lanes, StateLayout layout, Py_ssize_t vocabulary, int64_t steps):
        cdef Py_ssize_t i
        self.count = len(lanes)
        if steps < 0:
            raise ValueError(f"steps must be 0 or more, not {steps}")
        if self.count == 0:
            raise ValueError(NO_LANES_ERROR)
        self.memory = new_memory(
            self.count * (sizeof(textgen_token_lane) + sizeof(textgen_sampler) + sizeof(void *))
        )
        self.items = <textgen_token_lane *>PyByteArray_AS_STRING(self.memory)
        self.copies = <textgen_sampler *>(self.items + self.count)
        self.ordered = <void **>(self.copies + self.count)
        self.samplers, self.logits, self.states = [], [], []
        self.vocabulary, self.lane_bytes = vocabulary, (vocabulary + layout.size(1)) * sizeof(float)
        for i in range(self.count):
            self.add(i, lanes[i], layout)
        self.order_samplers()
        self.allocate_tokens(steps)

    cdef int add(self, Py_ssize_t i, object lane, StateLayout layout) except -1:
        cdef textgen_token_lane *item = &self.items[i]
        cdef bytearray memory
        cdef FloatArray logits
        if not isinstance(lane, tuple):
            raise TypeError(f"a lane must be a Lane, not {type(lane).__name__}")
        sampler, lane_logits, state, length = <tuple>lane
        if not isinstance(sampler, Sampler):
            raise TypeError(f"the sampler of a lane must be a Sampler, not {type(sampler).__name__}")
        length = PyNumber_Index(length)
        if length < 1:
            raise ValueError(f"the length of a lane must be 1 or more, not {length}")
        memory = PyByteArray_FromStringAndSize(NULL, self.lane_bytes)
        logits = array_at(memory, 0, 1, self.vocabulary, 1, 1)
        copy_buffer(lane_logits, logits, "the logits")
        self.samplers.append(sampler)
        self.logits.append(logits)
        self.states.append(layout.copy_state(state, 1, memory, self.vocabulary, item.state))
        item.sampler, item.logits = &self.copies[i], logits.data
        item.length = min(length, MAX_LENGTH)
        self.ordered[i] = <void *>sampler
        return 0

    cdef int order_samplers(self) except -1:
        cdef Py_ssize_t i
        qsort(self.ordered, self.count, sizeof(void *), compare_addresses)
        for i in range(1, self.count):
            if self.ordered[i] == self.ordered[i - 1]:
                raise ValueError(SHARED_SAMPLER_ERROR)
        return 0

    cdef int allocate_tokens(self, int64_t steps) except -1:
        cdef object total = 0
        cdef int64_t *tokens
        cdef Py_ssize_t i
        for i in range(self.count):
            total += min(self.items[i].length, steps)
        self.tokens = new_memory(total * sizeof(int64_t))
        tokens = <int64_t *>PyByteArray_AS_STRING(self.tokens)
        for i in range(self.count):
            self.items[i].tokens = tokens
            tokens += min(self.items[i].length, steps)
        return 0

    cdef int64_t max_steps(self, int64_t steps) noexcept:
        cdef int64_t longest = 0
        cdef Py_ssize_t i
        for i in range(self.count):
            longest = max(longest, min(self.items[i].length, steps))
        return longest

    cdef void acquire(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.count):
            (<Sampler>self.ordered[i]).acquire()

    cdef void release(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.count):
            (<Sampler>self.ordered[i]).release()

    cdef int64_t copy_samplers(self, int64_t steps) noexcept:
        cdef Py_ssize_t i
        for i in range(self.count):
            self.copies[i] = (<textgen_sampler *>(<Sampler>self.samplers[i]).core)[0]
            if self.copies[i].rng.position > INT64_MAX - min(self.items[i].length, steps):
                return TEXTGEN_SAMPLER_EXHAUSTED
        return 0

    cdef void store_samplers(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.count):
            (<textgen_sampler *>(<Sampler>self.samplers[i]).core).rng = self.copies[i].rng

    cdef int raise_lane_error(self) except -1:
        cdef Py_ssize_t i
        for i in range(self.count):
            if self.items[i].ending < 0:
                checked(self.items[i].ending)
        return 0

    cdef int64_t generated(self) noexcept:
        cdef int64_t total = 0
        cdef Py_ssize_t i
        for i in range(self.count):
            total += self.items[i].generated
        return total

    cdef list results(self):
        cdef textgen_token_lane *item
        cdef Py_ssize_t i, j
        generated = []
        for i in range(self.count):
            item = &self.items[i]
            tokens = [item.tokens[j] for j in range(item.generated)]
            ending = "length" if item.ending == TEXTGEN_REACHED_LENGTH else None
            generated.append(new_tuple(Generated, (tokens, self.logits[i], self.states[i], ending)))
        return generated
