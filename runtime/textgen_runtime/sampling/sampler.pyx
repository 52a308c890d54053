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
from libc.math cimport INFINITY, isfinite
from libc.stdint cimport INT64_MAX, UINT32_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from .c_sampler cimport (
    TEXTGEN_MAX_PENALTY_WINDOW,
    textgen_filters,
    textgen_filters_active,
    textgen_filters_bias,
    textgen_filters_change,
    textgen_filters_get_recent,
    textgen_filters_init,
    textgen_filters_set_recent,
    textgen_filters_size,
    textgen_parameters,
    textgen_penalties_active,
    textgen_rng_seek,
    textgen_sampler,
    textgen_sampler_accept,
    textgen_sampler_draw,
    textgen_sampler_draw_float,
    textgen_sampler_init,
    textgen_sampler_reweight,
    textgen_sampler_reweight_float,
    textgen_sampler_scratch,
    textgen_uint128,
)
from .definition cimport as_double, read_parameters

from textgen_runtime.errors import Name, SamplingError, quote

from .definition import PARAMETERS
from .parameters import Sampling, check_type

__all__ = ["Sampler", "draw_with", "entropy", "restore_sampler", "reweight", "softmax"]

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
    as the most likely. The penalties count the tokens that the sampler drew.

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
        self.seed, self.substream, self.waiting = int(seed), int(substream), None
        self.core = malloc(sizeof(textgen_sampler))
        if self.core == NULL:
            raise MemoryError("not enough memory for a sampler")
        self._sampling, self._logit_bias = sampling, checked_biases(logit_bias)
        read_parameters(sampling, &parameters)
        textgen_sampler_init(core_of(self), &parameters, seed_halves, <uint32_t>self.substream, exp64)

    def __dealloc__(self):
        free(self.scratch)
        free(self.block)
        free(self.core)

    cdef int enter(self) except -1:
        """Check that no other thread draws with this sampler. Otherwise its memory could change under it."""
        if self.busy:
            raise RuntimeError("another thread uses this sampler: lock it, or give each thread its own")
        return 0

    cdef int prepare(self, Py_ssize_t vocabulary) except -1:
        """Make the filters for a vocabulary size, with their state. Check that there are numbers to draw."""
        cdef textgen_sampler *core = core_of(self)
        cdef textgen_filters *block
        self.enter()
        if not has_filters(&core.parameters, self._logit_bias):
            return 0
        if self.block == NULL or vocabulary != self.vocabulary:
            check_biased_tokens(self._logit_bias, vocabulary)
            state = self.filter_state if self.block != NULL else self.waiting
            check_recent_tokens(state, vocabulary)
            block = <textgen_filters *>malloc(textgen_filters_size(vocabulary))
            if block == NULL:
                raise MemoryError(f"not enough memory for the filters of {vocabulary} tokens")
            textgen_filters_init(block, &core.parameters, vocabulary)
            free(self.block)
            self.block, self.vocabulary, self.waiting = block, vocabulary, None
            set_state(self, state)
            set_biases(self)
        core.filters = <textgen_filters *>self.block
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

    cdef int64_t propose_row(self, const void *row, Py_ssize_t size, bint is_float32) noexcept nogil:
        if is_float32:
            return textgen_sampler_draw_float(core_of(self), <const float *>row, size, self.scratch)
        return textgen_sampler_draw(core_of(self), <const double *>row, size, self.scratch)

    cdef int64_t draw_row(self, const void *row, Py_ssize_t size, bint is_float32) noexcept nogil:
        cdef int64_t token = self.propose_row(row, size, is_float32)
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
                n >= 1, if a biased or a recent token is not in [0, n), or if the position is 2**63 - 1, where
                the random stream ends.
        """
        return draw_one(self, logits, True)

    def propose(self, logits):
        """Draw one token like ``draw``, but do not pass it to the filters.

        Call ``accept`` to keep the token: ``propose`` and ``accept`` together are ``draw``. A token that is
        not accepted has used a random number, and leaves the filters unchanged.

        Args:
            logits: As for ``draw``.

        Returns:
            The token, an int in [0, n).

        Raises:
            SamplingError: As for ``draw``.
        """
        return draw_one(self, logits, False)

    def accept(self, token):
        """Pass the token of the latest ``propose`` to the filters, so that the next draws count it.

        Raises:
            SamplingError: If the token is not in the vocabulary of the latest draw.
        """
        cdef int64_t accepted = checked_token(token)
        self.enter()
        if has_filters(&core_of(self).parameters, self._logit_bias):
            check_tokens((accepted,), self.vocabulary)
        textgen_sampler_accept(core_of(self), accepted)

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
        cdef int64_t code
        self.reserve(row.size)
        if row.is_float32:
            code = textgen_sampler_reweight_float(
                core_of(self), <const float *>row.buffer.buf, row.size, self.scratch, &total
            )
        else:
            code = textgen_sampler_reweight(
                core_of(self), <const double *>row.buffer.buf, row.size, self.scratch, &total
            )
        checked(code)
        cdef bytearray memory = bytearray(row.size * sizeof(double))
        memcpy(PyByteArray_AsString(memory), self.scratch, row.size * sizeof(double))
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

        The recent tokens are kept while a penalty is on. ``mirostat_mu`` is kept unless ``mirostat_tau``
        changes; then it starts again at twice the new value.

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
        if self.block != NULL:
            check_biased_tokens(logit_bias, self.vocabulary)
        read_parameters(sampling, &parameters)
        self._sampling, self._logit_bias = sampling, logit_bias
        if not has_filters(&parameters, logit_bias):
            free(self.block)
            self.block, core.filters, self.waiting = NULL, NULL, None
        elif self.block != NULL:
            textgen_filters_change(<textgen_filters *>self.block, &core.parameters, &parameters)
            set_biases(self)
        core.parameters = parameters

    @property
    def filter_state(self):
        """The ``FilterState``: what the filters remember. None if neither penalties nor mirostat are on.

        Set it to continue where another sampler was, or to None to forget everything. The parts that the
        filters do not use are ignored.

        Raises:
            SamplingError: If a token of the new state is not from 0 to 2**32 - 1, or not in the vocabulary of
                the latest draw; or if ``mirostat_mu`` is not finite.
            TypeError: If the new value is neither a ``FilterState`` nor None.
        """
        cdef const textgen_parameters *parameters = &core_of(self).parameters
        cdef bint penalizes = textgen_penalties_active(parameters)
        cdef uint32_t recent[TEXTGEN_MAX_PENALTY_WINDOW]
        cdef size_t count = 0, i
        cdef double mu = 2.0 * parameters.mirostat_tau
        self.enter()
        if not penalizes and not parameters.mirostat_tau:
            return None
        # Most programs need no state of filters, and creating a NamedTuple takes a fifth of a millisecond.
        from .filter_state import FilterState

        if self.block != NULL:
            count = textgen_filters_get_recent(<textgen_filters *>self.block, recent)
            mu = (<textgen_filters *>self.block).mirostat_mu
            tokens = tuple([recent[i] for i in range(count)])
        else:
            tokens, mu = ((), mu) if self.waiting is None else self.waiting
        window = tokens[-<Py_ssize_t>parameters.penalty_window:] if penalizes else ()
        return FilterState(window, mu if parameters.mirostat_tau else 0.0)

    @filter_state.setter
    def filter_state(self, value):
        self.enter()
        if value is not None:
            from .filter_state import FilterState

            if not isinstance(value, FilterState):
                raise TypeError(f"filter_state must be a FilterState or None, not {type(value).__name__}")
            mu = as_double(value.mirostat_mu)
            if not isfinite(mu):
                raise SamplingError(f"mirostat_mu must be a finite number, not {quote(value.mirostat_mu)}")
            value = FilterState(tuple([checked_token(token) for token in value.recent]), mu)
        if self.block == NULL:
            self.waiting = value
        else:
            check_tokens(() if value is None else value.recent, self.vocabulary)
            set_state(self, value)

    @property
    def position(self):
        """The number of random numbers drawn so far, from 0 to 2**63 - 1.

        The parameters, seed, substream, position and ``filter_state`` are the complete state of a sampler. A
        lower position repeats earlier random numbers.

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

    def __reduce__(self):
        start = (self.seed, self.substream, self.position)
        return restore_sampler, (*start, self._sampling, self._logit_bias, self.filter_state)

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


