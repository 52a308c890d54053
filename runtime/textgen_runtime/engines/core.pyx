# cython: language_level=3
# Not freethreading_compatible: the GIL protects the check that no other thread uses a text.
"""Run networks with the C core (runtime/core), without numpy.

The C core checks no arguments, so this module checks them all. The C code runs without the GIL. An array
argument is any object with the buffer protocol, such as a memoryview or a numpy array. An array result is an
object with the buffer protocol.
"""

include "kernels.pxi"
include "state_layout.pxi"
include "streams.pxi"

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AsString, PyByteArray_FromStringAndSize
from cpython.number cimport PyNumber_Index
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from .c_core cimport (
    textgen_forward,
    textgen_generate_tokens,
    textgen_kernels,
    textgen_measurements,
    textgen_network,
    textgen_network_create,
    textgen_network_destroy,
    textgen_network_read,
    textgen_network_step_bytes,
    textgen_slots_size,
    textgen_special,
    textgen_special_mask,
)
from textgen_runtime.model_file.reader cimport ModelFile, raise_error
from textgen_runtime.sampling.sampler cimport FloatArray, new_array, new_memory

from textgen_runtime.text.tokenizer import NO_SPECIAL_TOKENS, SpecialTokens


cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX


@cython.final
cdef class CoreNetwork:
    """A network in the C core. Immutable, so threads may share it.

    Args:
        content: A ``ModelFile``, or the content of a model file as a buffer of bytes.
        kernels: The name of an instruction set, or None for the best of this processor.
        special: The special tokens. ``generate`` never draws ``unknown`` and ``begin``, and ends where it
            draws ``end``.
        is_bytes: Whether tokens are bytes.

    Attributes:
        file: The ``ModelFile``.
        special: The special tokens.
        vocabulary_size: The number of logits.
        shape: What the texts must know of the network.

    Raises:
        UnknownGraphError: If the graph is not one that ``textgen-train`` writes.
        ModelFileError: If the file is damaged.
        ValueError: If the processor does not support the instruction set, or if a special token is not in the
            vocabulary.
        MemoryError: If there is not enough memory for the weights.
    """

    cdef readonly ModelFile file
    cdef readonly object special
    cdef readonly object vocabulary_size
    cdef readonly Shape shape
    cdef textgen_network *network
    cdef StateLayout layout

    def __cinit__(self, content, kernels=None, special=NO_SPECIAL_TOKENS, bint is_bytes=False):
        cdef ModelFile file = content if isinstance(content, ModelFile) else ModelFile(content)
        cdef const textgen_kernels *kernel_set = find_kernels(kernels)
        cdef char text[ERROR_SIZE]
        cdef textgen_error error
        cdef int32_t code
        file.check_graph()
        self.special = checked_special(special, file.vocabulary_size)
        self.shape = Shape(file.state_shapes, file.vocabulary_size, self.special, is_bytes)
        error.text, error.size = text, ERROR_SIZE
        with nogil:
            code = textgen_network_create(
                file.description, kernel_set, self.shape.core.special, &self.network, &error
            )
        if code != TEXTGEN_OK:
            raise_error(code, text)
        self.file, self.vocabulary_size = file, file.vocabulary_size
        self.shape.core.exp64 = self.network.exp64
        self.layout = self.shape.layout

    def __dealloc__(self):
        textgen_network_destroy(self.network)

    @property
    def kernels(self):
        """The name of the instruction set."""
        return self.network.kernels.name.decode()

    @property
    def step_bytes(self):
        """The number of bytes that one step of one lane reads."""
        return textgen_network_step_bytes(self.network)

    def initial_state(self, Py_ssize_t batch=1):
        """Return a state of zeros for a batch of new lanes."""
        return self.layout.zeros(batch)

    cdef bytearray new_workspace(self, object lanes, object logit_steps):
        # textgen_slots_size could overflow, so check an upper bound of its result with Python ints.
        cdef object one_lane = textgen_slots_size(self.network, 1, 1)
        if lanes * logit_steps * one_lane > PY_SSIZE_T_MAX:
            raise MemoryError
        return new_memory(textgen_slots_size(self.network, lanes, logit_steps))

    def forward(self, tokens, state, bint last_only=False):
        """Run the network over a batch of token sequences.

        Args:
            tokens: An int64 buffer of shape [time, batch], each token in [0, vocabulary_size).
            state: The ``State`` before the first token, of the same batch size.
            last_only: Whether to compute only the logits after the last token.

        Returns:
            The float32 logits of shape [time, batch, vocabulary_size], or [1, batch, vocabulary_size] if
            ``last_only``; and the state after the last token.

        Raises:
            ValueError: If a shape, a type or a token is wrong.
            TypeError: If ``state`` is not a ``State``, or ``tokens`` is not a buffer.
        """
        cdef Py_buffer buffer
        cdef bint fits
        # A copy, so that no other thread changes the tokens after the check.
        cdef bytearray token_memory
        cdef Py_ssize_t time = 0
        cdef Py_ssize_t batch = 0
        PyObject_GetBuffer(tokens, &buffer, PyBUF_ND | PyBUF_FORMAT)
        try:
            fits = buffer.ndim == 2 and buffer.len > 0 and buffer.itemsize == sizeof(int64_t)
            fits = fits and buffer.format != NULL and buffer.format.decode() in ("l", "q")
            if fits:
                time, batch = buffer.shape[0], buffer.shape[1]
                token_memory = PyByteArray_FromStringAndSize(<char *>buffer.buf, buffer.len)
        finally:
            PyBuffer_Release(&buffer)
        if not fits:
            raise ValueError("tokens must be a non-empty int64 array of shape [time, batch]")
        return self.run_forward(token_memory, time, batch, state, 1 if last_only else time)

    def feed(self, stream, tokens):
        """Run the network over tokens of a text, in its memory.

        Args:
            stream: A text of this network.
            tokens: A sequence of 1 or more tokens, each in [0, vocabulary_size).

        Raises:
            ValueError, TypeError: As ``Shape.check_feed``.
        """
        cdef object values = self.shape.check_feed(stream, tokens)
        cdef const int64_t *first = <const int64_t *>address_of(values)
        cdef Py_ssize_t time = len(values)
        cdef Stream text = stream
        cdef textgen_text_parts parts = text.parts()
        cdef bytearray workspace_memory = self.new_workspace(1, 1)
        cdef void *workspace = PyByteArray_AsString(workspace_memory)
        text.enter()
        text.busy = True
        with nogil:
            textgen_forward(self.network, first, time, 1, parts.state, 1, parts.logits, workspace)
            textgen_special_mask(&self.network.special, parts.logits)
        text.busy = False
        text.text.is_fed = True

    cdef tuple run_forward(
        self,
        bytearray token_memory,
        Py_ssize_t time,
        Py_ssize_t batch,
        object state,
        Py_ssize_t logit_steps,
    ):
        """Return the logits after the last ``logit_steps`` steps, and the state after the last step."""
        cdef const int64_t *tokens = <const int64_t *>PyByteArray_AsString(token_memory)
        cdef int64_t vocabulary = self.network.vocabulary
        cdef bint valid = True
        cdef Py_ssize_t i
        for i in range(time * batch):
            valid = valid and 0 <= tokens[i] < vocabulary
        if not valid:
            raise ValueError(f"tokens must be in [0, {vocabulary})")
        cdef bytearray state_memory = new_memory(self.layout.size(batch) * sizeof(float))
        cdef float *values = <float *>PyByteArray_AsString(state_memory)
        next_state = self.layout.copy_state(state, batch, state_memory, 0)
        cdef FloatArray logits = new_array(3, logit_steps, batch, self.network.vocabulary)
        cdef bytearray workspace_memory = self.new_workspace(batch, logit_steps)
        cdef void *workspace = PyByteArray_AsString(workspace_memory)
        with nogil:
            textgen_forward(self.network, tokens, time, batch, values, logit_steps, logits.data, workspace)
        return logits, next_state

    def run(self, Lanes lanes not None, Py_ssize_t first, Py_ssize_t count, measurements=None):
        """Generate tokens for ``count`` lanes, from the lane ``first`` on, without the GIL.

        Each step draws a token of every lane from its logits and runs the network on it. Other threads may
        run other lanes at the same time.

        Args:
            lanes: The ``Lanes`` of texts of this network.
            first: The number of the first lane.
            count: The number of lanes.
            measurements: A ``Measurements`` to add to, or None.
        """
        cdef textgen_measurements measured
        cdef textgen_measurements *measured_pointer = NULL
        cdef bytearray latencies = None, workspace_memory
        cdef void *workspace
        cdef textgen_lane_call *items
        cdef int64_t longest = 0
        cdef Py_ssize_t i
        if not (lanes.is_open and self.shape.equals(lanes.shape)):
            raise ValueError("the lanes are not open, or of another model")
        if not (0 <= first < lanes.count and 1 <= count <= lanes.count - first):
            raise ValueError(f"there are {lanes.count} lanes")
        items = &lanes.items[first]
        workspace_memory = self.new_workspace(count, 1)
        workspace = PyByteArray_AsString(workspace_memory)
        memset(&measured, 0, sizeof(measured))
        if measurements is not None:
            measured_pointer = &measured
            if measurements.latencies is not None:
                for i in range(count):
                    longest = max(longest, lanes.most_tokens(&items[i]))
                latencies = new_memory(<object>longest * sizeof(int64_t))
                measured.latencies = <int64_t *>PyByteArray_AsString(latencies)
        with nogil:
            textgen_generate_tokens(
                self.network, &self.shape.core, items, count, lanes.steps, workspace, measured_pointer
            )
        if measurements is not None:
            add_measured(measurements, &measured)

    def read_weights(self, Py_ssize_t repeats):
        """Sum the weights that one step reads, ``repeats`` times.

        ``textgen-bench`` compares the time of a step with the time of this function.
        """
        cdef Py_ssize_t _i
        cdef float total = 0.0
        with nogil:
            for _i in range(repeats):
                total += textgen_network_read(self.network)
        return total


cdef object checked_special(object special, object vocabulary_size):
    """Return the special tokens as integers or None, each converted once: an object may change later."""
    special = SpecialTokens(*[None if token is None else int(PyNumber_Index(token)) for token in special])
    for name, token in special.by_name.items():
        if not 0 <= token < vocabulary_size:
            raise ValueError(f"{name} must be in [0, {vocabulary_size}), not {token}")
    return special


cdef textgen_special special_tokens(object special) except *:
    cdef textgen_special tokens
    tokens.unknown, tokens.begin, tokens.end = [-1 if token is None else token for token in special]
    return tokens


cdef int add_measured(object measurements, const textgen_measurements *measured) except -1:
    """Add the measurements of the C loop to a ``Measurements``."""
    measurements.add(
        measured.draws, 1e-9 * measured.model_ns, 1e-9 * measured.sampler_ns, measured.entropy
    )
    if measured.latencies != NULL:
        measurements.latencies += [measured.latencies[i] for i in range(measured.steps)]
    return 0
