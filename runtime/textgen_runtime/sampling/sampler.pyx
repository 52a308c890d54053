# cython: language_level=3
# Not freethreading_compatible: the GIL protects the check that no other thread uses a text.
"""Apply filters and a temperature to logits and draw tokens from them.

``Sampler`` owns a random generator, the state of its filters and scratch memory. ``reweighting.pxi`` has the
functions without such state, and ``definition.pyx`` the descriptions of the parameters. The C core
(``runtime/core/sampler.h``) does the arithmetic. The native engine draws with the same C functions.

Stop texts and constraints are in another extension module, ``tables``, whose .pxd needs headers of the C
core. The .pxd of this one is public and needs none.
"""

include "buffers.pxi"
include "reweighting.pxi"

cimport cython
from cpython.buffer cimport PyBuffer_Release
from cpython.bytearray cimport PyByteArray_AsString
from cpython.number cimport PyNumber_Index
from libc.math cimport INFINITY
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc

from .c_sampler cimport (
    textgen_filters,
    textgen_filters_active,
    textgen_filters_bias,
    textgen_filters_change,
    textgen_filters_init,
    textgen_filters_size,
    textgen_parameters,
    textgen_rng_init,
    textgen_rng_seek,
    textgen_sampler,
    textgen_sampler_accept,
    textgen_sampler_draw,
    textgen_sampler_reweight,
    textgen_sampler_scratch,
    textgen_uint128,
)
from .definition cimport as_double, read_parameters

from textgen_runtime.errors import Name, SamplingError, quote

from .definition import PARAMETERS
from .parameters import Sampling, check_type

__all__ = ["Sampler", "draw_with", "entropy", "reweight", "softmax"]

# numpy's SeedSequence appends the substream to the 128 bits of the seed. A longer seed could therefore give
# the random stream of another seed's substream.
MAX_SEED = 2**128 - 1
MAX_SUBSTREAM = 2**32 - 1
MAX_POSITION = INT64_MAX
MAX_TOKEN = 2**31 - 1
DEFAULT_TEMPERATURE = PARAMETERS["temperature"].default


