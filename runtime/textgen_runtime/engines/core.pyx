# cython: language_level=3, freethreading_compatible=True
"""Networks of the C core (runtime/core), for Python, without numpy.

The arithmetic is the core's; it runs without the GIL. Everything that could be wrong with what Python hands
over is checked here, since the core checks nothing of it. Numbers come and go as buffers: what is given may
be a memoryview, a numpy array or anything else with the buffer protocol, and what is returned has it.
"""

cimport cython
from cpython.buffer cimport PyBUF_FORMAT, PyBUF_ND, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from cpython.number cimport PyNumber_Index
from libc.math cimport INFINITY, log
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

from textgen_runtime.sampling.buffers cimport Floats, new_floats, new_room
from .c_core cimport (
    textgen_forward,
    textgen_generate_tokens,
    textgen_kernels,
    textgen_measurements,
    textgen_network,
    textgen_network_create,
    textgen_network_destroy,
    textgen_network_step_bytes,
    textgen_packed_layer,
    textgen_slots_size,
)
from textgen_runtime.model_file.c_model_file cimport TEXTGEN_OK, TEXTGEN_STATE_ARRAYS, textgen_error
from .kernels cimport find_kernels
from .lanes cimport Lanes, StateLayout
from textgen_runtime.model_file.reader cimport ERROR_SIZE, ModelFile, raise_error
from textgen_runtime.sampling.reweighting cimport checked


cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX


