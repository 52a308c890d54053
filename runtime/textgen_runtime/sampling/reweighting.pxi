"""Apply a temperature to a distribution, and draw a token for a given uniform number.

``reweight`` and ``entropy`` accept probabilities. ``softmax`` and all functions that draw accept logits.

The arithmetic is in ``runtime/core/sampler.c`` of the C core. The ``cdef`` functions do not need the GIL;
the .pxd declares them for other Cython code. The ``def`` functions check their arguments, and import numpy
if they return arrays.
"""

from cpython.bytearray cimport PyByteArray_AsString
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memcpy

from .c_sampler cimport (
    textgen_argmax,
    textgen_code_text,
    textgen_draw_with,
    textgen_entropy,
    textgen_exp64,
    textgen_find_exp64,
    textgen_reweight,
    textgen_widen,
)

from textgen_runtime.errors import Name, SamplingError, quote

cdef textgen_exp64 exp64 = textgen_find_exp64(NULL)


cdef int64_t argmax_row(const double *logits, Py_ssize_t size) noexcept nogil:
    return textgen_argmax(logits, size, exp64)


cdef int64_t reweight_row(
    const double *logits, Py_ssize_t size, double temperature, double *exp_logits, double *sum
) noexcept nogil:
    return textgen_reweight(logits, size, temperature, exp_logits, sum, exp64)


cdef int64_t draw_row_with(
    const double *logits, Py_ssize_t size, double temperature, double uniform, double *exp_logits
) noexcept nogil:
    return textgen_draw_with(logits, size, temperature, uniform, exp_logits, exp64)


cdef double entropy_row(
    const double *logits, Py_ssize_t size, double temperature, double *exp_logits
) noexcept nogil:
    return textgen_entropy(logits, size, temperature, exp_logits, exp64)


cdef const double *as_doubles(
    const void *row, Py_ssize_t size, bint is_float32, double *values
) noexcept nogil:
    """Copy a row of float32 or float64 values to ``values``, and return that."""
    if is_float32:
        return textgen_widen(<const float *>row, size, values, exp64)
    return <const double *>memcpy(values, row, size * sizeof(double))


cdef int64_t checked(int64_t result) except? -1:
    if result < 0:
        raise SamplingError(textgen_code_text(<int32_t>result).decode())
    return result


cdef double checked_temperature(object temperature) except -1.0:
    cdef double value = as_double(temperature)
    parameter = PARAMETERS["temperature"]
    if not parameter.accepts(value):
        what = f" must be {parameter.requirement}, not {quote(temperature)}"
        raise SamplingError(Name("temperature"), what)
    return value


cdef object softmax_row(object logits, double temperature):
    import numpy as np

    cdef RealBuffer row = RealBuffer(logits, 1, "logits")
    cdef double total = 0.0
    cdef bytearray memory = bytearray(row.size * sizeof(double)), copy = bytearray(row.size * sizeof(double))
    cdef double *values = <double *>PyByteArray_AsString(copy)
    as_doubles(row.buffer.buf, row.size, row.is_float32, values)
    checked(reweight_row(values, row.size, temperature, <double *>PyByteArray_AsString(memory), &total))
    return np.frombuffer(memory, np.float64) / total


cdef object as_probabilities(object values):
    """Convert values to a float32 or float64 array of shape [n] and check it.

    Raises:
        SamplingError: If a value is negative, NaN or infinite, if all values are 0, or if the shape is not
            [n] with n >= 1.
    """
    import numpy as np

    array = np.asarray(values)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if array.ndim != 1 or array.size == 0:
        raise SamplingError(
            f"probabilities must be a non-empty array of 1 dimension, not of shape {array.shape}"
        )
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
        probabilities: Array of shape [n] of float32 or float64, or array-like. Each value is finite and 0 or
            more, and at least one is not 0. The sum need not be 1. The array is not changed.
        temperature: A finite number, 0 or more.

    Returns:
        A new float64 array of shape [n] with sum 1.

    Raises:
        SamplingError: If ``probabilities`` or ``temperature`` is invalid.

    Source: ``reweight_distribution`` in F. Chollet, Deep Learning with Python, section 8.1. Unlike
    there, the largest log-probability is subtracted first, so that no temperature causes an overflow.
    """
    import numpy as np

    cdef double temperature_value = checked_temperature(temperature)
    array = as_probabilities(probabilities)
    with np.errstate(divide="ignore"):
        logits = np.log(array, dtype=np.float64)
    return softmax_row(logits, temperature_value)


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
    return softmax_row(logits, checked_temperature(temperature))


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

    array = as_probabilities(probabilities).astype(np.float64)
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
    cdef double temperature_value = checked_temperature(temperature)
    cdef double uniform_value = uniform
    if not 0.0 <= uniform_value < 1.0:
        raise SamplingError(f"uniform must be in [0, 1), not {quote(uniform)}")
    cdef RealBuffer row = RealBuffer(logits, 1, "logits")
    cdef bytearray memory = bytearray(2 * row.size * sizeof(double))
    cdef double *values = <double *>PyByteArray_AsString(memory)
    as_doubles(row.buffer.buf, row.size, row.is_float32, values)
    return checked(draw_row_with(values, row.size, temperature_value, uniform_value, values + row.size))