@cython.final
cdef class Sampler:
    """Draw tokens from logits, with filters and a temperature, reproducibly.

    The same logits, parameters, seed and substream give the same tokens in every release and on every
    processor. A draw applies the filters to the logits, and inverts the cumulative distribution of
    ``softmax(logits, temperature)`` at one uniform number in [0, 1). Every draw takes exactly one number from
    the random stream, also at temperature 0. Therefore the parameters of a draw do not change the numbers of
    later draws.

    The filters work in the order of ``Sampling``. Those that remove tokens use the softmax, at temperature 1,
    of the tokens that the earlier ones left, and leave at least one. Of equal logits, the lowest token counts
    as the most likely. The penalties count the tokens that the sampler drew. With another number of
    logits, the filters begin anew.

    A sampler is not thread-safe. Threads that share one must lock it.

    Args:
        temperature: A finite number, 0 or more. At 0 the most likely token is drawn; the lowest id wins a
            tie.
        seed: An int from 0 to 2**128 - 1.
        substream: The index of an independent random stream of the seed, an int from 0 to 2**32 - 1. With
            several prompts, ``Model.generate`` uses substream ``i`` for prompt ``i``, so that each text is
            independent of the number of prompts.
        logit_bias: Numbers that are added to the logits: a mapping from tokens to numbers from -100 to 100,
            or -inf to forbid a token. A bias of 0 is dropped.
        **filters: Other parameters of ``Sampling`` that concern a single draw, such as ``top_p=0.9``.

    Attributes:
        seed: The seed.
        substream: The substream.

    Raises:
        SamplingError: If the temperature, the seed, the substream or a filter is out of range.
        TypeError: If the seed or substream is not an integer, or if a parameter is unknown.

    Source: the generator is numpy's ``PCG64(SeedSequence(seed, spawn_key=(substream,)))``, without the
    ``spawn_key`` for substream 0. A uniform number is the upper 53 bits of the next 64-bit integer, divided
    by 2**53.
    """

    def __cinit__(self, temperature=DEFAULT_TEMPERATURE, seed=0, substream=0, *, logit_bias=(), **filters):
        cdef textgen_parameters parameters
        cdef textgen_uint128 seed_halves
        sampling = Sampling(temperature=temperature, **filters)
        check_single_draw(sampling)
        split_seed(seed, substream, &seed_halves)
        self.seed, self.substream = int(seed), int(substream)
        self.core = malloc(sizeof(textgen_sampler))
        if self.core == NULL:
            raise MemoryError("not enough memory for a sampler")
        core_of(self).filters = NULL
        self._sampling, self._logit_bias = sampling, checked_biases(logit_bias)
        read_parameters(sampling, &parameters)
        core_of(self).parameters, core_of(self).exp64 = parameters, exp64
        textgen_rng_init(&core_of(self).rng, seed_halves, <uint32_t>self.substream)

    def __dealloc__(self):
        free(self.scratch)
        if self.core != NULL:
            free(core_of(self).filters)
        free(self.core)

    cdef int enter(self) except -1:
        """Check that no other thread draws with this sampler. Otherwise its memory could change under it."""
        if self.busy:
            raise RuntimeError("another thread uses this sampler: lock it, or give each thread its own")
        return 0

    cdef int prepare(self, Py_ssize_t vocabulary) except -1:
        """Make the filters for a vocabulary size."""
        cdef textgen_sampler *core = core_of(self)
        cdef textgen_filters *block
        self.enter()
        if not has_filters(&core.parameters, self._logit_bias):
            return 0
        if core.filters == NULL or vocabulary != self.vocabulary:
            check_biased_tokens(self._logit_bias, vocabulary)
            block = <textgen_filters *>malloc(textgen_filters_size(vocabulary))
            if block == NULL:
                raise MemoryError(f"not enough memory for the filters of {vocabulary} tokens")
            textgen_filters_init(block, &core.parameters, vocabulary)
            free(core.filters)
            core.filters, self.vocabulary = block, vocabulary
            set_biases(self)
        return 0

    cdef int reserve(self, Py_ssize_t size) except -1:
        """Call ``prepare``, and enlarge ``scratch`` to rows of ``size`` logits."""
        self.prepare(size)
        if size > self.capacity:
            scratch = <double *>realloc(self.scratch, textgen_sampler_scratch(size) * sizeof(double))
            if scratch == NULL:
                raise MemoryError("not enough memory for the logits")
            self.scratch, self.capacity = scratch, size
        return 0

    cdef int64_t draw_row(self, const void *row, Py_ssize_t size, bint is_float32) noexcept nogil:
        as_doubles(row, size, is_float32, self.scratch)
        cdef int64_t token = textgen_sampler_draw(core_of(self), self.scratch, size)
        if token >= 0:
            textgen_sampler_accept(core_of(self), token)
        return token

    def draw(self, logits):
        """Draw one token.

        Args:
            logits: Array of shape [n], float32 or float64, or array-like. A logit of -inf makes a token
                impossible. The array is not changed.

        Returns:
            The token, an int in [0, n).

        Raises:
            SamplingError: If a logit is NaN or +inf, if no token can be drawn, if the shape is not [n] with
                n >= 1, if a biased token is not in [0, n), or if the position is 2**63 - 1, where the random
                stream ends.
        """
        cdef Py_buffer buffer
        cdef bint is_float32 = open_real_buffer(logits, 1, "logits", &buffer)
        cdef Py_ssize_t size = value_count(&buffer)
        cdef int64_t token
        try:
            self.reserve(size)
            token = self.draw_row(buffer.buf, size, is_float32)
        finally:
            PyBuffer_Release(&buffer)
        return checked(token)

    def probabilities(self, logits):
        """Compute the distribution that the next draw uses: with all filters and the temperature.

        Draws nothing and changes no state. Without filters this is ``softmax(logits, temperature)``.

        Args:
            logits: As for ``draw``.

        Returns:
            A new float64 array of shape [n] with sum 1.

        Raises:
            SamplingError: As for ``draw``, except at the end of the random stream.
        """
        import numpy as np

        cdef RealBuffer row = RealBuffer(logits, 1, "logits")
        cdef double total = 1.0
        cdef bytearray memory = bytearray(row.size * sizeof(double))
        cdef double *weights = <double *>PyByteArray_AsString(memory)
        self.reserve(row.size)
        as_doubles(row.buffer.buf, row.size, row.is_float32, self.scratch)
        checked(textgen_sampler_reweight(core_of(self), self.scratch, row.size, weights, &total))
        return np.frombuffer(memory, np.float64) / total

    def draw_batch(self, logits):
        """Draw one token from each row of logits, without the GIL.

        The tokens are those of one call of ``draw`` for each row, in order.

        Args:
            logits: Array of shape [rows, n], float32 or float64.

        Returns:
            A new int64 array of shape [rows].

        Raises:
            SamplingError: As for ``draw``. ``position`` then counts all rows up to the failed one, inclusive.
        """
        import numpy as np

        cdef RealBuffer values = RealBuffer(logits, 2, "logits")
        cdef Py_ssize_t rows = values.buffer.shape[0]
        cdef Py_ssize_t size = values.buffer.shape[1]
        cdef Py_ssize_t stride = size * values.buffer.itemsize
        cdef const char *first = <const char *>values.buffer.buf
        cdef bytearray memory = bytearray(rows * sizeof(int64_t))
        cdef int64_t *tokens = <int64_t *>PyByteArray_AsString(memory)
        cdef int64_t error_code = 0
        cdef Py_ssize_t i
        self.reserve(size)
        self.busy = True
        with nogil:
            for i in range(rows):
                tokens[i] = self.draw_row(first + i * stride, size, values.is_float32)
                if tokens[i] < 0:
                    error_code = tokens[i]
                    break
        self.busy = False
        checked(error_code)
        return np.frombuffer(memory, np.int64)

    @property
    def sampling(self):
        """The ``Sampling``, of parameters that concern a single draw. A new one applies from the next draw.

        The recent tokens are kept while a penalty is on. The limit of mirostat is kept unless
        ``mirostat_tau`` changes; then it starts again at twice the new value.

        Raises:
            SamplingError: If a parameter needs a model, such as ``stop``.
            TypeError: If the new value is not a ``Sampling``.
        """
        return self._sampling

    @sampling.setter
    def sampling(self, value):
        check_type(value)
        check_single_draw(value)
        self.configure(value, self._logit_bias)

    @property
    def logit_bias(self):
        """The biases, as pairs of a token and a number, sorted by token. They can be set as a mapping.

        Raises:
            SamplingError: If a biased token is not in the vocabulary of the latest draw, or if all its tokens
                are forbidden.
        """
        return self._logit_bias

    @logit_bias.setter
    def logit_bias(self, value):
        self.configure(self._sampling, checked_biases(value))

    def configure(self, sampling, tuple logit_bias):
        """Change the parameters. Of ``sampling``, those that need a model have no effect.

        ``logit_bias`` has the form of the attribute. After an error, the parameters are as they were.
        """
        cdef textgen_sampler *core = core_of(self)
        cdef textgen_parameters parameters
        self.enter()
        if core.filters != NULL:
            check_biased_tokens(logit_bias, self.vocabulary)
        read_parameters(sampling, &parameters)
        self._sampling, self._logit_bias = sampling, logit_bias
        if not has_filters(&parameters, logit_bias):
            free(core.filters)
            core.filters = NULL
        elif core.filters != NULL:
            textgen_filters_change(core.filters, &core.parameters, &parameters)
            set_biases(self)
        core.parameters = parameters

    @property
    def position(self):
        """The number of random numbers drawn so far, from 0 to 2**63 - 1.

        A lower position repeats earlier random numbers.

        Raises:
            SamplingError: If the new value is out of range.
            TypeError: If the new value is not an integer.
        """
        return core_of(self).rng.position

    @position.setter
    def position(self, value):
        value = PyNumber_Index(value)
        if not 0 <= value <= MAX_POSITION:
            raise SamplingError(Name("position"), f" must be from 0 to 2**63 - 1, not {quote(value)}")
        self.enter()
        textgen_rng_seek(&core_of(self).rng, value)

    def __repr__(self):
        parts = [f"seed={self.seed}", f"substream={self.substream}"]
        if self._logit_bias:
            parts.append(f"logit_bias={self._logit_bias}")
        shown = repr(self._sampling).removeprefix("Sampling(").removesuffix(")")
        return f"Sampler({', '.join([shown, *parts])})"