cdef object draw_one(Sampler sampler, object logits, bint accept):
    """Draw a token from a row of logits. With ``accept``, pass it to the filters."""
    cdef Py_buffer buffer
    cdef bint is_float32 = open_real_buffer(logits, 1, "logits", &buffer)
    cdef Py_ssize_t size = value_count(&buffer)
    cdef int64_t token
    try:
        sampler.reserve(size)
        token = sampler.propose_row(buffer.buf, size, is_float32)
    finally:
        PyBuffer_Release(&buffer)
    if token >= 0 and accept:
        textgen_sampler_accept(core_of(sampler), token)
    return checked(token)


def check_single_draw(sampling):
    """Raise SamplingError for a parameter that a single draw does not have."""
    for name, parameter in PARAMETERS.items():
        if (not parameter.in_core or name == "min_length") and getattr(sampling, name) != parameter.default:
            raise SamplingError(Name(name), " needs a model: pass it to a function of Model, not a Sampler")


cdef int64_t checked_token(object token) except -1:
    """Return a token that the filters can store."""
    token = PyNumber_Index(token)
    if not 0 <= token <= UINT32_MAX:
        raise SamplingError(f"a token must be from 0 to 2**32 - 1, not {quote(token)}")
    return token


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


cdef int check_tokens(tuple tokens, Py_ssize_t vocabulary) except -1:
    """Raise SamplingError if a token is not in the vocabulary, whose size is 0 before the first draw."""
    for token in tokens:
        if token >= vocabulary:
            raise SamplingError(f"token {token} is not in the vocabulary of the latest draw")
    return 0


