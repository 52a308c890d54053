# cython: language_level=3, freethreading_compatible=True
"""Temperature reweighting and multinomial draws.

One convention: ``reweight`` and ``entropy`` take probabilities; ``softmax`` and all that draws take logits,
and ``softmax`` turns these into those.

Three layers: functions without the GIL that take the uniform number as an argument (declared in the
.pxd for other Cython code), a ``Sampler`` that owns the random stream and the scratch space, and thin
functions that check what Python hands them.

A distribution p at temperature T is p ** (1 / T), normalised: the softmax of logits / T when p is the
softmax of the logits. The largest logit is subtracted first and everything is done in float64, so that
no temperature and no logits overflow. The draw inverts the cumulative distribution with one uniform.
"""

cimport cython
cimport numpy as cnp
from cpython.mem cimport PyMem_RawFree, PyMem_RawRealloc
from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.math cimport isfinite, log
from libc.stdint cimport INT64_MAX, int64_t

import os
from operator import index
from weakref import WeakSet

import numpy as np
from numpy.random import PCG64, SeedSequence

from .errors import SamplingError, quote

cdef extern from "kernels/exponential.h" nogil:
    void choose_exponentials()
    void exponentials(double *values, ptrdiff_t count)


cnp.import_array()
choose_exponentials()

# A longer seed would run into what numpy keeps of the substream, and then mean the same as another seed's
# substream. A position is an int64.
SEEDS = 2**128
SUBSTREAMS = 2**32
LATEST = INT64_MAX

cdef double TWO_TO_MINUS_53 = 1.0 / 9007199254740992.0


cdef double next_uniform(bitgen_t *source) noexcept nogil:
    # numpy promises the integers of a seed for good, not the doubles it makes of them.
    return <double>(source.next_uint64(source.state) >> 11) * TWO_TO_MINUS_53


cdef int64_t most_likely(const real *logits, Py_ssize_t size) noexcept nogil:
    cdef Py_ssize_t i
    cdef Py_ssize_t best = 0
    for i in range(size):
        if logits[i] != logits[i]:
            return Fault.NOT_A_NUMBER
        if logits[i] > logits[best]:
            best = i
    if not isfinite(<double>logits[best]):
        return Fault.INFINITE if logits[best] > 0 else Fault.NOTHING_POSSIBLE
    return best


cdef int64_t weigh(
    const real *logits, Py_ssize_t size, double temperature, double *weights, double *total
) noexcept nogil:
    cdef int64_t best = most_likely(logits, size)
    if best < 0:
        return best
    cdef Py_ssize_t i
    cdef double largest = <double>logits[best]
    cdef double accumulated = 0.0
    if temperature == 0.0:
        for i in range(size):
            weights[i] = 0.0
        weights[best] = total[0] = 1.0
        return 0
    for i in range(size):
        # Divided, not multiplied by the inverse: 1 / T overflows for the smallest temperatures.
        weights[i] = (<double>logits[i] - largest) / temperature
    exponentials(weights, size)
    for i in range(size):
        accumulated += weights[i]
    total[0] = accumulated
    return 0


cdef int64_t draw_token(
    const real *logits, Py_ssize_t size, double temperature, double uniform, double *weights
) noexcept nogil:
    if temperature == 0.0:
        return most_likely(logits, size)
    cdef double total = 0.0
    cdef int64_t fault = weigh(logits, size, temperature, weights, &total)
    if fault < 0:
        return fault
    # The walk adds up in the same order as the total did, so its last sum is the total itself, which
    # uniform * total lies below: the walk ends at a token whose own weight took it past the mark,
    # never at one of weight zero. The largest logit's weight is 1, so the total is at least 1.
    cdef double mark = uniform * total
    cdef double accumulated = 0.0
    cdef Py_ssize_t i
    cdef Py_ssize_t token = 0
    for i in range(size):
        accumulated += weights[i]
        if accumulated > mark:
            token = i
            break
    return token


