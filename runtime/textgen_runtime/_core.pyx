# cython: language_level=3
# Not freethreading_compatible: the GIL protects the check that no other thread uses a stream.
"""The C core (``runtime/core``): the one binding of ``textgen.h``, which needs no numpy.

``CoreModel`` is a model, ``Stream`` one running text, ``generate`` continues several of them, and
``Constraint`` and ``Spans`` are the tables that a text follows. ``PARAMETERS`` describes the sampling
parameters.
The core checks values; this module passes them on and raises its errors as exceptions. The C code runs
without the GIL.

An array argument is an object with the buffer protocol, such as a memoryview or a numpy array. An array
result is a memoryview.
"""

cimport cython
from cpython.buffer cimport PyBUF_READ, PyBUF_SIMPLE, PyBUF_WRITE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AsString, PyByteArray_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.number cimport PyNumber_Index
from libc.math cimport INFINITY, isnan
from libc.stdint cimport INT64_MAX, uint64_t, uintptr_t
from libc.string cimport memcpy, memset

from _thread import get_ident
from array import array

from .results import Generated, Parameter
from .errors import (
    ConstraintError,
    ModelFileError,
    Name,
    PromptError,
    SamplingError,
    SavedGenerationError,
    UnknownGraphError,
    quote,
)

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX


# Tokens of a lane in one call. Memory for all of them is allocated before the first one is drawn: 256 KiB
# with their log-probabilities. They take milliseconds, and the overhead of a call takes microseconds.
MAX_STEPS = 2**14
# The limit of a constraint.
MAX_STATES = TEXTGEN_MAX_STATES
MAX_SEED = 2**128 - 1
MAX_SUBSTREAM = 2**32 - 1

# By the number of the core.
cdef tuple ENDINGS = (None, "length", "stop", "constraint", "mismatch", "end")

cdef dict EXCEPTIONS = {
    TEXTGEN_DAMAGED_MODEL: ModelFileError,
    TEXTGEN_NEWER_FORMAT: ModelFileError,
    TEXTGEN_UNKNOWN_GRAPH: UnknownGraphError,
    TEXTGEN_TOO_LARGE: UnknownGraphError,
    TEXTGEN_UNKNOWN_CHARACTER: PromptError,
    TEXTGEN_INVALID_UTF8: PromptError,
    TEXTGEN_NO_PROMPT: PromptError,
    TEXTGEN_DAMAGED_SAVED: SavedGenerationError,
    TEXTGEN_OTHER_SAVED: SavedGenerationError,
    TEXTGEN_OUT_OF_MEMORY: MemoryError,
}


cdef int check(int32_t code, const textgen_error *error, object exception=None) except -1:
    """Raise the exception of an error: of its code, or ``exception`` but for a lack of memory."""
    if code >= 0:
        return 0
    message = error.message.decode("utf-8", "replace")
    kind = EXCEPTIONS.get(code, SamplingError)
    if kind is MemoryError:
        raise MemoryError(message)
    kind = exception or kind
    if error.parameter == NULL:
        raise kind(message)
    raise kind(Name(error.parameter.decode()), f" {message}")


cdef bytearray new_memory(object size):
    """Return uninitialized memory of ``size`` bytes, or raise MemoryError."""
    if not 0 <= size <= PY_SSIZE_T_MAX:
        raise MemoryError
    return PyByteArray_FromStringAndSize(NULL, size)


cdef textgen_memory memory_of(bytearray data) noexcept:
    cdef textgen_memory memory
    memory.data, memory.size = PyByteArray_AsString(data), len(data)
    return memory


cdef const void *address_of(object values) except? NULL:
    """Return the address of the items of an ``array``."""
    return <const void *><uintptr_t>values.buffer_info()[0]


def kernel_names():
    """Return the names of the instruction sets that this processor supports, best first."""
    names = []
    while textgen_kernels_name(len(names)) != NULL:
        names.append(textgen_kernels_name(len(names)).decode())
    return names


# Kinds of parameters that have no value by default.
cdef tuple NO_VALUE = ("text", "choices", "schema")


cdef double as_double(object value) except? -1.0:
    try:
        return value
    except OverflowError:
        # An int that is too large for a double. It is out of every range.
        return INFINITY