cdef int split_seed(object seed, object substream, void *number) except -1:
    """Check a seed and a substream, and write the halves of the seed."""
    cdef textgen_uint128 *halves = <textgen_uint128 *>number
    seed, substream = int(PyNumber_Index(seed)), PyNumber_Index(substream)
    if not 0 <= seed <= MAX_SEED:
        raise SamplingError(Name("seed"), f" must be from 0 to 2**128 - 1, not {quote(seed)}")
    if not 0 <= substream <= MAX_SUBSTREAM:
        raise SamplingError(Name("substream"), f" must be from 0 to 2**32 - 1, not {quote(substream)}")
    halves.high = <uint64_t>(seed >> 64)
    halves.low = <uint64_t>(seed & 0xFFFFFFFFFFFFFFFF)
    return 0


cdef textgen_sampler *core_of(Sampler sampler) noexcept nogil:
    return <textgen_sampler *>sampler.core


def check_single_draw(sampling):
    """Raise SamplingError for a parameter that a single draw does not have."""
    for name, parameter in PARAMETERS.items():
        if (not parameter.in_core or name == "min_length") and getattr(sampling, name) != parameter.default:
            raise SamplingError(Name(name), " needs a model: pass it to a function of Model, not a Sampler")


cdef tuple checked_biases(object logit_bias):
    """Return the biases that are not 0 as pairs of token and number, sorted by token."""
    cdef dict biases = {}
    cdef double number
    parameter = PARAMETERS["logit_bias"]
    for token, value in dict(logit_bias).items():
        token = int(PyNumber_Index(token))
        if not 0 <= token <= MAX_TOKEN:
            raise SamplingError(
                "a token of ", Name("logit_bias"), f" must be from 0 to {MAX_TOKEN}, not {quote(token)}"
            )
        number = as_double(value)
        if not (parameter.accepts(number) or number == -INFINITY):
            place = f" of token {token} must be {parameter.requirement}, or -inf to forbid it, not "
            raise SamplingError("the ", Name("logit_bias"), place, quote(value))
        if number:
            biases[token] = number
    return tuple(sorted(biases.items()))


cdef int check_biased_tokens(tuple logit_bias, Py_ssize_t vocabulary) except -1:
    """Raise SamplingError if a biased token is not in the vocabulary, or if none is left."""
    if logit_bias and logit_bias[-1][0] >= vocabulary:
        raise SamplingError(
            Name("logit_bias"), f" has token {logit_bias[-1][0]}, but the vocabulary has {vocabulary} tokens"
        )
    if len(logit_bias) == vocabulary and all([bias == -INFINITY for _, bias in logit_bias]):
        raise SamplingError(Name("logit_bias"), f" forbids all {vocabulary} tokens: allow at least one")
    return 0


cdef bint has_filters(const textgen_parameters *parameters, tuple logit_bias) noexcept:
    return len(logit_bias) > 0 or textgen_filters_active(parameters)


cdef int set_biases(Sampler sampler) except -1:
    """Write the biases to filters that have none."""
    cdef double *biases = textgen_filters_bias(core_of(sampler).filters)
    for token, bias in sampler._logit_bias:
        biases[<size_t>token] = bias
    return 0
