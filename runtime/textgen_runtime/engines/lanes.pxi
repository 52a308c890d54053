"""Convert states and lanes between Python objects and the structs of the C core.

A call may generate a single token for many lanes, so the cost per lane matters. Each lane has few Python
objects and one block of memory. One further block holds the structs of all lanes.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.number cimport PyNumber_Index
from libc.stdint cimport INT64_MAX, int64_t
from libc.string cimport memset

from .c_core cimport textgen_token_lane
from textgen_runtime.sampling.c_sampler cimport TEXTGEN_SAMPLER_EXHAUSTED, textgen_sampler
from textgen_runtime.sampling.sampler cimport (
    FloatArray,
    Sampler,
    array_at,
    checked,
    copy_buffer,
    new_array,
    new_memory,
)

from .base import Generated, State

NO_LANES_ERROR = "lanes must not be empty"
SHARED_SAMPLER_ERROR = "each lane must have its own sampler"


# A longer lane could not end: a random stream has fewer numbers.
cdef object MAX_LENGTH = INT64_MAX

# By textgen_ending.
cdef tuple ENDINGS = (None, "length", "stop", "constraint", "mismatch", "end")


@cython.final
cdef class StateLayout:
    """The memory layout of a state: arrays of shape [rows, batch, units].

    Args:
        shapes: Rows and units of each array by name, in the order of the C core.
    """

    cdef tuple names
    # Rows and units of each array, one after the other.
    cdef bytearray dimension_memory
    cdef const Py_ssize_t *dimensions
    cdef Py_ssize_t lane_size

    def __cinit__(self, dict shapes):
        cdef Py_ssize_t *dimensions
        self.names = tuple(shapes)
        self.dimension_memory = new_memory(2 * len(self.names) * sizeof(Py_ssize_t))
        dimensions = <Py_ssize_t *>PyByteArray_AS_STRING(self.dimension_memory)
        self.dimensions = dimensions
        for i, (rows, units) in enumerate(shapes.values()):
            dimensions[2 * i], dimensions[2 * i + 1] = rows, units
            self.lane_size += dimensions[2 * i] * dimensions[2 * i + 1]

    cdef Py_ssize_t size(self, Py_ssize_t batch) except -1:
        """Return the number of floats in a state. Raise MemoryError if its size in bytes overflows."""
        if batch > PY_SSIZE_T_MAX // <Py_ssize_t>sizeof(float) // self.lane_size:
            raise MemoryError
        return batch * self.lane_size

    cdef object zeros(self, Py_ssize_t batch):
        cdef FloatArray array
        cdef Py_ssize_t i = 0
        if batch < 0:
            raise ValueError(f"batch must be 0 or more, not {batch}")
        buffers = {}
        for name in self.names:
            array = new_array(3, self.dimensions[2 * i], batch, self.dimensions[2 * i + 1])
            memset(array.data, 0, array.size * sizeof(float))
            buffers[name] = array
            i += 1
        return State(buffers)

    cdef object copy_state(self, object state, Py_ssize_t batch, bytearray memory, Py_ssize_t offset):
        """Copy a state into memory, starting ``offset`` floats after its beginning.

        Returns the copy as a ``State``.
        """
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
            array = array_at(memory, offset, 3, self.dimensions[2 * i], batch, self.dimensions[2 * i + 1])
            copy_buffer(source, array, "the state array", name)
            copies[name] = array
            offset += array.size
            i += 1
        return new_state(copies)


# The constructors of State, Guide and Generated are Python code. Calls of them would take most of the time of
# a lane.
cdef object new_object = object.__new__
cdef object new_tuple = tuple.__new__


cdef object new_state(dict buffers):
    """Return a ``State`` that takes ownership of a dictionary."""
    state = new_object(State)
    state.buffers = buffers
    return state


cdef bytearray new_logprobs(textgen_token_lane *lane, int64_t steps):
    """Return memory for the log-probabilities of a lane, and let the lane write to it."""
    cdef object count = min(lane.length, steps)
    cdef bytearray memory = new_memory(count * sizeof(double))
    lane.logprobs = <double *>PyByteArray_AS_STRING(memory)
    return memory


@cython.final
cdef class Lanes:
    """The lanes of one call, with copies of all memory that the call may change but that of the samplers.

    Call ``fill`` first, and ``release`` at the end.
    """

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
    # The samplers, busy until `release`.
    cdef list samplers
    cdef list logits
    cdef list states

    cdef int fill(
        self,
        list lanes,
        StateLayout layout,
        Py_ssize_t vocabulary,
        int64_t steps,
    ) except -1:
        cdef Py_ssize_t i
        self.count = len(lanes)
        if steps < 0:
            raise ValueError(f"steps must be 0 or more, not {steps}")
        if self.count == 0:
            raise ValueError(NO_LANES_ERROR)
        self.memory = new_memory(self.count * sizeof(textgen_token_lane))
        self.items = <textgen_token_lane *>PyByteArray_AS_STRING(self.memory)
        self.lanes, self.logits, self.states, self.logprobs = lanes, [], [], []
        self.vocabulary, self.lane_bytes = vocabulary, (vocabulary + layout.size(1)) * sizeof(float)
        for i in range(self.count):
            self.add(i, lanes[i], layout, steps)
        self.allocate_tokens(steps)
        return 0

    cdef void release(self) noexcept:
        for sampler in self.samplers:
            (<Sampler>sampler).busy = False

    cdef textgen_sampler *add_sampler(self, object given, int64_t draws) except NULL:
        """Prepare the sampler of a lane, and return its address."""
        cdef textgen_sampler *core
        cdef Sampler sampler
        if not isinstance(given, Sampler):
            raise TypeError(f"the sampler of a lane must be a Sampler, not {type(given).__name__}")
        sampler = given
        if sampler.busy and any([other is sampler for other in self.samplers]):
            raise ValueError(SHARED_SAMPLER_ERROR)
        sampler.prepare(self.vocabulary)
        core = <textgen_sampler *>sampler.core
        if core.rng.position > INT64_MAX - draws:
            checked(TEXTGEN_SAMPLER_EXHAUSTED)
        sampler.busy = True
        self.samplers.append(sampler)
        return core

    cdef int add(self, Py_ssize_t i, object lane, StateLayout layout, int64_t steps) except -1:
        cdef textgen_token_lane *item = &self.items[i]
        cdef bytearray memory
        cdef FloatArray logits
        if not isinstance(lane, tuple):
            raise TypeError(f"a lane must be a Lane, not {type(lane).__name__}")
        sampler, lane_logits, state, length, guide, logprobs = <tuple>lane
        length = PyNumber_Index(length)
        if length < 1:
            raise ValueError(f"the length of a lane must be 1 or more, not {length}")
        item.length = min(length, MAX_LENGTH)
        item.sampler = self.add_sampler(sampler, min(item.length, steps))
        memory = PyByteArray_FromStringAndSize(NULL, self.lane_bytes)
        logits = array_at(memory, 0, 1, self.vocabulary, 1, 1)
        copy_buffer(lane_logits, logits, "the logits")
        item.logits = logits.data
        self.logits.append(logits)
        item.state = logits.data + self.vocabulary
        self.states.append(layout.copy_state(state, 1, memory, self.vocabulary))
        item.logprobs, item.stop_length = NULL, 0
        item.stops, item.stop_state = NULL, 0
        item.constraint, item.constraint_state = NULL, 0
        item.must_end = item.masked = False
        item.min_length = 0
        if guide is not None:
            set_guide(item, guide, self.vocabulary)
        if logprobs:
            self.logprobs.append(new_logprobs(item, steps))
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
        """Return the number of steps of the longest lane."""
        cdef int64_t longest = 0
        cdef Py_ssize_t i
        for i in range(self.count):
            longest = max(longest, min(self.items[i].length, steps))
        return longest

    cdef int raise_lane_error(self) except -1:
        """Raise SamplingError if a lane ended with an error."""
        cdef Py_ssize_t i
        for i in range(self.count):
            if self.items[i].ending < 0:
                checked(self.items[i].ending)
        return 0

    cdef list results(self):
        """Return a list of ``Generated``."""
        cdef textgen_token_lane *item
        cdef Py_ssize_t i, j
        generated = []
        for i in range(self.count):
            item = &self.items[i]
            tokens = [item.tokens[j] for j in range(item.generated)]
            logprobs = None
            if item.logprobs != NULL:
                logprobs = [item.logprobs[j] for j in range(item.generated)]
            _, _, _, _, guide, _ = <tuple>self.lanes[i]
            if guide is not None:
                guide = advanced_guide(guide, item)
            values = (
                tokens,
                self.logits[i],
                self.states[i],
                ENDINGS[item.ending],
                guide,
                logprobs,
                item.stop_length,
            )
            generated.append(new_tuple(Generated, values))
        return generated
