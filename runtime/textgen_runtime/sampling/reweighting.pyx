# cython: language_level=3, freethreading_compatible=True
"""Reweighting to a temperature, and draws whose uniform number is given.

One convention: ``reweight`` takes probabilities; ``softmax`` and all that draws take logits, and ``softmax``
turns these into those.

The arithmetic is the core's (runtime/core/sampler.h). Above it are functions without the GIL (declared in
the .pxd for other Cython code), and functions that check what Python hands them. numpy is imported by what
returns arrays.
"""

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.math cimport INFINITY, isfinite, log
from libc.stdint cimport int64_t

from .buffers cimport Reals
from .c_sampler cimport (
    textgen_argmax,
    textgen_argmax_float,
    textgen_draw_with,
    textgen_draw_with_float,
    textgen_entropy_float,
    textgen_exp64,
    textgen_find_exp64,
    textgen_reweight,
    textgen_reweight_float,
    textgen_sampler_error_text,
)

from textgen_runtime.errors import SamplingError, quote

cdef textgen_exp64 exp64 = textgen_find_exp64()


cdef int64_t argmax_row(const real *logits, Py_ssize_t size) noexcept nogil:
    if real is float:
        return textgen_argmax_float(logits, size)
    else:
        return textgen_argmax(logits, size)


cdef int64_t reweight_row(
    const real *logits, Py_ssize_t size, double temperature, double *exp_logits, double *sum
) noexcept nogil:
    if real is float:
        return textgen_reweight_float(logits, size, temperature, exp_logits, sum, exp64)
    else:
        return textgen_reweight(logits, size, temperature, exp_logits, sum, exp64)


cdef int64_t draw_row_with(
    const real *logits, Py_ssize_t size, double temperature, double uniform, double *exp_logits
) noexcept nogil:
    if real is float:
        return textgen_draw_with_float(logits, size, temperature, uniform, exp_logits, exp64)
    else:
        return textgen_draw_with(logits, size, temperature, uniform, exp_logits, exp64)


cdef double entropy_row(
    const float *logits, Py_ssize_t size, double temperature, double *exp_logits
) noexcept nogil:
    return textgen_entropy_float(logits, size, temperature, exp_logits, exp64, log)


cdef int64_t checked(int64_t outcome) except? -1:
    if outcome < 0:
        raise SamplingError(textgen_sampler_error_text(outcome).decode())
    return outcome


cdef double checked_temperature(object temperature) except -1.0:
    cdef double value
    try:
        value = temperature
    except OverflowError:
        value = INFINITY
    if not (isfinite(value) and value >= 0.0):
        raise SamplingError(f"temperature must be a finite number, 0 or more, not {quote(temperature)}")
    return value


cdef object distribution(object logits, double temperature):
    """Softmax of a row of logits at a temperature."""
    import numpy as np

    cdef Reals row = Reals(logits, 1, "logits")
    cdef double total = 0.0
    cdef bytearray room = bytearray(row.size * sizeof(double))
    cdef double *exp_logits = <double *>PyByteArray_AS_STRING(room)
    if row.single:
        checked(reweight_row(<const float *>row.buffer.buf, row.size, temperature, exp_logits, &total))
    else:
        checked(reweight_row(<const double *>row.buffer.buf, row.size, temperature, exp_logits, &total))
    return np.frombuffer(room, np.float64) / total


def reweight(probabilities, temperature=0.5):
    """Reweight a distribution to a temperature: p ** (1 / temperature), normalised.

    Zeros stay zero. At temperature 1 the distribution is itself, below it the likely become likelier,
    above it all become alike, and at 0 the most likely one (the first of equals) has all.

    Args:
        probabilities: Shape [n]: 0 or more each, finite, not all 0. They need not sum to 1.
        temperature: A finite number, 0 or more.

    Returns:
        A new float64 array of shape [n] that sums to 1.

    Raises:
        SamplingError: If the probabilities or the temperature are not as stated.

    Source: F. Chollet, Deep Learning with Python, section 8.1, ``reweight_distribution``.
    """
    import numpy as np

    from .distributions import as_probabilities

    cdef double checked_value = checked_temperature(temperature)
    array = as_probabilities(probabilities)
    with np.errstate(divide="ignore"):
        logits = np.log(array, dtype=np.float64)
    return distribution(logits, checked_value)


def softmax(logits, temperature=1.0):
    """The distribution that a ``Sampler`` of this temperature draws from, given the same logits.

    Args:
        logits: Shape [n]; -inf makes a token impossible.
        temperature: A finite number, 0 or more; 0 gives the most likely token probability 1.

    Returns:
        A new float64 array of shape [n] that sums to 1.

    Raises:
        SamplingError: If the logits hold NaN or +inf, or are all -inf, or the temperature is wrong.
    """
    return distribution(logits, checked_temperature(temperature))


def draw_with(logits, temperature, uniform):
    """The token at one point of the cumulative distribution: a draw whose uniform number is given.

    Args:
        logits: Shape [n], as for ``softmax``.
        temperature: A finite number, 0 or more.
        uniform: A number in [0, 1).

    Returns:
        The lowest token whose cumulative probability exceeds ``uniform``.

    Raises:
        SamplingError: If an argument is not as stated.
    """
    cdef double checked_value = checked_temperature(temperature)
    cdef double point = uniform
    if not 0.0 <= point < 1.0:
        raise SamplingError(f"uniform must lie in [0, 1), not {quote(uniform)}")
    cdef Reals row = Reals(logits, 1, "logits")
    cdef bytearray room = bytearray(row.size * sizeof(double))
    cdef double *exp_logits = <double *>PyByteArray_AS_STRING(room)
    if row.single:
        return checked(
            draw_row_with(<const float *>row.buffer.buf, row.size, checked_value, point, exp_logits)
        )
    return checked(draw_row_with(<const double *>row.buffer.buf, row.size, checked_value, point, exp_logits))