cdef double entropy_of(
    const real *logits, Py_ssize_t size, double temperature, double *weights
) noexcept nogil:
    cdef double total = 0.0
    if weigh(logits, size, temperature, weights, &total) < 0:
        return 0.0
    # The sum of -p log p with p = weight / total.
    cdef double products = 0.0
    cdef Py_ssize_t i
    for i in range(size):
        if weights[i] > 0.0:
            products += weights[i] * log(weights[i])
    return (log(total) - products / total) / log(2.0)


cdef int64_t checked(int64_t outcome) except -1:
    """Turn a Fault into the error that tells the user of it."""
    if outcome == Fault.NOT_A_NUMBER:
        raise SamplingError("the logits hold NaN: the model is damaged or its state was not finite")
    if outcome == Fault.INFINITE:
        raise SamplingError("the logits hold +inf: the model is damaged or its state was not finite")
    if outcome == Fault.NOTHING_POSSIBLE:
        raise SamplingError("every logit is -inf: no token can be drawn")
    if outcome == Fault.USED_UP:
        raise SamplingError("the random stream is used up: its last position is 2**63 - 1")
    return outcome


cdef double checked_temperature(object temperature) except -1.0:
    cdef double value = temperature
    if not (isfinite(value) and value >= 0.0):
        raise SamplingError(f"temperature must be a finite number, 0 or more, not {quote(temperature)}")
    return value


cdef cnp.ndarray as_reals(object values, int dimensions, str what):
    """A float32 or float64 array that C can walk; the caller's own one wherever it will do."""
    cdef cnp.ndarray array
    if not isinstance(values, np.ndarray) or not cnp.PyArray_ISCARRAY_RO(values) or (
        cnp.PyArray_TYPE(values) != cnp.NPY_FLOAT32 and cnp.PyArray_TYPE(values) != cnp.NPY_FLOAT64
    ):
        values = np.require(values, np.float64, ["C", "ALIGNED"])
    array = values
    if cnp.PyArray_NDIM(array) != dimensions or cnp.PyArray_SIZE(array) == 0:
        raise SamplingError(
            f"{what} must be a non-empty array of {dimensions} dimension{'s' * (dimensions > 1)}, "
            f"not of shape {np.shape(values)}"
        )
    return array


cdef object distribution(cnp.ndarray logits, double temperature):
    """Softmax of a row of float64 logits at a temperature."""
    cdef double total = 0.0
    cdef cnp.ndarray weights = np.empty(cnp.PyArray_SIZE(logits), dtype=np.float64)
    checked(
        weigh(
            <const double *>cnp.PyArray_DATA(logits),
            cnp.PyArray_SIZE(logits),
            temperature,
            <double *>cnp.PyArray_DATA(weights),
            &total,
        )
    )
    return weights / total


cdef cnp.ndarray as_probabilities(object values):
    """A row of numbers that a distribution can be made of."""
    array = as_reals(values, 1, "probabilities")
    if not np.all(np.isfinite(array)) or np.any(array < 0):
        raise SamplingError(
            "probabilities must be finite and 0 or more; softmax(logits) makes them from logits"
        )
    if not np.any(array > 0):
        raise SamplingError("probabilities are all 0: no distribution can be made of them")
    return array


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
    cdef double heat = checked_temperature(temperature)
    array = as_probabilities(probabilities)
    with np.errstate(divide="ignore"):
        logits = np.log(array, dtype=np.float64)
    return distribution(logits, heat)


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
    cdef double heat = checked_temperature(temperature)
    return distribution(as_reals(logits, 1, "logits").astype(np.float64), heat)