cdef object describe(const textgen_parameter_info *info):
    cdef char requirement[TEXTGEN_REQUIREMENT_SIZE]
    textgen_parameter_requirement(info, requirement)
    kind, name = info.kind.decode(), info.name.decode()
    number = int if kind == "whole" else float
    if kind in NO_VALUE or name == "allowed":
        default = None
    elif kind in ("number", "whole"):
        default = number(info.initial)
    else:
        default = False if kind == "switch" else ()
    # The largest integer is rounded up as a double.
    high = min(int(info.high), INT64_MAX) if number is int else info.high
    return Parameter(
        name, kind, info.group.decode(), info.value.decode(), info.help.decode(), default,
        None if isnan(info.off) else number(info.off), number(info.low), high, bool(info.low_is_open),
        info.order, info.offset > 0, requirement.decode(),
    )


# By name, and the names and offsets of those that are fields of the core.
PARAMETERS = {}
cdef list FIELDS = []
cdef size_t described = 0
while textgen_parameter(described) != NULL:
    parameter = describe(textgen_parameter(described))
    PARAMETERS[parameter.name] = parameter
    if parameter.in_core:
        FIELDS.append((parameter.name, parameter.kind == "whole", textgen_parameter(described).offset))
    described += 1


cdef int write_numbers(textgen_sampling *to, object sampling) except -1:
    """Write the numbers of a ``Sampling``, or the defaults for None. The other fields become 0."""
    cdef char *field
    cdef size_t offset
    memset(to, 0, sizeof(textgen_sampling))
    for name, is_whole, offset in FIELDS:
        value = PARAMETERS[name].default if sampling is None else getattr(sampling, name)
        field = <char *>to + offset
        if is_whole:
            (<uint64_t *>field)[0] = value
        else:
            (<double *>field)[0] = value
    return 0


cdef int write_seed(textgen_sampling *to, object seed, object substream) except -1:
    """Check a seed and a substream, and write them."""
    seed, substream = int(PyNumber_Index(seed)), PyNumber_Index(substream)
    if not 0 <= seed <= MAX_SEED:
        raise SamplingError(Name("seed"), f" must be from 0 to 2**128 - 1, not {quote(seed)}")
    if not 0 <= substream <= MAX_SUBSTREAM:
        raise SamplingError(Name("substream"), f" must be from 0 to 2**32 - 1, not {quote(substream)}")
    to.seed, to.seed_high, to.substream = seed & 0xFFFFFFFFFFFFFFFF, seed >> 64, substream
    return 0


cdef object view_of(char *memory, Py_ssize_t size, int access, str format):
    """Return a view of memory, which the caller keeps as long as the view."""
    return PyMemoryView_FromMemory(memory, size, access).cast(format)


cdef int32_t call_forward(
    void *context, const int64_t *tokens, size_t count, float *state, float *logits
) noexcept with gil:
    """Run the network of another engine: see ``textgen_forward_function``."""
    cdef CoreModel model = <CoreModel>context
    try:
        model.forward_function(
            view_of(<char *>tokens, count * sizeof(int64_t), PyBUF_READ, "q"),
            view_of(<char *>state, model.info.state_values * sizeof(float), PyBUF_WRITE, "f"),
            view_of(<char *>logits, model.info.vocabulary * sizeof(float), PyBUF_WRITE, "f"),
        )
    except BaseException as error:
        model.failures[get_ident()] = error
        return -1
    return 0