@cython.final
cdef class CoreNetwork:
    """Runs one network; immutable, so any number of threads may share it.

    Args:
        content: A ``ModelFile``, or the content of one.
        kernels: The name of an instruction set, or None for the best that the processor has.
        never_drawn: A token that ``generate`` never draws, or None.

    Raises:
        UnknownGraphError: If the graph is not one that ``textgen-train`` writes.
        ModelFileError: If the file is damaged.
        ValueError: If the processor does not have the instruction set, or the token is not in the vocabulary.
    """

    cdef readonly ModelFile file
    cdef readonly object never_drawn
    cdef readonly object vocabulary_size
    cdef textgen_network *network
    cdef StateLayout layout

    def __cinit__(self, content, kernels=None, never_drawn=None):
        cdef ModelFile file = content if isinstance(content, ModelFile) else ModelFile(content)
        cdef const textgen_kernels *chosen = find_kernels(kernels)
        cdef char text[ERROR_SIZE]
        cdef textgen_error error
        cdef int32_t code
        cdef int64_t token = -1
        file.match()
        if never_drawn is not None:
            # Converted once: what is checked is what is used.
            never_drawn = int(PyNumber_Index(never_drawn))
            if not 0 <= never_drawn < file.vocabulary_size:
                raise ValueError(
                    f"token {never_drawn} is not in the vocabulary of {file.vocabulary_size}"
                )
            token = never_drawn
        error.text, error.size = text, ERROR_SIZE
        with nogil:
            code = textgen_network_create(file.description, chosen, token, &self.network, &error)
        if code != TEXTGEN_OK:
            raise_error(code, text)
        self.file, self.never_drawn, self.vocabulary_size = file, never_drawn, file.vocabulary_size
        names = tuple(file.state_shapes)
        self.layout = StateLayout(names, self.network.lstm_count, self.network.units)

    def __dealloc__(self):
        textgen_network_destroy(self.network)

    @property
    def kernels(self):
        """The name of the instruction set in use."""
        return self.network.kernels.name.decode()

    @property
    def step_bytes(self):
        """How many bytes one step of one lane reads."""
        return textgen_network_step_bytes(self.network)

    def initial_state(self, Py_ssize_t batch=1):
        """The state of lanes that have read nothing: zeros."""
        return self.layout.zeros(batch)

    cdef bytearray new_workspace(self, object lanes, object kept):
        # What it holds of each output and logit, which could be too much to be counted.
        cdef object outputs = self.network.padded_units + self.network.padded_vocabulary
        outputs += 2 * self.network.vocabulary + self.network.embedding_size
        if 2 * lanes * (<object>self.network.lstm_count + kept) * outputs * sizeof(float) > PY_SSIZE_T_MAX:
            raise MemoryError
        return new_room(textgen_slots_size(self.network, lanes, kept))

    def forward(self, tokens, state, bint last_only=False):
        """Read tokens and say what may follow each of them.

        Args:
            tokens: Shape [time, batch], int64, each in [0, vocabulary_size).
            state: What was read before, of the same batch.
            last_only: Whether to compute logits after the last token only.

        Returns:
            Logits [time, batch, vocabulary], or [1, batch, vocabulary] after the last token only, a buffer
            of float32; and the state after the last token.

        Raises:
            ValueError: If a shape, a type or a token is not as stated.
        """
        cdef Py_buffer buffer
        cdef bint fits
        # A copy, which no other thread can change once it is checked.
        cdef bytearray given
        cdef Py_ssize_t time = 0
        cdef Py_ssize_t batch = 0
        PyObject_GetBuffer(tokens, &buffer, PyBUF_ND | PyBUF_FORMAT)
        try:
            fits = buffer.ndim == 2 and buffer.len > 0 and buffer.itemsize == sizeof(int64_t)
            fits = fits and buffer.format != NULL and buffer.format.decode() in ("l", "q")
            if fits:
                time, batch = buffer.shape[0], buffer.shape[1]
                given = PyByteArray_FromStringAndSize(<char *>buffer.buf, buffer.len)
        finally:
            PyBuffer_Release(&buffer)
        if not fits:
            raise ValueError(
                f"tokens must be int64, of shape [time, batch] and in [0, {self.vocabulary_size})"
            )
        logits, after = self.read(given, time, batch, state, 1 if last_only else time)
        return logits, after

    def feed(self, tokens, state):
        """Let one lane read tokens.

        Args:
            tokens: A sequence of 1 or more, each in [0, vocabulary_size).
            state: What was read before, of batch 1.

        Returns:
            Logits after the last token, shape [vocabulary], a buffer of float32, and the state after it.
            The logit of the token that is never drawn is minus infinity.

        Raises:
            ValueError: If there is no token, if one is not in the vocabulary, or if the state is of another
                shape.
        """
        cdef Py_ssize_t time = len(tokens)
        if time == 0:
            raise ValueError("tokens must be 1 or more")
        cdef bytearray given = new_room(time * sizeof(int64_t))
        cdef int64_t *place = <int64_t *>PyByteArray_AS_STRING(given)
        cdef Py_ssize_t i = 0
        for token in tokens:
            if i == time:
                break
            try:
                place[i] = PyNumber_Index(token)
            except OverflowError:
                raise ValueError(f"tokens must be in [0, {self.vocabulary_size})") from None
            i += 1
        if i < time:
            raise ValueError("tokens became fewer while they were read")
        read, after = self.read(given, time, 1, state, 1)
        cdef Floats logits = read
        if self.never_drawn is not None:
            logits.data[self.network.masked_token] = -INFINITY
        logits.dimensions, logits.shape[0] = 1, logits.size
        logits.strides[0] = sizeof(float)
        return logits, after

    cdef tuple read(self, bytearray given, Py_ssize_t time, Py_ssize_t batch, object state, Py_ssize_t kept):
        """Logits after the last ``kept`` steps and the state after the last."""
        cdef const int64_t *tokens = <const int64_t *>PyByteArray_AS_STRING(given)
        cdef int64_t vocabulary = self.network.vocabulary
        cdef bint known = True
        cdef Py_ssize_t i
        for i in range(time * batch):
            known = known and 0 <= tokens[i] < vocabulary
        if not known:
            raise ValueError(f"tokens must be in [0, {vocabulary})")
        cdef float *places[TEXTGEN_STATE_ARRAYS]
        cdef bytearray arrays = new_room(self.layout.size(batch) * sizeof(float))
        after = self.layout.copy(state, batch, arrays, 0, places)
        cdef Floats logits = new_floats(3, kept, batch, self.network.vocabulary)
        cdef bytearray room = self.new_workspace(batch, kept)
        cdef void *workspace = PyByteArray_AS_STRING(room)
        with nogil:
            textgen_forward(self.network, tokens, time, batch, places, kept, logits.data, workspace)
        return logits, after

    def generate(self, lanes, int64_t steps, measurements=None):
        """Draw a token for each lane and read it, up to ``steps`` times over, in one call without the GIL.

        Args:
            lanes: A sequence of ``Lane``, each with another sampler.
            steps: How many tokens of each lane at most.
            measurements: A ``Measurements`` to add up in, or None.

        Returns:
            A list of ``Generated``, whose logits and states are in memory of their own.

        Raises:
            ValueError: If a shape is not as stated, or a sampler is there twice.
            SamplingError: If logits are not finite, or a sampler's random numbers would end before that, in
                which case none is taken.
        """
        # A list of its own, which no other thread can change once it is checked.
        cdef Lanes running = Lanes(list(lanes), self.layout, self.network.vocabulary, steps)
        cdef bytearray room = self.new_workspace(running.count, 1)
        cdef void *workspace = PyByteArray_AS_STRING(room)
        cdef textgen_measurements measured
        cdef textgen_measurements *spent = NULL
        cdef bytearray latencies = None
        cdef int64_t fault
        memset(&measured, 0, sizeof(measured))
        measured.log = log
        if measurements is not None:
            spent = &measured
            if measurements.latencies is not None:
                latencies = new_room(running.longest(steps) * sizeof(int64_t))
                measured.latencies = <int64_t *>PyByteArray_AS_STRING(latencies)
        # Nothing in between makes an object: the garbage collector could need a lock that is held here.
        running.acquire()
        fault = running.copy_samplers(steps)
        if fault == 0:
            with nogil:
                textgen_generate_tokens(self.network, running.items, running.count, steps, workspace, spent)
            running.store_samplers()
        running.release()
        checked(fault)
        running.raise_fault()
        if measurements is not None:
            add_up(measurements, running.generated(), &measured)
        return running.results()

    def read_weights(self, Py_ssize_t repeats):
        """Read every weight of a step once, and do nothing else: the least time that a step can take."""
        cdef const textgen_packed_layer *layer
        cdef Py_ssize_t _i
        cdef size_t number
        cdef float unused = 0.0
        with nogil:
            for _i in range(repeats):
                for number in range(self.network.lstm_count):
                    layer = &self.network.lstm_layers[number]
                    unused += self.network.kernels.sum(
                        layer.weights, 4 * layer.outputs * (layer.inputs + layer.outputs)
                    )
                layer = &self.network.output_layer
                unused += self.network.kernels.sum(layer.weights, layer.outputs * layer.inputs)
        return unused


cdef int add_up(object measurements, int64_t tokens, const textgen_measurements *measured) except -1:
    """Add what a run took to the caller's ``Measurements``."""
    measurements.add(tokens, 1e-9 * measured.model_ns, 1e-9 * measured.sampler_ns, measured.entropy)
    if measured.latencies != NULL:
        measurements.latencies += [measured.latencies[i] for i in range(measured.steps)]
    return 0