def entropy(probabilities):
    """Entropy of a distribution, in bits.

    0 bits: the next character is certain; log2(n) bits: all n are equally likely. It takes a distribution, as
    ``reweight`` does: the entropy at a temperature is ``entropy(reweight(probabilities, temperature))``, and
    that of logits is ``entropy(softmax(logits, temperature))``.

    Args:
        probabilities: Shape [n]: 0 or more each, finite, not all 0. They need not sum to 1.

    Returns:
        A float from 0 to log2(n).

    Raises:
        SamplingError: If the probabilities are not as stated.
    """
    array = as_probabilities(probabilities).astype(np.float64)
    # Divided by the largest first, so that no sum overflows.
    with np.errstate(under="ignore"):
        weights = array / array.max()
    # A probability of 0 adds nothing: p log p goes to 0 with p.
    weights = weights[weights > 0.0]
    total = weights.sum()
    nats = np.log(total) - np.dot(weights, np.log(weights)) / total
    # Rounding may leave less than nothing.
    return max(0.0, float(nats / np.log(2.0)))


def draw_at(logits, temperature, uniform):
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
    cdef double heat = checked_temperature(temperature)
    cdef double point = uniform
    if not 0.0 <= point < 1.0:
        raise SamplingError(f"uniform must lie in [0, 1), not {quote(uniform)}")
    row = as_reals(logits, 1, "logits").astype(np.float64)
    cdef cnp.ndarray array = row
    cdef cnp.ndarray weights = np.empty_like(row)
    return checked(
        draw_token(
            <const double *>cnp.PyArray_DATA(array),
            cnp.PyArray_SIZE(array),
            heat,
            point,
            <double *>cnp.PyArray_DATA(weights),
        )
    )