@cython.final
cdef class CoreModel:
    """A model: its vocabulary, its metadata and its network. Threads may share it.

    Args:
        content: The content of the model file, a buffer of bytes. It is not copied.
        kernels: The name of an instruction set, or None for the best of this processor.
        forward: A function of another engine, which runs the network: it reads tokens, an int64 buffer of
            shape [n], changes the state, a float32 buffer, and writes the logits after the last token, a
            float32 buffer of shape [vocabulary]. None: the core runs the network.
        state_shapes: With ``forward``: rows and units of each array of the state, by name.
        vocabulary: With ``forward``: the number of logits; 0 if only the metadata is read.

    Attributes:
        state_shapes: Rows and units of each array of the state, by name. The arrays of a batch are of shape
            [rows, batch, units].
        vocabulary_size: The number of tokens.
        special: The tokens ``unknown``, ``begin`` and ``end``, each None if there is none.
        level: The kind of token: "character", "byte" or "word".
        records: How records are separated, "lines" or "blank", or None.
        normalization: Whether text must be in lower case, and its Unicode normal form, or None.
        size: Layers, units of each, size of an embedding, and whether there are residual connections.
        bits: How many bits a weight has: 32 for float32, or 8.
        parameters: The number of weights, without the scales of 8-bit weights.
        kernels: The name of the instruction set.
        step_bytes: The number of bytes that one step of one lane reads.

    Raises:
        UnknownGraphError: If the graph is not one that ``textgen-train`` writes for an LSTM, or is too large.
        ModelFileError: If the file is damaged, not a text generator, or of a newer format.
        SamplingError: If the processor does not support the instruction set.
    """

    cdef readonly dict state_shapes
    cdef readonly Py_ssize_t vocabulary_size
    cdef readonly tuple special, normalization, size
    cdef readonly str level, records, kernels
    cdef readonly object bits, parameters, step_bytes
    cdef Py_buffer content
    cdef textgen_model *model
    cdef const textgen_model_info *info
    cdef object forward_function
    # The exception of `forward_function`, by thread.
    cdef dict failures

    def __cinit__(self, content, kernels=None, forward=None, dict state_shapes=None, size_t vocabulary=0):
        cdef textgen_model_options options
        cdef textgen_error error
        cdef int32_t code
        cdef bytes name
        memset(&options, 0, sizeof(options))
        if kernels is not None:
            name = str(kernels).encode()
            options.kernels = name
        if forward is not None:
            self.forward_function, self.failures, self.state_shapes = forward, {}, dict(state_shapes or {})
            options.forward, options.context, options.vocabulary = call_forward, <void *>self, vocabulary
            options.state_values = sum([rows * units for rows, units in self.state_shapes.values()])
        PyObject_GetBuffer(content, &self.content, PyBUF_SIMPLE)
        with nogil:
            code = textgen_model_create(
                self.content.buf, self.content.len, &options, &self.model, &error
            )
        check(code, &error)
        self.info = textgen_model_get_info(self.model)
        if forward is None:
            size = (self.info.layers, self.info.units)
            self.state_shapes = {"hidden": size, "cell": size}
        info = self.info
        special = info.unknown, info.begin, info.end
        self.special = tuple([None if token < 0 else token for token in special])
        self.vocabulary_size, self.level, self.kernels = (
            info.vocabulary, info.level.decode(), info.kernels.decode()
        )
        self.records = None if info.records == NULL else info.records.decode()
        self.normalization = bool(info.lowercase), None if info.unicode == NULL else info.unicode.decode()
        self.size = info.layers, info.units, info.embedding, bool(info.residual)
        self.bits, self.parameters, self.step_bytes = info.bits, info.parameters, info.step_bytes

    def __dealloc__(self):
        textgen_model_destroy(self.model)
        PyBuffer_Release(&self.content)

    def symbols(self):
        """Return the symbol of each token, as bytes; empty for special tokens."""
        cdef bytearray symbol = new_memory(self.info.symbol_bytes)
        cdef char *memory = PyByteArray_AsString(symbol)
        cdef size_t i
        return [memory[:textgen_model_get_symbol(self.model, i, memory)] for i in range(self.info.vocabulary)]

    def encode(self, bytes text not None, size_t start):
        """Encode a text from a byte on, up to its first character that is outside the vocabulary or no UTF-8.

        Returns:
            The tokens, an ``array`` of int64, and where that character begins; or the end of the text.
        """
        cdef size_t size = len(text) - start, count = 0
        cdef bytearray memory
        cdef const char *content = <const char *>text + start
        cdef textgen_error error
        if textgen_encode(self.model, content, size, 0, NULL, &count, &error) < 0:
            size = count = error.place
        memory = new_memory(<object>count * sizeof(int64_t))
        textgen_encode(
            self.model, content, size, 0, <int64_t *>PyByteArray_AsString(memory), &count, &error
        )
        return array("q", memory[: count * sizeof(int64_t)]), start + size

    def metadata(self, str key):
        """Return the JSON text of a metadata entry, or None if there is no such entry."""
        cdef size_t size
        cdef bytes name = key.encode()
        cdef const char *text = textgen_model_get_metadata(self.model, name, &size)
        return None if text == NULL else text[:size].decode()

    def read_weights(self, Py_ssize_t repeats):
        """Sum the weights that one step reads, ``repeats`` times: to measure how long that takes."""
        cdef uint32_t total = 0
        cdef Py_ssize_t _i
        with nogil:
            for _i in range(repeats):
                total += textgen_model_read(self.model)
        return total

    cdef bytearray workspace(self, size_t lanes):
        cdef size_t size = textgen_workspace_size(self.model, lanes)
        return new_memory(size if size else PY_SSIZE_T_MAX + <object>1)

    cdef int check(self, int32_t code, const textgen_error *error, object exception=None) except -1:
        """Raise the exception of an error, or that of the other engine."""
        if code == TEXTGEN_FORWARD_FAILED:
            raise self.failures.pop(get_ident())
        return check(code, error, exception)

    def forward(self, tokens, state, bint last_only=False):
        """Run the network of the core over a batch of token sequences.

        Args:
            tokens: An int64 buffer of shape [time, batch], each token in [0, vocabulary).
            state: A float32 buffer, the state before the first token: the arrays one after the other, each of
                shape [rows, batch, units].
            last_only: Whether to compute only the logits after the last token.

        Returns:
            The float32 logits of shape [time, batch, vocabulary], or [1, batch, vocabulary] if ``last_only``;
            and the state after the last token.

        Raises:
            ValueError: If a shape, a type or a token is wrong.
        """
        view = memoryview(tokens)
        cdef bint is_int64 = view.format in ("l", "q") and view.itemsize == 8
        if view.ndim != 2 or not is_int64 or not view.nbytes or not view.c_contiguous:
            raise ValueError("tokens must be a non-empty int64 array of shape [time, batch]")
        cdef Py_ssize_t time = view.shape[0], batch = view.shape[1], steps = 1 if last_only else time
        # Copies, so that no other thread changes the numbers after the check.
        cdef bytes copied = view.tobytes()
        cdef const int64_t *numbers = <const int64_t *><const char *>copied
        cdef bytearray state_memory = self.copy_state(state, batch)
        cdef float *values = <float *>PyByteArray_AsString(state_memory)
        cdef bytearray logits = new_memory(<object>steps * batch * self.info.vocabulary * sizeof(float))
        cdef float *written = <float *>PyByteArray_AsString(logits)
        cdef bytearray workspace = new_memory(textgen_forward_size(self.model, batch, steps))
        cdef textgen_memory memory = memory_of(workspace)
        cdef textgen_error error
        cdef int32_t code
        with nogil:
            code = textgen_forward(
                self.model, numbers, time, batch, values, steps, written, memory, &error
            )
        self.check(code, &error, ValueError)
        shape = (steps, batch, self.info.vocabulary)
        return memoryview(logits).cast("f", shape), memoryview(state_memory).cast("f")

    cdef bytearray copy_state(self, object state, size_t batch):
        """Return a copy of the state of a batch. Raise ValueError if it does not fit."""
        view = memoryview(state)
        if view.format != "f" or view.nbytes != batch * self.info.state_values * sizeof(float):
            raise ValueError(f"the state must be float32, {self.info.state_values} numbers for each lane")
        return bytearray(view)


