# cython: language_level=3
# Not freethreading_compatible: the GIL protects the check that no other thread uses a sampler.
"""Reweight a distribution to a temperature, and draw tokens from logits.

``reweight``, ``softmax``, ``entropy`` and ``draw_with`` have no state. A ``Sampler`` owns random numbers, and
the state of its filters. The C core does the arithmetic, in float64; the native engine draws with the same
functions.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBuffer_Release,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.bytearray cimport PyByteArray_AsString
from cpython.exc cimport PyErr_Clear, PyErr_ExceptionMatches
from cpython.number cimport PyNumber_Index
from libc.math cimport INFINITY
from libc.stdint cimport INT64_MAX, int64_t, uintptr_t
from libc.string cimport memcpy

from ._core cimport (
    as_double,
    check,
    memory_of,
    new_memory,
    textgen_code_text,
    textgen_draw_with,
    textgen_error,
    textgen_sampler_draw,
    textgen_sampler_init,
    textgen_sampler_probabilities,
    textgen_sampler_size,
    textgen_sampling,
    textgen_softmax,
    textgen_stream,
    textgen_stream_get_info,
    textgen_stream_seek,
    textgen_stream_set_sampling,
    write_numbers,
    write_seed,
)

from ._core import PARAMETERS
from .errors import Name, SamplingError, quote
from .sampling import Sampling, check_type

__all__ = ["Sampler", "draw_with", "entropy", "reweight", "softmax"]

MAX_TOKEN = 2**31 - 1
DEFAULT_TEMPERATURE = PARAMETERS["temperature"].default


cdef extern from "Python.h":
    # Returns -1 instead of raising. A `try` takes 20 ns with the limited C API, which is 7% of a draw.
    int get_buffer "PyObject_GetBuffer"(object values, Py_buffer *buffer, int flags) noexcept


cdef int64_t softmax_row(
    const double *logits, Py_ssize_t size, double temperature, double *probabilities
) noexcept nogil:
    return textgen_softmax(logits, size, temperature, probabilities)


cdef int64_t draw_row_with(
    const double *logits, Py_ssize_t size, double temperature, double uniform, double *exp_logits
) noexcept nogil:
    return textgen_draw_with(logits, size, temperature, uniform, exp_logits)


cdef int64_t checked(int64_t result) except? -1:
    if result < 0:
        raise SamplingError(textgen_code_text(<int>result).decode())
    return result


cdef double checked_temperature(object temperature) except -1.0:
    cdef double value = as_double(temperature)
    parameter = PARAMETERS["temperature"]
    if not parameter.accepts(value):
        what = f" must be {parameter.requirement}, not {quote(temperature)}"
        raise SamplingError(Name("temperature"), what)
    return value


cdef bint is_native(const Py_buffer *buffer) noexcept:
    """Return whether the values are aligned, of type float or double, and in native byte order."""
    return (
        buffer.format != NULL
        and (buffer.format[0] == c"f" or buffer.format[0] == c"d")
        and buffer.format[1] == 0
        and <uintptr_t>buffer.buf % <uintptr_t>buffer.itemsize == 0
    )


cdef Py_ssize_t open_rows(object values, int ndim, Py_buffer *buffer) except -1:
    """Open contiguous logits of float32 or float64, and return how many a row has.

    The caller releases the buffer. numpy converts what is neither, and is imported only for that.

    Raises:
        SamplingError: If the array is empty or has another number of dimensions.
    """
    cdef bint native = False
    if PyObject_CheckBuffer(values):
        if get_buffer(values, buffer, PyBUF_ND | PyBUF_FORMAT) == 0:
            native = is_native(buffer)
            if not native:
                PyBuffer_Release(buffer)
        elif PyErr_ExceptionMatches(BufferError) or PyErr_ExceptionMatches(ValueError):
            # The buffer is not contiguous, or its type has no format code.
            PyErr_Clear()
        else:
            return -1
    if not native:
        import numpy as np

        PyObject_GetBuffer(np.require(values, np.float64, ["C", "ALIGNED"]), buffer, PyBUF_ND | PyBUF_FORMAT)
    if buffer.ndim != ndim or buffer.len == 0:
        shape = tuple([buffer.shape[i] for i in range(buffer.ndim)])
        PyBuffer_Release(buffer)
        raise SamplingError(
            f"the logits must be a non-empty array of {ndim} dimension{'s' * (ndim > 1)}, not of "
            f"shape {shape}"
        )
    return buffer.shape[ndim - 1]


cdef bytearray read_row(object logits):
    """Return a row of logits as float64."""
    cdef Py_buffer buffer
    cdef const float *narrow
    cdef Py_ssize_t size = open_rows(logits, 1, &buffer), i
    cdef bytearray memory = new_memory(size * sizeof(double))
    cdef double *row = <double *>PyByteArray_AsString(memory)
    if buffer.itemsize == sizeof(double):
        memcpy(row, buffer.buf, len(memory))
    else:
        narrow = <const float *>buffer.buf
        for i in range(size):
            row[i] = narrow[i]
    PyBuffer_Release(&buffer)
    return memory


cdef object as_probabilities(object values):
    """Convert values to a float64 array of shape [n] and check it.

    Raises:
        SamplingError: If a value is negative, NaN or infinite, if all values are 0, or if the shape is not
            [n] with n >= 1.
    """
    import numpy as np

    array = np.asarray(values)
    if array.ndim != 1 or array.size == 0:
        raise SamplingError(
            f"probabilities must be a non-empty array of 1 dimension, not of shape {array.shape}"
        )
    array = array.astype(np.float64)
    if not np.all(np.isfinite(array)) or np.any(array < 0):
        raise SamplingError(
            "probabilities must be finite and 0 or more; softmax(logits) computes them from logits"
        )
    if not np.any(array > 0):
        raise SamplingError("probabilities must not all be 0")
    return array


def reweight(probabilities, temperature=0.5):
    """Apply a temperature to a distribution.

    The result is ``p ** (1 / temperature)``, divided by its sum. A temperature below 1 makes likely tokens
    more likely. A temperature above 1 makes the distribution more uniform. Temperature 1 changes nothing. At
    temperature 0 the most likely token has probability 1; the lowest index wins a tie. Zeros stay zero.

    Args:
        probabilities: Array of shape [n], or array-like. Each value is finite and 0 or more, and at least one
            is not 0. The sum need not be 1. The array is not changed.
        temperature: A finite number, 0 or more.

    Returns:
        A new float64 array of shape [n] with sum 1.

    Raises:
        SamplingError: If ``probabilities`` or ``temperature`` is invalid.

    Source: ``reweight_distribution`` in F. Chollet, Deep Learning with Python, section 8.1. Unlike there, the
    largest log-probability is subtracted first, so that no temperature causes an overflow.
    """
    import numpy as np

    checked_temperature(temperature)
    with np.errstate(divide="ignore"):
        return softmax(np.log(as_probabilities(probabilities)), temperature)


def softmax(logits, temperature=1.0):
    """Compute the softmax of ``logits / temperature``.

    A ``Sampler`` with this temperature draws from the same distribution.

    Args:
        logits: Array of shape [n], float32 or float64, or array-like. A logit of -inf gives probability 0.
            The array is not changed.
        temperature: A finite number, 0 or more. At 0 the most likely token has probability 1; the lowest
            index wins a tie.

    Returns:
        A new float64 array of shape [n] with sum 1.

    Raises:
        SamplingError: If a logit is NaN or +inf, if all logits are -inf, if the shape is not [n] with n >= 1,
            or if ``temperature`` is invalid.
    """
    import numpy as np

    cdef double value = checked_temperature(temperature)
    cdef bytearray row = read_row(logits), values = new_memory(len(row))
    cdef double *probabilities = <double *>PyByteArray_AsString(values)
    checked(
        softmax_row(
            <const double *>PyByteArray_AsString(row), len(row) // sizeof(double), value, probabilities
        )
    )
    return np.frombuffer(values, np.float64)


def entropy(probabilities):
    """Compute the entropy of a distribution, in bits.

    The entropy is 0 if one token has probability 1, and log2(n) if n tokens are equally likely.
    ``entropy(reweight(probabilities, temperature))`` is the entropy of probabilities at a temperature.
    ``entropy(softmax(logits, temperature))`` is the entropy of logits at a temperature.

    Args:
        probabilities: Array-like of shape [n]. Each value is finite and 0 or more, and at least one is not 0.
            The sum need not be 1.

    Returns:
        A float from 0 to log2(n).

    Raises:
        SamplingError: If ``probabilities`` is invalid.
    """
    import numpy as np

    array = as_probabilities(probabilities)
    # Division by the maximum prevents overflow of the sum.
    with np.errstate(under="ignore"):
        weights = array / array.max()
    # The limit of p log p at 0 is 0.
    weights = weights[weights > 0.0]
    total = weights.sum()
    nats = np.log(total) - np.dot(weights, np.log(weights)) / total
    # Rounding can give a value slightly below 0.
    return max(0.0, float(nats / np.log(2.0)))


def draw_with(logits, temperature, uniform):
    """Return the token at a given point of the cumulative distribution.

    ``Sampler.draw`` does the same with a uniform number from its random stream.

    Args:
        logits: As for ``softmax``.
        temperature: As for ``softmax``.
        uniform: A number in [0, 1).

    Returns:
        The lowest token whose cumulative probability exceeds ``uniform``, as an int.

    Raises:
        SamplingError: As for ``softmax``, or if ``uniform`` is not in [0, 1).
    """
    cdef double value = checked_temperature(temperature), number = uniform
    cdef bytearray row, scratch
    if not 0.0 <= number < 1.0:
        raise SamplingError(f"uniform must be in [0, 1), not {quote(uniform)}")
    row = read_row(logits)
    scratch = new_memory(len(row))
    return checked(
        draw_row_with(
            <const double *>PyByteArray_AsString(row),
            len(row) // sizeof(double),
            value,
            number,
            <double *>PyByteArray_AsString(scratch),
        )
    )


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
    as the most likely. The penalties count the tokens that the sampler drew. Logits of another size begin
    with new filters.

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
        cdef textgen_sampling numbers
        sampling = Sampling(temperature=temperature, **filters)
        check_single_draw(sampling)
        write_seed(&numbers, seed, substream)
        self.seed, self.substream = int(seed), int(substream)
        self._sampling, self._logit_bias = sampling, checked_biases(logit_bias)

    cdef int enter(self) except -1:
        """Check that no other thread draws with this sampler. Otherwise its memory could change under it."""
        if self.busy:
            raise RuntimeError("another thread uses this sampler: lock it, or give each thread its own")
        return 0

    cdef int prepare(self, Py_ssize_t size) except -1:
        cdef bytearray memory
        cdef int64_t drawn
        self.enter()
        if size == self.vocabulary:
            return 0
        drawn = self.position
        memory = new_memory(textgen_sampler_size(size) or MAX_TOKEN * <object>size)
        self.set_sampling(self._sampling, self._logit_bias, memory, size)
        self.memory, self.vocabulary = memory, size
        textgen_stream_seek(<textgen_stream *>self.core, drawn)
        return 0

    cdef int set_sampling(self, object sampling, tuple biases, bytearray memory, Py_ssize_t size) except -1:
        """Set the parameters of the core's sampler, which is created in ``memory`` unless that is None."""
        cdef textgen_sampling numbers
        cdef textgen_error error
        cdef bytearray bias = bytearray(size * sizeof(double) if biases else 0)
        if biases and biases[-1][0] >= size:
            raise SamplingError(
                Name("logit_bias"), f" has token {biases[-1][0]}, but the vocabulary has {size} tokens"
            )
        write_numbers(&numbers, sampling)
        write_seed(&numbers, self.seed, self.substream)
        if biases:
            for token, number in biases:
                (<double *>PyByteArray_AsString(bias))[<size_t>token] = number
            numbers.logit_bias = <const double *>PyByteArray_AsString(bias)
        if memory is None:
            check(textgen_stream_set_sampling(<textgen_stream *>self.core, &numbers, &error), &error)
        else:
            check(
                textgen_sampler_init(
                    memory_of(memory), size, &numbers, <textgen_stream **>&self.core, &error
                ),
                &error,
            )
        return 0

    cdef int64_t draw_row(self, const double *row) noexcept nogil:
        return textgen_sampler_draw(<textgen_stream *>self.core, row, 0)

    cdef int64_t draw_values(self, const void *row, Py_ssize_t itemsize) noexcept nogil:
        return textgen_sampler_draw(<textgen_stream *>self.core, row, itemsize == sizeof(float))

    def draw(self, logits):
        """Draw one token.

        Args:
            logits: Array of shape [n], float32 or float64, or array-like. A logit of -inf makes a token
                impossible. The array is not changed.

        Returns:
            The token, an int in [0, n).

        Raises:
            SamplingError: If a logit is NaN or +inf, if no token can be drawn, if the shape is not [n] with n
                >= 1, if a biased token is not in [0, n), or if the position is 2**63 - 1, where the random
                stream ends.
        """
        cdef Py_buffer buffer
        cdef Py_ssize_t size = open_rows(logits, 1, &buffer)
        cdef int64_t token
        if size != self.vocabulary or self.busy:
            # Without a `try` for the usual case: see get_buffer.
            try:
                self.prepare(size)
            except BaseException:
                PyBuffer_Release(&buffer)
                raise
        token = self.draw_values(buffer.buf, buffer.itemsize)
        PyBuffer_Release(&buffer)
        return token if token >= 0 else checked(token)

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

        cdef bytearray row = read_row(logits)
        cdef double *values = <double *>PyByteArray_AsString(row)
        self.prepare(len(row) // sizeof(double))
        checked(textgen_sampler_probabilities(<textgen_stream *>self.core, values, values))
        return np.frombuffer(row, np.float64)

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

        cdef Py_buffer buffer
        cdef Py_ssize_t size = open_rows(logits, 2, &buffer), i
        cdef bytearray memory = bytearray(buffer.shape[0] * sizeof(int64_t))
        cdef int64_t *tokens = <int64_t *>PyByteArray_AsString(memory)
        cdef const char *row
        cdef int64_t code = 0
        try:
            self.prepare(size)
            self.busy = True
            with nogil:
                for i in range(buffer.shape[0]):
                    row = <const char *>buffer.buf + i * size * buffer.itemsize
                    code = tokens[i] = self.draw_values(row, buffer.itemsize)
                    if code < 0:
                        break
        finally:
            self.busy = False
            PyBuffer_Release(&buffer)
        checked(code)
        return np.frombuffer(memory, np.int64)

    @property
    def sampling(self):
        """The ``Sampling``, of parameters that concern a single draw. A new one applies from the next draw.

        The recent tokens are kept while a penalty is on. The state of mirostat is kept unless
        ``mirostat_tau`` changes.

        Raises:
            SamplingError: If a parameter needs a model, such as ``stop``.
            TypeError: If the new value is not a ``Sampling``.
        """
        return self._sampling

    @sampling.setter
    def sampling(self, value):
        check_type(value)
        check_single_draw(value)
        self.change(value, self._logit_bias)

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
        self.change(self._sampling, checked_biases(value))

    cdef int change(self, object sampling, tuple biases) except -1:
        """Change the parameters. After an error, they are as they were."""
        self.enter()
        if self.vocabulary:
            self.set_sampling(sampling, biases, None, self.vocabulary)
        self._sampling, self._logit_bias = sampling, biases
        return 0

    @property
    def position(self):
        """The number of random numbers drawn so far, from 0 to 2**63 - 1. It can be set.

        Raises:
            SamplingError: If the new value is out of range.
            TypeError: If the new value is not an integer.
        """
        return textgen_stream_get_info(<textgen_stream *>self.core).drawn if self.vocabulary else self.waiting

    @position.setter
    def position(self, value):
        value = PyNumber_Index(value)
        if not 0 <= value <= INT64_MAX:
            raise SamplingError(Name("position"), f" must be from 0 to 2**63 - 1, not {quote(value)}")
        self.enter()
        self.waiting = value
        if self.vocabulary:
            textgen_stream_seek(<textgen_stream *>self.core, value)

    def __repr__(self):
        parts = [f"seed={self.seed}", f"substream={self.substream}"]
        if self._logit_bias:
            parts.append(f"logit_bias={self._logit_bias}")
        shown = repr(self._sampling).removeprefix("Sampling(").removesuffix(")")
        return f"Sampler({', '.join([shown, *parts])})"


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
