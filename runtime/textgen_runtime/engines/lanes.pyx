# cython: language_level=3, freethreading_compatible=True
"""States and lanes as the core's loop takes them.

A call may be for one step of many lanes. So each lane costs few Python objects and one block of memory, and
what all lanes have in common lies in one block for all.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.number cimport PyNumber_Index
from libc.stdint cimport INT64_MAX, int64_t, uintptr_t
from libc.stdlib cimport qsort
from libc.string cimport memset

from textgen_runtime.sampling.buffers cimport Floats, copy_floats, new_floats, new_room, place_floats
from .c_core cimport TEXTGEN_REACHED_LENGTH, textgen_token_lane
from textgen_runtime.sampling.c_sampler cimport TEXTGEN_SAMPLER_EXHAUSTED, textgen_sampler
from textgen_runtime.sampling.reweighting cimport checked
from textgen_runtime.sampling.sampler cimport Sampler

from .base import Generated, State


cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX


cdef str WRONG_LANES = "steps must be 0 or more, and lanes 1 or more, each with another sampler"

# A lane that wants more has not ended before the random numbers have.
cdef object MAX_LENGTH = INT64_MAX


@cython.final
cdef class StateLayout:
    """How a network's state lies in memory: arrays of one shape, [layers, batch, units].

    Args:
        names: Of the arrays, in the network's order.
        layers: Of each array.
        units: Of each layer.
    """

    def __cinit__(self, tuple names, Py_ssize_t layers, Py_ssize_t units):
        self.names, self.layers, self.units = names, layers, units

    cdef Py_ssize_t size(self, Py_ssize_t batch) except -1:
        cdef Py_ssize_t one = len(self.names) * self.layers * self.units
        if batch > PY_SSIZE_T_MAX // <Py_ssize_t>sizeof(float) // one:
            raise MemoryError
        return batch * one

    cdef object zeros(self, Py_ssize_t batch):
        cdef Floats array
        if batch < 0:
            raise ValueError(f"a batch must be of 0 lanes or more, not {batch}")
        made = {}
        for name in self.names:
            array = new_floats(3, self.layers, batch, self.units)
            memset(array.data, 0, array.size * sizeof(float))
            made[name] = array
        return State(made)

    cdef object copy(
        self, object state, Py_ssize_t batch, bytearray room, Py_ssize_t offset, float **places
    ):
        if not isinstance(state, State):
            raise TypeError(f"the state must be a State, not {type(state).__name__}")
        cdef dict buffers = state.buffers
        cdef dict made = {}
        cdef Floats array
        cdef Py_ssize_t i = 0
        for name in self.names:
            given = buffers.get(name)
            if given is None:
                raise ValueError(f"the state must have the arrays {', '.join(self.names)}")
            array = place_floats(room, offset, 3, self.layers, batch, self.units)
            copy_floats(given, array, "the state")
            made[name], places[i] = array, array.data
            offset += array.size
            i += 1
        return new_state(made)


# Called without the constructors of these classes, which are in Python and would take most of a lane's time.
cdef object new_object = object.__new__
cdef object new_tuple = tuple.__new__


cdef object new_state(dict buffers):
    """A ``State`` of a dictionary that nobody else has."""
    state = new_object(State)
    state.buffers = buffers
    return state


cdef int by_address(const void *one, const void *other) noexcept nogil:
    cdef uintptr_t first = (<const uintptr_t *>one)[0]
    cdef uintptr_t second = (<const uintptr_t *>other)[0]
    return (first > second) - (first < second)


@cython.final
cdef class Lanes:
    """The lanes of one call, with copies of what the call may change.

    Args:
        lanes: A list of ``Lane``, each with another sampler.
        layout: Of their states.
        vocabulary: How many logits there are.
        steps: How many tokens of each lane at most.

    Raises:
        ValueError: If there is no lane, a shape is not as stated, or a sampler is there twice.
        TypeError: If a sampler is not a ``Sampler``.
    """

    def __cinit__(self, list lanes, StateLayout layout, Py_ssize_t vocabulary, int64_t steps):
        cdef Py_ssize_t i
        self.count = len(lanes)
        if steps < 0 or self.count == 0:
            raise ValueError(WRONG_LANES)
        self.room = new_room(
            self.count * (sizeof(textgen_token_lane) + sizeof(textgen_sampler) + sizeof(void *))
        )
        self.items = <textgen_token_lane *>PyByteArray_AS_STRING(self.room)
        self.copies = <textgen_sampler *>(self.items + self.count)
        self.ordered = <void **>(self.copies + self.count)
        self.samplers, self.logits, self.states = [], [], []
        self.vocabulary, self.lane_bytes = vocabulary, (vocabulary + layout.size(1)) * sizeof(float)
        for i in range(self.count):
            self.add(i, lanes[i], layout)
        self.order_samplers()
        self.place_tokens(steps)

    cdef int add(self, Py_ssize_t i, object lane, StateLayout layout) except -1:
        cdef textgen_token_lane *item = &self.items[i]
        cdef bytearray room
        cdef Floats logits
        if not isinstance(lane, tuple):
            raise TypeError(f"a lane must be a Lane, not {type(lane).__name__}")
        sampler, given_logits, state, length = <tuple>lane
        if not isinstance(sampler, Sampler):
            raise TypeError(f"a lane's sampler must be a Sampler, not {type(sampler).__name__}")
        length = PyNumber_Index(length)
        if length < 1:
            raise ValueError("the length of a lane must be 1 or more")
        room = PyByteArray_FromStringAndSize(NULL, self.lane_bytes)
        logits = place_floats(room, 0, 1, self.vocabulary, 1, 1)
        copy_floats(given_logits, logits, "logits")
        self.samplers.append(sampler)
        self.logits.append(logits)
        self.states.append(layout.copy(state, 1, room, self.vocabulary, item.state))
        item.sampler, item.logits = &self.copies[i], logits.data
        item.length = min(length, MAX_LENGTH)
        self.ordered[i] = <void *>sampler
        return 0

    cdef int order_samplers(self) except -1:
        cdef Py_ssize_t i
        qsort(self.ordered, self.count, sizeof(void *), by_address)
        for i in range(1, self.count):
            if self.ordered[i] == self.ordered[i - 1]:
                raise ValueError(WRONG_LANES)
        return 0

    cdef int place_tokens(self, int64_t steps) except -1:
        cdef object total = 0
        cdef int64_t *place
        cdef Py_ssize_t i
        for i in range(self.count):
            total += min(self.items[i].length, steps)
        self.tokens = new_room(total * sizeof(int64_t))
        place = <int64_t *>PyByteArray_AS_STRING(self.tokens)
        for i in range(self.count):
            self.items[i].tokens = place
            place += min(self.items[i].length, steps)
        return 0

    cdef int64_t longest(self, int64_t steps) noexcept:
        cdef int64_t found = 0
        cdef Py_ssize_t i
        for i in range(self.count):
            found = max(found, min(self.items[i].length, steps))
        return found

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

    cdef int raise_fault(self) except -1:
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
        cdef Py_ssize_t i, place
        made = []
        for i in range(self.count):
            item = &self.items[i]
            tokens = [item.tokens[place] for place in range(item.generated)]
            ending = "length" if item.ending == TEXTGEN_REACHED_LENGTH else None
            made.append(new_tuple(Generated, (tokens, self.logits[i], self.states[i], ending)))
        return made