@cython.final
cdef class Constraint:
    """A finite automaton over tokens. The texts that it accepts are those that match. Immutable.

    A text starts in state 0, and may end in an accepting state.

    Args:
        transitions: A contiguous int16 buffer of shape [states, vocabulary_size], or flat: the state after
            each token, or -1 if the token is not allowed.
        accepting: For each state, whether the text matches if it ends there.
        banned: Tokens that are never drawn, so that no text needs them to match. A saved text has the hash of
            the table without this change.

    Attributes:
        transitions: The content of the table, as bytes.
        accepting: As bytes, 0 or 1 for each state.
        vocabulary_size: The number of tokens.

    Raises:
        ConstraintError: If no text matches, or if the table is too large or of another shape or type.
    """

    cdef textgen_constraint *core
    cdef readonly bytes transitions
    cdef readonly bytes accepting
    cdef readonly Py_ssize_t vocabulary_size

    def __cinit__(self, transitions, accepting, banned=()):
        cdef textgen_error error
        cdef int32_t code
        cdef size_t states, count
        view, numbers = memoryview(transitions), array("q", sorted(banned))
        self.accepting = bytes([bool(flag) for flag in accepting])
        states, count = len(self.accepting), len(numbers)
        row = max(1, len(self.accepting)) * sizeof(int16_t)
        if view.format != "h" or not view.c_contiguous or not states or not view.nbytes or view.nbytes % row:
            raise ConstraintError(f"transitions must be a contiguous int16 array of {states} rows")
        self.transitions, self.vocabulary_size = view.tobytes(), view.nbytes // row
        cdef const int16_t *table = <const int16_t *><const char *>self.transitions
        cdef const uint8_t *flags = <const uint8_t *><const char *>self.accepting
        cdef const int64_t *tokens = <const int64_t *>address_of(numbers)
        cdef size_t vocabulary = self.vocabulary_size
        with nogil:
            code = textgen_constraint_create_table(
                table, flags, states, vocabulary, tokens, count, &self.core, &error
            )
        check(code, &error, ConstraintError)

    def __dealloc__(self):
        textgen_constraint_destroy(self.core)

    def without(self, banned):
        """Return the constraint of the same table without tokens that are never drawn."""
        return Constraint(memoryview(self.transitions).cast("h"), self.accepting, banned)

    def __repr__(self):
        return f"<Constraint of {len(self.accepting)} states and {self.vocabulary_size} tokens>"