@cython.final
cdef class Sampler:
    """Draws tokens from logits at a temperature, reproducibly.

    The same logits, temperature, seed and stream give the same tokens in every release. A draw takes
    exactly one number from the random stream, at temperature 0 too, so what follows a draw does not
    depend on how it was made. A sampler may be shared between threads: draws take turns.

    Args:
        temperature: A finite number, 0 or more. 0 always takes the most likely token (the lowest id of
            equals).
        seed: A whole number from 0 to 2**128 - 1.
        substream: Which of the seed's independent random streams to draw from, from 0 to 2**32 - 1. Texts
            made side by side take 0, 1, 2 and so on: what text i reads does not depend on how many others
            there are.

    Raises:
        SamplingError: If the temperature, seed or substream is not as stated.
    """

    def __cinit__(self, temperature=0.5, seed=0, substream=0):
        self.heat = checked_temperature(temperature)
        seed, substream = index(seed), index(substream)
        if not 0 <= seed < SEEDS:
            raise SamplingError(f"seed must be from 0 to 2**128 - 1, not {quote(seed)}")
        if not 0 <= substream < SUBSTREAMS:
            raise SamplingError(f"substream must be from 0 to 2**32 - 1, not {quote(substream)}")
        self.seed = seed
        self.substream = substream
        self.open_stream(0)
        samplers.add(self)

    def __dealloc__(self):
        PyMem_RawFree(self.scratch)

    cdef int open_stream(self, object position) except -1:
        """Open the random stream anew, at a position."""
        # Substream 0 is the plain seed, so that a text made alone is the first of several.
        spawn_key = (self.substream,) if self.substream else ()
        bit_generator = PCG64(SeedSequence(self.seed, spawn_key=spawn_key))
        bit_generator.advance(position)
        self.source = <bitgen_t *>PyCapsule_GetPointer(bit_generator.capsule, "BitGenerator")
        self.bit_generator = bit_generator
        self.lock = bit_generator.lock
        self.taken = position
        return 0

    cdef int take_lock_back(self) except -1:
        """In a forked process, take a lock back that another thread of the parent held.

        That thread is not there to release it, and it was just drawing: the state of the generator may be
        half written. Seed, substream and position tell what it was.
        """
        if self.lock.acquire(blocking=False):
            self.lock.release()
        else:
            self.open_stream(self.taken)
        return 0

    cdef int reserve(self, Py_ssize_t size) except -1:
        if size > self.capacity:
            grown = <double *>PyMem_RawRealloc(self.scratch, size * sizeof(double))
            if grown == NULL:
                raise MemoryError(f"no room for {size} weights")
            self.scratch = grown
            self.capacity = size
        return 0

    cdef int64_t draw_row(self, const void *row, Py_ssize_t size, bint single) noexcept nogil:
        if self.taken == INT64_MAX:
            return Fault.USED_UP
        cdef double uniform = next_uniform(self.source)
        self.taken += 1
        if single:
            return draw_token(<const float *>row, size, self.heat, uniform, self.scratch)
        return draw_token(<const double *>row, size, self.heat, uniform, self.scratch)

    def draw(self, logits):
        """Draw one token.

        Args:
            logits: Shape [n], float32 or float64; -inf makes a token impossible. Never changed.

        Returns:
            The token's id, an int in [0, n).

        Raises:
            SamplingError: If the logits hold NaN or +inf, are all -inf, or have another shape, or if the
                position is 2**63 - 1, where the random stream ends.
        """
        cdef cnp.ndarray array = as_reals(logits, 1, "logits")
        cdef bint single = cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT32
        cdef int64_t token = 0
        with self.lock:
            self.reserve(cnp.PyArray_SIZE(array))
            token = self.draw_row(cnp.PyArray_DATA(array), cnp.PyArray_SIZE(array), single)
        return checked(token)

    def draw_rows(self, logits):
        """Draw one token from each row, in order, without the GIL.

        Args:
            logits: Shape [rows, n], as for ``draw``.

        Returns:
            An int64 array of shape [rows]: what ``draw`` of each row in turn would return.

        Raises:
            SamplingError: As ``draw``.
        """
        cdef cnp.ndarray array = as_reals(logits, 2, "logits")
        cdef bint single = cnp.PyArray_TYPE(array) == cnp.NPY_FLOAT32
        cdef Py_ssize_t rows = cnp.PyArray_DIM(array, 0)
        cdef Py_ssize_t size = cnp.PyArray_DIM(array, 1)
        cdef Py_ssize_t stride = size * cnp.PyArray_ITEMSIZE(array)
        cdef const char *start = cnp.PyArray_BYTES(array)
        cdef cnp.ndarray tokens = np.empty(rows, dtype=np.int64)
        cdef int64_t *drawn = <int64_t *>cnp.PyArray_DATA(tokens)
        cdef int64_t fault = 0
        cdef Py_ssize_t i
        with self.lock:
            self.reserve(size)
            with nogil:
                for i in range(rows):
                    drawn[i] = self.draw_row(start + i * stride, size, single)
                    if drawn[i] < 0:
                        fault = drawn[i]
                        break
        checked(fault)
        return tokens

    @property
    def temperature(self):
        """The temperature; a new one takes effect with the next draw."""
        return self.heat

    @temperature.setter
    def temperature(self, value):
        self.heat = checked_temperature(value)

    @property
    def position(self):
        """How many numbers of the random stream have been taken: one a draw.

        Temperature, seed, substream and position are all there is to a sampler. A new position takes
        effect with the next draw; one before the present takes the stream back.

        Raises:
            SamplingError: When set to anything but a whole number from 0 to 2**63 - 1.
        """
        return self.taken

    @position.setter
    def position(self, value):
        place = index(value)
        if not 0 <= place <= LATEST:
            raise SamplingError(f"a position must be from 0 to 2**63 - 1, not {quote(value)}")
        with self.lock:
            self.bit_generator.advance(place - self.taken)
            self.taken = place

    def __reduce__(self):
        return sampler_at, (self.heat, self.seed, self.substream, self.position)

    def __repr__(self):
        return f"Sampler(temperature={self.heat}, seed={self.seed}, substream={self.substream})"


def sampler_at(temperature, seed, substream, position):
    """A sampler that goes on from a position of its random stream."""
    sampler = Sampler(temperature, seed, substream)
    sampler.position = position
    return sampler


# All samplers there are, for a forked process to look after. It does so at once, while it has one thread.
samplers = WeakSet()


def look_after_samplers():
    for sampler in samplers:
        (<Sampler>sampler).take_lock_back()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=look_after_samplers)