cdef int check_recent_tokens(object state, Py_ssize_t vocabulary) except -1:
    if state is not None and any([token >= vocabulary for token in state.recent]):
        raise SamplingError(
            f"a recent token of the filter state is not in the vocabulary of {vocabulary} tokens: set "
            "filter_state to None to forget the recent tokens"
        )
    return 0


cdef int set_state(Sampler sampler, object state) except -1:
    """Write the state of the filters. None is that of new ones."""
    cdef const textgen_parameters *parameters = &core_of(sampler).parameters
    cdef textgen_filters *block = <textgen_filters *>sampler.block
    cdef uint32_t recent[TEXTGEN_MAX_PENALTY_WINDOW]
    cdef size_t count = 0
    recent[0] = 0  # gcc does not see that only `count` tokens are read
    if state is not None:
        for token in state.recent[-TEXTGEN_MAX_PENALTY_WINDOW:]:
            recent[count] = token
            count += 1
    textgen_filters_set_recent(block, parameters, recent, count)
    block.mirostat_mu = 2.0 * parameters.mirostat_tau if state is None else state.mirostat_mu
    return 0


cdef int set_biases(Sampler sampler) except -1:
    """Write the biases to filters that have none."""
    cdef double *biases = textgen_filters_bias(<textgen_filters *>sampler.block)
    for token, bias in sampler._logit_bias:
        biases[<size_t>token] = bias
    return 0


def restore_sampler(seed, substream, position, sampling, logit_bias=(), filter_state=None):
    """Return a sampler at a position of its random stream. Unpickling calls this function."""
    sampler = Sampler(seed=seed, substream=substream)
    sampler.configure(sampling, logit_bias)
    sampler.position = position
    sampler.filter_state = filter_state
    return sampler