@cython.final
cdef class Spans:
    """The spans of a corpus that no text copies: of ``max_copy`` tokens and one more. Immutable.

    Args:
        tokens: The corpus; -1 for a character that no text can have.
        max_copy: How many successive tokens of the corpus a text may have, from 1 to 1000.
        vocabulary_size: The number of tokens.

    Attributes:
        max_copy: As above.

    Raises:
        SamplingError: If an argument is out of range, or if the corpus is too large.
        MemoryError: If there is not enough memory: up to 20 bytes for each token.
    """

    cdef textgen_spans *core
    cdef readonly Py_ssize_t max_copy

    def __cinit__(self, tokens, Py_ssize_t max_copy, size_t vocabulary_size):
        cdef textgen_error error
        cdef int32_t code
        narrow = array("i", tokens)
        cdef const int32_t *corpus = <const int32_t *>address_of(narrow)
        cdef size_t count = len(narrow)
        self.max_copy = max_copy
        with nogil:
            code = textgen_spans_create_tokens(
                corpus, count, vocabulary_size, max_copy, &self.core, &error
            )
        check(code, &error, SamplingError)

    def __dealloc__(self):
        textgen_spans_destroy(self.core)

    def count_copied(self, tokens):
        """Return how many of the tokens of a text are in its spans that the corpus has too."""
        narrow = array("i", tokens)
        cdef const int32_t *text = <const int32_t *>address_of(narrow)
        cdef size_t count = len(narrow)
        with nogil:
            count = textgen_spans_count(self.core, text, count)
        return count


