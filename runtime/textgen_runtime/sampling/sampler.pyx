# cython: language_level=3, freethreading_compatible=True
"""Reweights logits to a temperature and draws from them.

``Sampler`` owns a random stream and scratch space. What needs neither is in ``_reweighting``, and can be
imported from here too. The arithmetic is the core's (runtime/core/sampler.h): the loop of the native engine
draws with the same functions.
"""

cimport cython
from cpython.buffer cimport PyBuffer_Release
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.number cimport PyNumber_Index
from cpython.pythread cimport (
    NOWAIT_LOCK,
    WAIT_LOCK,
    PyThread_acquire_lock,
    PyThread_allocate_lock,
    PyThread_free_lock,
    PyThread_release_lock,
    PyThread_type_lock,
)
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t

from .buffers cimport Reals, count_of, open_reals
from .c_sampler cimport (
    textgen_exp64,
    textgen_find_exp64,
    textgen_rng_seek,
    textgen_sampler,
    textgen_sampler_accept,
    textgen_sampler_draw,
    textgen_sampler_draw_float,
    textgen_sampler_init,
    textgen_uint128,
)
from .reweighting cimport checked, checked_temperature

import os
from weakref import WeakSet

from .reweighting import draw_with, reweight, softmax
from textgen_runtime.errors import SamplingError, quote

__all__ = ["Sampler", "draw_with", "reweight", "sampler_at", "softmax"]

# A longer seed would run into what numpy keeps of the substream, and then mean the same as another seed's
# substream. A position is an int64.
SEEDS = 2**128
SUBSTREAMS = 2**32
LATEST = INT64_MAX

cdef textgen_exp64 exp64 = textgen_find_exp64()


