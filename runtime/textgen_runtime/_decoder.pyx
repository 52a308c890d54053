# cython: language_level=3, freethreading_compatible=True
"""The native engine's loop: draw, step, draw, step, without the GIL and without allocating.

The arithmetic is in kernels/; the draws are the sampler's own functions. Everything that could be wrong
with what Python hands over is checked before the loop, since the kernels check nothing.
"""

cimport cython
cimport numpy as cnp
from libc.stdint cimport INT64_MAX, int64_t, uintptr_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from numpy.random cimport bitgen_t

from ._sampler cimport Fault, Sampler, checked, draw_token, entropy_of, next_uniform

import numpy as np

cnp.import_array()


cdef extern from "kernels/kernels.h" nogil:
    enum:
        BLOCK
        GROUP
    ctypedef struct Network:
        ptrdiff_t layers
        ptrdiff_t units
        ptrdiff_t vocabulary
        const float *rows
        const float *const *weights
        const float *const *biases
        const float *output
        const float *output_bias
    ctypedef struct Kernels:
        const char *name
        void (*step)(const Network *, const int64_t *, float *, float *, float *, ptrdiff_t) noexcept nogil
        void (*score)(const Network *, const float *, float *, ptrdiff_t) noexcept nogil
        float (*stream)(const float *, ptrdiff_t) noexcept nogil
        void (*sigmoid)(float *, ptrdiff_t) noexcept nogil
        void (*tanh)(float *, ptrdiff_t) noexcept nogil
    int available_kernels(const Kernels **kernels, int room)


cdef extern from "kernels/clock.h" nogil:
    int64_t nanoseconds()


cdef enum:
    MOST_KERNELS = 4
    ALIGNMENT = 64


# What a measured decoding took: nanoseconds, bits, and where to keep each round's nanoseconds or NULL.
cdef struct Spent:
    int64_t model
    int64_t sampler
    double entropy
    int64_t *latencies


cdef const Kernels *find_kernels(object name) except NULL:
    """The kernels of that name, or the best if it is None."""
    cdef const Kernels *found[MOST_KERNELS]
    cdef int count = available_kernels(found, MOST_KERNELS)
    cdef int i
    for i in range(count):
        if name is None or found[i].name.decode() == name:
            return found[i]
    raise ValueError(f"this processor runs the kernels {', '.join(kernel_names())}, not {name!r}")


def kernel_names():
    """The names of the instruction sets that this processor can run, best first."""
    cdef const Kernels *found[MOST_KERNELS]
    cdef int count = available_kernels(found, MOST_KERNELS)
    return [found[i].name.decode() for i in range(count)]