@cython.final
cdef class Stream:
    """One running text: all that changes while it grows, and the tables that it follows.

    It is not thread-safe. The methods that change it raise RuntimeError while an engine runs it, as far as
    the GIL allows.

    Args:
        model: The model.
        seed: An int from 0 to 2**128 - 1.
        substream: An int from 0 to 2**32 - 1.

    Attributes:
        model: The model.
    """

    cdef readonly CoreModel model
    # The last arguments of `configure`. The core refers to the constraint and to the spans.
    cdef object sampling
    cdef tuple controls
    cdef bytearray memory
    cdef textgen_stream *stream
    cdef bint busy

    def __cinit__(self, CoreModel model not None, seed=0, substream=0, Stream original=None):
        cdef textgen_sampling sampling
        cdef textgen_error error
        self.model, self.memory = model, new_memory(textgen_stream_size(model.model))
        if original is not None:
            # A batch copies each text for each chunk: parameters that the copy replaces would take long.
            original.enter()
            check(textgen_stream_copy(original.stream, memory_of(self.memory), &self.stream, &error), &error)
            self.sampling, self.controls = original.sampling, original.controls
            return
        write_numbers(&sampling, None)
        write_seed(&sampling, seed, substream)
        self.controls = ((), (), None, None)
        check(
            textgen_stream_init(memory_of(self.memory), model.model, &sampling, &self.stream, &error), &error
        )

    cdef int enter(self) except -1:
        if self.busy:
            raise RuntimeError("another thread uses this text: lock it, or give each thread a copy")
        return 0

    def copy(self):
        """Return an independent copy."""
        return Stream(self.model, 0, 0, self)

    @property
    def seed(self):
        """The seed of the random numbers."""
        cdef textgen_sampling numbers
        textgen_stream_get_sampling(self.stream, &numbers)
        return <object>numbers.seed_high << 64 | numbers.seed

    @property
    def substream(self):
        """The substream of the seed."""
        cdef textgen_sampling numbers
        textgen_stream_get_sampling(self.stream, &numbers)
        return numbers.substream

    @property
    def drawn(self):
        """The number of random numbers drawn so far."""
        return self.info().drawn

    cdef textgen_stream_info info(self) noexcept:
        return textgen_stream_get_info(self.stream)

    cdef int set_sampling(
        self, object sampling, tuple controls, object seed, object substream, bytes saved=None
    ) except -1:
        """Set the parameters, or continue the text ``saved`` with them. An error changes nothing."""
        cdef textgen_sampling numbers
        cdef textgen_error error
        cdef Constraint constraint
        cdef Spans spans
        cdef const char **texts
        # A saved text that is refused leaves no text in its memory.
        cdef bytearray created = self.memory if saved is None else new_memory(len(self.memory))
        cdef textgen_stream *stream = self.stream
        cdef size_t i
        cdef int32_t code
        bias, stops, constraint, spans = controls
        write_numbers(&numbers, sampling)
        write_seed(&numbers, seed, substream)
        cdef bytearray bias_memory = bytearray(self.model.info.vocabulary * sizeof(double) if bias else 0)
        cdef bytearray stop_memory = new_memory(len(stops) * sizeof(char *))
        if bias:
            biases = memoryview(bias_memory).cast("d")
            for token, number in bias:
                biases[token] = number
            numbers.logit_bias = <const double *>PyByteArray_AsString(bias_memory)
        texts = <const char **>PyByteArray_AsString(stop_memory)
        for i in range(<size_t>len(stops)):
            texts[i] = <const char *><bytes?>stops[i]
        numbers.stop, numbers.stop_count = texts, len(stops)
        numbers.keep_stop = sampling is not None and sampling.keep_stop
        numbers.constraint = NULL if constraint is None else constraint.core
        numbers.spans = NULL if spans is None else spans.core
        self.enter()
        if saved is None:
            code = textgen_stream_set_sampling(self.stream, &numbers, &error)
        else:
            code = textgen_stream_resume(
                memory_of(created), self.model.model, &numbers, <const char *>saved, len(saved),
                &stream, &error,
            )
        check(code, &error)
        self.memory, self.stream = created, stream
        self.sampling, self.controls = sampling, controls
        return 0

    def configure(self, sampling, logit_bias=(), stops=(), constraint=None, spans=None):
        """Change the parameters. The filters keep their state.

        Other stop texts begin with the text that is held back: if one is in it, the next call that generates
        ends the text there, and the tokens after it are dropped. Another constraint and another
        ``min_length`` begin with the next token.

        Args:
            sampling: A ``Sampling``, whose numbers and ``keep_stop`` are used.
            logit_bias: Pairs of a token in [0, vocabulary) and a number.
            stops: Stop texts as UTF-8, normalized.
            constraint: A ``Constraint``, or None.
            spans: ``Spans``, or None.

        Raises:
            SamplingError: If parameters do not fit the model or each other. They are then as they were.
        """
        self.set_sampling(
            sampling, (tuple(logit_bias), tuple(stops), constraint, spans), self.seed, self.substream
        )

    def reseed(self, seed, substream=0, drawn=0):
        """Draw other random numbers from now on. Raises SamplingError if an argument is out of range."""
        drawn = PyNumber_Index(drawn)
        if not 0 <= drawn <= INT64_MAX:
            raise SamplingError(Name("drawn"), f" must be from 0 to 2**63 - 1, not {quote(drawn)}")
        self.set_sampling(self.sampling, self.controls, seed, substream)
        textgen_stream_seek(self.stream, drawn)

    @property
    def parameters(self):
        """The sampling parameters that are numbers, by name, from the block of the text."""
        cdef textgen_sampling numbers
        cdef const char *field
        cdef size_t offset
        textgen_stream_get_sampling(self.stream, &numbers)
        values = {}
        for name, is_whole, offset in FIELDS:
            field = <const char *>&numbers + offset
            values[name] = (<const uint64_t *>field)[0] if is_whole else (<const double *>field)[0]
        return values

    @property
    def logit_bias(self):
        """The logit bias in the block of the text: pairs of a token and a number."""
        cdef textgen_sampling numbers
        cdef size_t i
        textgen_stream_get_sampling(self.stream, &numbers)
        if numbers.logit_bias == NULL:
            return ()
        size = self.model.info.vocabulary
        return tuple([(i, numbers.logit_bias[i]) for i in range(size) if numbers.logit_bias[i] != 0.0])

    @property
    def has_spans(self):
        """Whether the text was drawn with spans, so that it keeps its latest tokens."""
        return self.info().recent > 0

    def feed(self, tokens, *, bint restart=False):
        """Run the network over tokens. They begin another text for stop texts and the constraint.

        Args:
            tokens: A sequence of 0 or more tokens, each in [0, vocabulary).
            restart: Whether that text begins from the initial state, of a record model after its begin token.

        Raises:
            ValueError: If a token is not in the vocabulary.
        """
        values = tokens if isinstance(tokens, array) and tokens.typecode == "q" else array("q", tokens)
        cdef const int64_t *numbers = <const int64_t *>address_of(values)
        cdef size_t count = len(values)
        cdef int32_t how = TEXTGEN_FEED_START if restart else TEXTGEN_FEED_TEXT
        cdef bytearray workspace = self.model.workspace(1)
        cdef textgen_memory memory = memory_of(workspace)
        cdef textgen_error error
        cdef int32_t code
        self.enter()
        self.busy = True
        with nogil:
            code = textgen_stream_feed_tokens(self.stream, numbers, count, how, NULL, memory, &error)
        self.busy = False
        self.model.check(code, &error, ValueError)

    def continue_from(self, Stream other not None):
        """Begin a text after the tokens of another one, with its own parameters and random numbers."""
        cdef textgen_error error
        if other.model is not self.model:
            raise ValueError("the text is of another model")
        self.enter()
        other.enter()
        seed, substream = self.seed, self.substream
        check(textgen_stream_copy(other.stream, memory_of(self.memory), &self.stream, &error), &error)
        self.reseed(seed, substream)

    @property
    def ending(self):
        """Why the latest text ended, or None."""
        return ENDINGS[self.info().ending]

    @property
    def at_end(self):
        """Whether the last token is the end of a record."""
        return bool(self.info().at_end)

    @property
    def is_complete(self):
        """Whether no token may follow until something is fed."""
        return bool(self.info().is_complete)

    @property
    def tokens_to_match(self):
        """The number of tokens that the text needs to match its constraint; 0 without a constraint."""
        return self.info().needed

    @property
    def held(self):
        """The tokens that are held back, as a list."""
        cdef textgen_stream_info info = self.info()
        cdef size_t i
        return [info.held_tokens[i] for i in range(info.held)]

    def finish(self, bint complete=True):
        """Return the text that is held back, as bytes, and hold nothing back.

        complete: Whether the bytes of an incomplete character stay.
        """
        cdef bytearray text = new_memory(textgen_stream_text_size(self.stream, 0))
        cdef textgen_error error
        cdef size_t written
        self.enter()
        check(
            textgen_stream_finish(
                self.stream, complete, PyByteArray_AsString(text), len(text), &written, &error
            ),
            &error,
        )
        return bytes(text[:written])

    @property
    def state(self):
        """A copy of the recurrent state: the arrays one after the other. It can be set, as float32."""
        cdef Py_ssize_t size = self.model.info.state_values * sizeof(float)
        return memoryview(PyByteArray_FromStringAndSize(<const char *>self.info().state, size)).cast("f")

    @state.setter
    def state(self, value):
        cdef bytearray copied = self.model.copy_state(value, 1)
        self.enter()
        memcpy(self.info().state, PyByteArray_AsString(copied), len(copied))

    @property
    def logits(self):
        """The logits of the next token, of shape [vocabulary]. They share the memory of the text.

        They can be set to a float32 buffer.
        """
        cdef Py_ssize_t start = <char *>self.info().logits - PyByteArray_AsString(self.memory)
        return memoryview(self.memory)[start : start + self.model.info.vocabulary * sizeof(float)].cast("f")

    @logits.setter
    def logits(self, value):
        self.enter()
        if not self.info().is_fed:
            # Another text begins with these logits.
            self.feed((0,))
        self.logits[:] = memoryview(value)

    def probabilities(self, bint of_draw):
        """Return the probabilities of the next token, as float64 in a bytearray.

        Args:
            of_draw: Whether they are those of the next draw: with the constraint, ``min_length``,
                ``max_copy``, the filters and the temperature.

        Raises:
            SamplingError: If the logits are invalid, or if no token is left to draw.
            PromptError: If the text has not been fed.
        """
        cdef bytearray memory = new_memory(self.model.info.vocabulary * sizeof(double))
        cdef bytearray workspace = self.model.workspace(1)
        cdef textgen_error error
        self.enter()
        check(
            textgen_stream_probabilities(
                self.stream, of_draw, <double *>PyByteArray_AsString(memory), memory_of(workspace), &error
            ),
            &error,
        )
        return memory

    def save(self, bytes description not None):
        """Return the saved text, with a description.

        Raises:
            SavedGenerationError: If the state or the logits are not finite.
        """
        cdef textgen_error error
        cdef bytearray data = new_memory(textgen_stream_saved_size(self.stream, len(description)))
        self.enter()
        check(
            textgen_stream_save(
                self.stream, <const char *>description, len(description), memory_of(data), &error
            ),
            &error,
            SavedGenerationError,
        )
        return bytes(data)

    def resume(self, bytes data not None):
        """Continue a saved text, with the tables of this one. All else is in the data.

        Raises:
            SavedGenerationError: If the data is damaged, or has another model or constraint. This text is
                then as it was.
        """
        self.set_sampling(self.sampling, self.controls, 0, 0, data)
        # A later change of the random numbers keeps the parameters of the block.
        self.controls = (self.logit_bias, *self.controls[1:])
        if self.sampling is not None:
            self.sampling = self.sampling.replace(**self.parameters)