@cython.final
cdef class Sampler:
    """Draws tokens from logits at a temperature, reproducibly.

    The same logits, temperature, seed and substream give the same tokens in every release. A draw takes
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
        cdef double checked_value = checked_temperature(temperature)
        seed, substream = PyNumber_Index(seed), PyNumber_Index(substream)
        if not 0 <= seed < SEEDS:
            raise SamplingError(f"seed must be from 0 to 2**128 - 1, not {quote(seed)}")
        if not 0 <= substream < SUBSTREAMS:
            raise SamplingError(f"substream must be from 0 to 2**32 - 1, not {quote(substream)}")
        self.seed = seed
        self.substream = substream
        self.core = PyMem_RawMalloc(sizeof(textgen_sampler))
        self.lock = <void *>PyThread_allocate_lock()
        if self.core == NULL or self.lock == NULL:
            raise MemoryError("no room for a sampler")
        start(self, checked_value)
        samplers.add(self)

    def __dealloc__(self):
        PyMem_RawFree(self.scratch)
        PyMem_RawFree(self.core)
        if self.lock != NULL:
            PyThread_free_lock(<PyThread_type_lock>self.lock)

    cdef void acquire(self) noexcept:
        # Mostly nobody else has it, and then the GIL can stay.
        if not PyThread_acquire_lock(<PyThread_type_lock>self.lock, NOWAIT_LOCK):
            with nogil:
                PyThread_acquire_lock(<PyThread_type_lock>self.lock, WAIT_LOCK)

    cdef void release(self) noexcept:
        PyThread_release_lock(<PyThread_type_lock>self.lock)

    cdef int take_lock_back(self) except -1:
        """In a forked process, take a lock back that another thread of the parent held.

        That thread is not there to release it, and it was just drawing: the state of the generator may be
        half written. Seed, substream and position tell what it was.
        """
        cdef int64_t position = core_of(self).rng.position
        if PyThread_acquire_lock(<PyThread_type_lock>self.lock, NOWAIT_LOCK):
            self.release()
            return 0
        # The old one cannot be freed while it is held.
        self.lock = <void *>PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError("no room for a lock")
        start(self, core_of(self).temperature)
        textgen_rng_seek(&core_of(self).rng, position)
        return 0

    cdef int reserve(self, Py_ssize_t size) except -1:
        if size > self.capacity:
            grown = <double *>PyMem_RawRealloc(self.scratch, size * sizeof(double))
            if grown == NULL:
                raise MemoryError(f"no room for {size} numbers")
            self.scratch = grown
            self.capacity = size
        return 0

    cdef int64_t draw_row(self, const void *row, Py_ssize_t size, bint single) noexcept nogil:
        cdef textgen_sampler *core = core_of(self)
        cdef int64_t token
        if single:
            token = textgen_sampler_draw_float(core, <const float *>row, size, self.scratch)
        else:
            token = textgen_sampler_draw(core, <const double *>row, size, self.scratch)
        if token >= 0:
            textgen_sampler_accept(core, token)
        return token

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
        cdef Py_buffer buffer
        cdef bint single = open_reals(logits, 1, "logits", &buffer)
        cdef int64_t token
        self.acquire()
        try:
            self.reserve(count_of(&buffer))
            token = self.draw_row(buffer.buf, count_of(&buffer), single)
        finally:
            self.release()
            PyBuffer_Release(&buffer)
        return checked(token)

    def draw_batch(self, logits):
        """Draw one token from each row, in order, without the GIL.

        Args:
            logits: Shape [rows, n], as for ``draw``.

        Returns:
            An int64 array of shape [rows]: what ``draw`` of each row in turn would return.

        Raises:
            SamplingError: As ``draw``.
        """
        import numpy as np

        cdef Reals values = Reals(logits, 2, "logits")
        cdef Py_ssize_t rows = values.buffer.shape[0]
        cdef Py_ssize_t size = values.buffer.shape[1]
        cdef Py_ssize_t stride = size * values.buffer.itemsize
        cdef const char *first = <const char *>values.buffer.buf
        cdef bytearray room = bytearray(rows * sizeof(int64_t))
        cdef int64_t *tokens = <int64_t *>PyByteArray_AS_STRING(room)
        cdef int64_t fault = 0
        cdef Py_ssize_t i
        self.acquire()
        try:
            self.reserve(size)
            with nogil:
                for i in range(rows):
                    tokens[i] = self.draw_row(first + i * stride, size, values.single)
                    if tokens[i] < 0:
                        fault = tokens[i]
                        break
        finally:
            self.release()
        checked(fault)
        return np.frombuffer(room, np.int64)

    @property
    def temperature(self):
        """The temperature; a new one takes effect with the next draw."""
        return core_of(self).temperature

    @temperature.setter
    def temperature(self, value):
        core_of(self).temperature = checked_temperature(value)

    @property
    def position(self):
        """How many numbers of the random stream have been taken: one a draw.

        Temperature, seed, substream and position are all there is to a sampler. A new position takes
        effect with the next draw; one before the present takes the stream back.

        Raises:
            SamplingError: When set to anything but a whole number from 0 to 2**63 - 1.
        """
        return core_of(self).rng.position

    @position.setter
    def position(self, value):
        place = PyNumber_Index(value)
        if not 0 <= place <= LATEST:
            raise SamplingError(f"a position must be from 0 to 2**63 - 1, not {quote(value)}")
        cdef int64_t checked_place = place
        self.acquire()
        textgen_rng_seek(&core_of(self).rng, checked_place)
        self.release()

    def __reduce__(self):
        return sampler_at, (self.temperature, self.seed, self.substream, self.position)

    def __repr__(self):
        return f"Sampler(temperature={self.temperature}, seed={self.seed}, substream={self.substream})"


cdef textgen_sampler *core_of(Sampler sampler) noexcept nogil:
    return <textgen_sampler *>sampler.core


cdef void start(Sampler sampler, double temperature):
    """Start the sampler's random stream from its beginning."""
    cdef textgen_uint128 seed
    seed.high = <uint64_t>(sampler.seed >> 64)
    seed.low = <uint64_t>(sampler.seed & 0xFFFFFFFFFFFFFFFF)
    textgen_sampler_init(core_of(sampler), temperature, seed, <uint32_t>sampler.substream, exp64)


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