def activation(str name, values, str kernels):
    """``sigmoid`` or ``tanh`` of float32 values as the kernels compute it, in a new array.

    Raises:
        ValueError: If ``name`` is neither, or the processor does not have the kernels.
    """
    if name not in ("sigmoid", "tanh"):
        raise ValueError(f"the kernels compute 'sigmoid' and 'tanh', not {name!r}")
    cdef const Kernels *chosen = find_kernels(kernels)
    cdef Py_ssize_t size = len(values)
    cdef cnp.ndarray padded = np.zeros(-(-size // GROUP) * GROUP, np.float32)
    padded[:size] = values
    cdef float *start = <float *>cnp.PyArray_DATA(padded)
    if name == "tanh":
        chosen.tanh(start, len(padded))
    else:
        chosen.sigmoid(start, len(padded))
    return padded[:size]


@cython.final
cdef class Decoder:
    """Runs one model's packed weights; immutable, so any number of threads may share it.

    Args:
        packed: A ``PackedWeights``; its arrays are kept, not copied.
        kernels: The name of an instruction set, or None for the best that the processor has.
        never_drawn: A token that ``decode`` never draws, or None.

    Raises:
        ValueError: If the processor does not have it, if the token is not in the vocabulary, or if an array
            is not of the shape and type that ``PackedWeights`` states, contiguous and aligned.
    """

    cdef Network network
    # The same with the bias of the token that is never drawn at minus infinity.
    cdef Network drawing
    cdef object never_drawn
    cdef const Kernels *chosen
    cdef const float **pointers
    cdef Py_ssize_t units
    cdef Py_ssize_t vocabulary
    # What the pointers point into.
    cdef list arrays

    def __cinit__(self, packed, kernels=None, never_drawn=None):
        cdef Py_ssize_t layers = len(packed.weights)
        cdef Py_ssize_t i
        self.chosen = find_kernels(kernels)
        if layers < 1 or len(packed.biases) != layers or packed.units < 1 or packed.vocabulary < 1:
            raise ValueError("packed weights must be of 1 layer, 1 unit and 1 character or more")
        groups, blocks = -(-packed.units // GROUP), -(-packed.vocabulary // BLOCK)
        units = groups * GROUP
        self.arrays = []
        self.pointers = <const float **>malloc(2 * layers * sizeof(float *))
        if self.pointers == NULL:
            raise MemoryError
        for i in range(layers):
            inputs = 2 * units if i else units
            self.pointers[i] = self.keep(packed.weights[i], (groups, inputs, BLOCK))
            self.pointers[layers + i] = self.keep(packed.biases[i], (groups, BLOCK))
        self.network.rows = self.keep(packed.rows, (packed.vocabulary, groups, BLOCK))
        self.network.output = self.keep(packed.output, (blocks, units, BLOCK))
        self.network.output_bias = self.keep(packed.output_bias, (blocks * BLOCK,))
        self.network.weights = self.pointers
        self.network.biases = self.pointers + layers
        # Only now, because the arrays have bounded them.
        self.network.layers, self.network.units, self.network.vocabulary = layers, units, blocks * BLOCK
        self.units, self.vocabulary = packed.units, packed.vocabulary
        self.drawing, self.never_drawn = self.network, never_drawn
        cdef cnp.ndarray bias
        if never_drawn is not None:
            if not 0 <= never_drawn < self.vocabulary:
                raise ValueError(f"token {never_drawn} is not in the vocabulary of {self.vocabulary}")
            bias = np.array(packed.output_bias)
            bias[never_drawn] = -np.inf
            self.arrays.append(bias)
            self.drawing.output_bias = <const float *>cnp.PyArray_DATA(bias)

    cdef const float *keep(self, object given, tuple shape) except NULL:
        """The start of an array that the kernels can read, which is kept."""
        if not isinstance(given, np.ndarray):
            raise ValueError(f"packed weights must be arrays, not {type(given).__name__}")
        cdef cnp.ndarray array = given
        if cnp.PyArray_TYPE(array) != cnp.NPY_FLOAT32 or not cnp.PyArray_ISCARRAY_RO(array):
            raise ValueError("packed weights must be contiguous and float32")
        if given.shape != shape:
            raise ValueError(f"packed weights must be of shape {shape} here, not {given.shape}")
        if <uintptr_t>cnp.PyArray_DATA(array) % ALIGNMENT:
            raise ValueError(f"packed weights must be aligned to {ALIGNMENT} bytes")
        self.arrays.append(array)
        return <const float *>cnp.PyArray_DATA(array)

    def __dealloc__(self):
        free(self.pointers)

    @property
    def kernels(self):
        """The name of the instruction set in use."""
        return self.chosen.name.decode()

    def read(self, tokens, hidden, cell, bint last_only=False):
        """Read given tokens.

        Args:
            tokens: Shape [time, batch], int64, each in [0, vocabulary).
            hidden: Shape [layers, batch, units], float32.
            cell: The same.
            last_only: Whether to compute logits after the last token only.

        Returns:
            Logits [time, batch, vocabulary], or [1, batch, vocabulary] after the last token only; and the
            next hidden and cell.

        Raises:
            ValueError: If a shape or a token is not as stated.
        """
        # A copy, which no other thread can change once it is checked.
        cdef cnp.ndarray given = np.array(tokens, dtype=np.int64, order="C")
        if given.ndim != 2 or given.size == 0 or given.min() < 0 or given.max() >= self.vocabulary:
            raise ValueError(f"tokens must be of shape [time, batch] and in [0, {self.vocabulary})")
        cdef Py_ssize_t length = given.shape[0]
        cdef Py_ssize_t streams = given.shape[1]
        cdef cnp.ndarray h = self.padded_state(hidden, streams)
        cdef cnp.ndarray c = self.padded_state(cell, streams)
        cdef cnp.ndarray scratch = np.empty((streams, self.network.units), np.float32)
        # The outputs of the steps that logits are wanted of. They are multiplied together at the end: the
        # output weights are read once for all, which with a large vocabulary is most of the work.
        cdef Py_ssize_t kept = 1 if last_only else length
        cdef cnp.ndarray outputs = np.empty((kept, streams, self.network.units), np.float32)
        cdef cnp.ndarray logits = np.empty((kept, streams, self.network.vocabulary), np.float32)
        cdef const int64_t *token = <const int64_t *>cnp.PyArray_DATA(given)
        cdef float *logits_data = <float *>cnp.PyArray_DATA(logits)
        cdef float *output = <float *>cnp.PyArray_DATA(outputs)
        cdef float *hidden_data = <float *>cnp.PyArray_DATA(h)
        cdef float *cell_data = <float *>cnp.PyArray_DATA(c)
        cdef float *scratch_data = <float *>cnp.PyArray_DATA(scratch)
        cdef Py_ssize_t layer_size = streams * self.network.units
        cdef float *top = hidden_data + (self.network.layers - 1) * layer_size
        cdef Py_ssize_t i
        with nogil:
            for i in range(length):
                self.chosen.step(
                    &self.network, token + i * streams, hidden_data, cell_data, scratch_data, streams
                )
                if i >= length - kept:
                    memcpy(output + (i - (length - kept)) * layer_size, top, layer_size * sizeof(float))
            self.chosen.score(&self.network, output, logits_data, kept * streams)
        return logits[:, :, :self.vocabulary], h[:, :, :self.units], c[:, :, :self.units]

    def decode(self, samplers, logits, hidden, cell, Py_ssize_t length, measurements=None):
        """Draw a token for each stream, read it, and so on, in one call without the GIL.

        Args:
            samplers: One for each stream, each another.
            logits: Of the first token, shape [batch, vocabulary], float32.
            hidden: Shape [layers, batch, units], float32.
            cell: The same.
            length: How many tokens of each stream.
            measurements: Where to add up times and entropies, or None.

        Returns:
            Tokens [length, batch], int64; the logits that follow; the next hidden and cell.

        Raises:
            ValueError: If a shape is not as stated, or a sampler is there twice.
            SamplingError: If logits are not finite, or a sampler's random stream ends before that.
        """
        # A list of its own, for the same reason.
        samplers = list(samplers)
        cdef Py_ssize_t streams = len(samplers)
        if length < 0 or streams == 0 or len(set(map(id, samplers))) != streams:
            raise ValueError("length must be 0 or more, and samplers one for each stream, each another")
        if np.shape(logits) != (streams, self.vocabulary):
            raise ValueError(f"logits must be of shape {(streams, self.vocabulary)}, not {np.shape(logits)}")
        cdef cnp.ndarray scores = np.zeros((streams, self.network.vocabulary), np.float32)
        scores[:, :self.vocabulary] = logits
        if self.never_drawn is not None:
            scores[:, self.never_drawn] = -np.inf
        cdef cnp.ndarray h = self.padded_state(hidden, streams)
        cdef cnp.ndarray c = self.padded_state(cell, streams)
        cdef cnp.ndarray scratch = np.empty((streams, self.network.units), np.float32)
        cdef cnp.ndarray weights = np.empty(self.vocabulary, np.float64)
        cdef cnp.ndarray tokens = np.empty((length, streams), np.int64)
        cdef Spent spent = Spent(0, 0, 0.0, NULL)
        cdef int64_t fault
        if measurements is not None and measurements.latencies is not None:
            latencies = np.empty(length, np.int64)
            spent.latencies = <int64_t *>cnp.PyArray_DATA(latencies)
        # In one order everywhere, so that two calls with the same samplers cannot wait for each other.
        ordered = sorted(samplers, key=id)
        locks = [(<Sampler?>sampler).lock for sampler in ordered]
        held = []
        try:
            for lock in locks:
                lock.acquire()
                held.append(lock)
            fault = self.run(
                samplers,
                length,
                scores,
                h,
                c,
                scratch,
                weights,
                tokens,
                NULL if measurements is None else &spent,
            )
        finally:
            for lock in held:
                lock.release()
        checked(fault)
        if spent.latencies != NULL:
            measurements.latencies.append(latencies)
        if measurements is not None:
            measurements.add(length * streams, 1e-9 * spent.model, 1e-9 * spent.sampler, spent.entropy)
        return tokens, scores[:, :self.vocabulary], h[:, :, :self.units], c[:, :, :self.units]

    cdef int64_t run(
        self,
        samplers,
        Py_ssize_t length,
        cnp.ndarray scores,
        cnp.ndarray h,
        cnp.ndarray c,
        cnp.ndarray scratch,
        cnp.ndarray weights,
        cnp.ndarray tokens,
        Spent *spent,
    ) except? -9:
        """The loop itself; 0, or a fault of the sampler's."""
        cdef Py_ssize_t streams = len(samplers)
        cdef float *score_data = <float *>cnp.PyArray_DATA(scores)
        cdef float *hidden_data = <float *>cnp.PyArray_DATA(h)
        cdef float *cell_data = <float *>cnp.PyArray_DATA(c)
        cdef float *scratch_data = <float *>cnp.PyArray_DATA(scratch)
        cdef double *weight_data = <double *>cnp.PyArray_DATA(weights)
        cdef int64_t *token = <int64_t *>cnp.PyArray_DATA(tokens)
        cdef float *top = hidden_data + (self.network.layers - 1) * streams * self.network.units
        cdef const float *row
        cdef Py_ssize_t _i, s
        cdef int64_t start = 0
        cdef int64_t drawn = 0
        cdef int64_t stepped
        cdef int64_t fault = 0
        # How often every stream drew, and how many of them drew once more before a fault.
        cdef Py_ssize_t rounds = 0
        cdef Py_ssize_t extra = 0
        cdef cnp.ndarray sources = np.array([<size_t>(<Sampler>each).source for each in samplers], np.uintp)
        cdef cnp.ndarray heats = np.array([(<Sampler>each).heat for each in samplers], np.float64)
        cdef bitgen_t **source = <bitgen_t **>cnp.PyArray_DATA(sources)
        cdef const double *heat = <const double *>cnp.PyArray_DATA(heats)
        for each in samplers:
            if (<Sampler>each).taken > INT64_MAX - length:
                return Fault.USED_UP
        with nogil:
            for _i in range(length):
                if spent != NULL:
                    for s in range(streams):
                        row = score_data + s * self.network.vocabulary
                        spent.entropy += entropy_of(row, self.vocabulary, heat[s], weight_data)
                    start = nanoseconds()
                for s in range(streams):
                    row = score_data + s * self.network.vocabulary
                    token[s] = draw_token(
                        row, self.vocabulary, heat[s], next_uniform(source[s]), weight_data
                    )
                    if token[s] < 0:
                        fault = token[s]
                        extra = s + 1
                        break
                if fault < 0:
                    break
                rounds += 1
                if spent != NULL:
                    drawn = nanoseconds()
                    spent.sampler += drawn - start
                self.chosen.step(&self.network, token, hidden_data, cell_data, scratch_data, streams)
                self.chosen.score(&self.drawing, top, score_data, streams)
                if spent != NULL:
                    stepped = nanoseconds()
                    spent.model += stepped - drawn
                    if spent.latencies != NULL:
                        spent.latencies[_i] = stepped - start
                token += streams
        for s, each in enumerate(samplers):
            (<Sampler>each).taken += rounds + (s < extra)
        return fault

    cdef cnp.ndarray padded_state(self, given, Py_ssize_t streams):
        """A copy of a state's array with the padding that the kernels expect."""
        shape = (self.network.layers, streams, self.units)
        if np.shape(given) != shape:
            raise ValueError(f"the state must be of shape {shape}, not {np.shape(given)}")
        padded = np.zeros((self.network.layers, streams, self.network.units), np.float32)
        padded[:, :, :self.units] = given
        return padded

    def stream_weights(self, Py_ssize_t repeats):
        """Read every weight of a step once, and do nothing else: the least time that a step can take."""
        cdef Py_ssize_t layers = self.network.layers
        cdef Py_ssize_t _i, layer
        cdef list sizes = [array.size for array in self.arrays[:2 * layers:2]]
        cdef Py_ssize_t output = self.network.vocabulary * self.network.units
        cdef cnp.ndarray counts = np.array([*sizes, output], np.int64)
        cdef const int64_t *count = <const int64_t *>cnp.PyArray_DATA(counts)
        cdef float unused = 0.0
        with nogil:
            for _i in range(repeats):
                for layer in range(layers):
                    unused += self.chosen.stream(self.pointers[layer], count[layer])
                unused += self.chosen.stream(self.network.output, count[layers])
        return unused