def read_description(bytes data not None):
    """Return the description in a saved text, as bytes.

    Raises:
        SavedGenerationError: If the data is no saved text, or of a later version.
    """
    cdef const void *description
    cdef size_t size
    cdef textgen_error error
    check(
        textgen_saved_description(<const char *>data, len(data), &description, &size, &error),
        &error,
        SavedGenerationError,
    )
    return (<const char *>description)[:size]


cdef int add_lane(
    textgen_lane *item, object lane, CoreModel model, Py_ssize_t steps, list texts, list buffers
) except -1:
    """Write a ``Lane``, take its text for the call, and append the text and the memory that the lane uses."""
    cdef Stream text
    cdef bint logprobs
    cdef size_t most
    given, length, item.finish, masked, logprobs = lane
    length = PyNumber_Index(length)
    if length < 1:
        raise ValueError(f"the length of a lane must be 1 or more, not {length}")
    text = <Stream?>given
    if text.model is not model:
        raise ValueError("the text is of another model")
    item.length, item.unmasked = min(length, PY_SSIZE_T_MAX), not masked
    most = min(item.length, <size_t>steps)
    item.text = append_memory(buffers, textgen_stream_text_size(text.stream, most))
    item.tokens = <int64_t *>append_memory(buffers, (text.info().held + most) * sizeof(int64_t))
    if logprobs:
        item.logprobs = <double *>append_memory(buffers, most * sizeof(double))
    # No code of another object runs between these checks and the mark that the text is in use.
    text.enter()
    item.stream, text.busy = text.stream, True
    texts.append(text)
    return 0


cdef char *append_memory(list buffers, object size) except NULL:
    cdef bytearray memory = new_memory(size)
    buffers.append(memory)
    return PyByteArray_AsString(memory)


def generate(lanes, Py_ssize_t steps, latencies=None):
    """Generate tokens for several texts, without the GIL. Other threads may do the same with other texts.

    Args:
        lanes: A sequence of ``Lane``, each with another text of the same model.
        steps: The maximum number of tokens per lane, from 1 to ``MAX_STEPS``.
        latencies: A list to which the nanoseconds of each step are added, or None.

    Returns:
        The list of ``Generated``.

    Raises:
        ValueError: If there is no lane, if a length or ``steps`` is wrong, or if a text is of another model.
        RuntimeError: If two lanes share a text, or if another thread uses a text.
        PromptError: If a text has not been fed.
        SamplingError: If a constraint needs more tokens than the length of its lane.
    """
    cdef int64_t *times = NULL
    cdef textgen_error error
    cdef list texts = [], buffers = []
    cdef bytearray workspace
    cdef textgen_memory memory
    cdef textgen_lane *items
    cdef CoreModel model
    cdef size_t count, i
    cdef int32_t code
    lanes = list(lanes)
    count = len(lanes)
    if not 1 <= steps <= MAX_STEPS:
        raise ValueError(f"steps must be from 1 to {MAX_STEPS}, not {steps}")
    if not count:
        raise ValueError("lanes must not be empty")
    model = (<Stream?>lanes[0][0]).model
    items = <textgen_lane *>append_memory(buffers, count * sizeof(textgen_lane))
    memset(items, 0, count * sizeof(textgen_lane))
    if latencies is not None:
        times = <int64_t *>append_memory(buffers, steps * sizeof(int64_t))
    try:
        for i in range(count):
            add_lane(&items[i], lanes[i], model, steps, texts, buffers)
        workspace = model.workspace(count)
        memory = memory_of(workspace)
        with nogil:
            code = textgen_generate(items, count, steps, memory, times, &error)
        if code != TEXTGEN_LANE_FAILED:
            model.check(code, &error)
        if latencies is not None:
            latencies += [times[i] for i in range(<size_t>max([items[i].drawn for i in range(count)]))]
        return [result_of(&items[i], <Stream>texts[i]) for i in range(count)]
    finally:
        for text in texts:
            (<Stream>text).busy = False


cdef object result_of(const textgen_lane *item, Stream text):
    cdef size_t i, stop_start = item.decided
    error = None
    if item.result == TEXTGEN_NO_TOKEN and text.controls[3] is not None:
        error = SamplingError(Name("max_copy"), " leaves no token to draw: use a greater value")
    elif item.result < 0:
        error = SamplingError(textgen_code_text(item.result).decode())
    if item.stop and text.sampling.keep_stop:
        stop_start -= item.stop
    stop = [item.tokens[i] for i in range(stop_start, stop_start + item.stop)]
    logprobs = None
    if item.logprobs != NULL:
        logprobs = [item.logprobs[i] for i in range(item.drawn)]
    ending = None if error is not None else ENDINGS[item.ending]
    # A call of the constructor, which is Python code, would take most of the time of a lane.
    return new_tuple(Generated, (item.drawn, item.text[:item.written], ending, logprobs, stop, error))


cdef object new_tuple = tuple.__new__
