# cython: language_level=3, freethreading_compatible=True
"""Apply a temperature to logits and draw tokens from them.

``Sampler`` owns a random generator and scratch memory. The module ``reweighting`` has the functions without
such state, which can also be imported from this module. The C core (``runtime/core/sampler.h``) does the
arithmetic. The native engine draws with the same C functions.
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

from .buffers cimport RealBuffer, open_real_buffer, value_count
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

__all__ = ["Sampler", "draw_with", "restore_sampler", "reweight", "softmax"]

# numpy's SeedSequence appends the substream to the 128 bits of the seed. A longer seed could therefore give
# the random stream of another seed's substream.
MAX_SEED = 2**128 - 1
MAX_SUBSTREAM = 2**32 - 1
MAX_POSITION = INT64_MAX

cdef textgen_exp64 exp64 = textgen_find_exp64()


@cython.final
cdef class Sampler:
    """Draw tokens from logits at a temperature, reproducibly.

    The same logits, temperature, seed and substream give the same tokens in every release and on every
    processor. A draw inverts the cumulative distribution of ``softmax(logits, temperature)`` at one uniform
    number in [0, 1). Every draw takes exactly one number from the random stream, also at temperature 0.
    Therefore the temperature of a draw does not change the numbers of later draws. Threads may share a
    sampler.

    Args:
        temperature: A finite number, 0 or more. At 0 the most likely token is drawn; the lowest id wins a
            tie.
        seed: An int from 0 to 2**128 - 1.
        substream: The index of an independent random stream of the seed, an int from 0 to 2**32 - 1. With
            several prompts, ``Model.generate`` uses substream ``i`` for prompt ``i``, so that each text is
            independent of the number of prompts.

    Attributes:
        seed: The seed.
        substream: The substream.

    Raises:
        SamplingError: If the temperature, seed or substream is out of range.
        TypeError: If the seed or substream is not an integer.

    Source: the generator is numpy's ``PCG64(SeedSequence(seed, spawn_key=(substream,)))``, without the
    ``spawn_key`` for substream 0. A uniform number is the upper 53 bits of the next 64-bit integer, divided
    by 2**53.
    """

    def __cinit__(self, temperature=0.5, seed=0, substream=0):
        cdef double temperature_value = checked_temperature(temperature)
        seed, substream = PyNumber_Index(seed), PyNumber_Index(substream)
        if not 0 <= seed <= MAX_SEED:
            raise SamplingError(f"seed must be from 0 to 2**128 - 1, not {quote(seed)}")
        if not 0 <= substream <= MAX_SUBSTREAM:
            raise SamplingError(f"substream must be from 0 to 2**32 - 1, not {quote(substream)}")
        self.seed = seed
        self.substream = substream
        self.core = PyMem_RawMalloc(sizeof(textgen_sampler))
        self.lock = <void *>PyThread_allocate_lock()
        if self.core == NULL or self.lock == NULL:
            raise MemoryError("not enough memory for a sampler")
        init_core(self, temperature_value)
        samplers.add(self)

    def __dealloc__(self):
        PyMem_RawFree(self.scratch)
        PyMem_RawFree(self.core)
        if self.lock != NULL:
            PyThread_free_lock(<PyThread_type_lock>self.lock)

    cdef void acquire(self) noexcept:
        # In most cases the lock is free, and there is no need to release the GIL.
        if not PyThread_acquire_lock(<PyThread_type_lock>self.lock, NOWAIT_LOCK):
            with nogil:
                PyThread_acquire_lock(<PyThread_type_lock>self.lock, WAIT_LOCK)

    cdef void release(self) noexcept:
        PyThread_release_lock(<PyThread_type_lock>self.lock)

    cdef int replace_held_lock(self) except -1:
        """Replace the lock in a forked process if another thread of the parent held it.

        That thread does not exist in the child and cannot release the lock. It may have been changing the
        random generator. The generator is therefore created again from seed, substream and position.
        """
        cdef int64_t position = core_of(self).rng.position
        if PyThread_acquire_lock(<PyThread_type_lock>self.lock, NOWAIT_LOCK):
            self.release()
            return 0
        # The old lock leaks: a held lock cannot be freed.
        self.lock = <void *>PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError("not enough memory for a lock")
        init_core(self, core_of(self).temperature)
        textgen_rng_seek(&core_of(self).rng, position)
        return 0

    cdef int reserve(self, Py_ssize_t size) except -1:
        if size > self.capacity:
            scratch = <double *>PyMem_RawRealloc(self.scratch, size * sizeof(double))
            if scratch == NULL:
                raise MemoryError(f"not enough memory for {size} numbers")
            self.scratch = scratch
            self.capacity = size
        return 0

    cdef int64_t draw_row(self, const void *row, Py_ssize_t size, bint is_float32) noexcept nogil:
        cdef textgen_sampler *core = core_of(self)
        cdef int64_t token
        if is_float32:
            token = textgen_sampler_draw_float(core, <const float *>row, size, self.scratch)
        else:
            token = textgen_sampler_draw(core, <const double *>row, size, self.scratch)
        if token >= 0:
            textgen_sampler_accept(core, token)
        return token

    def draw(self, logits):
        """Draw one token.

        Args:
            logits: Array of shape [n], float32 or float64, or array-like. A logit of -inf makes a token
                impossible. The array is not changed.

        Returns:
            The token, an int in [0, n).

        Raises:
            SamplingError: If a logit is NaN or +inf, if all logits are -inf, if the shape is not [n] with
                n >= 1, or if the position is 2**63 - 1, where the random stream ends.
        """
        cdef Py_buffer buffer
        cdef bint is_float32 = open_real_buffer(logits, 1, "logits", &buffer)
        cdef int64_t token
        self.acquire()
        try:
            self.reserve(value_count(&buffer))
            token = self.draw_row(buffer.buf, value_count(&buffer), is_float32)
        finally:
            self.release()
            PyBuffer_Release(&buffer)
        return checked(token)

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
        cdef int64_t *tokens = <int64_t *>PyByteArray_AS_STRING(memory)
        cdef int64_t error_code = 0
        cdef Py_ssize_t i
        self.acquire()
        try:
            self.reserve(size)
            with nogil:
                for i in range(rows):
                    tokens[i] = self.draw_row(first + i * stride, size, values.is_float32)
                    if tokens[i] < 0:
                        error_code = tokens[i]
                        break
        finally:
            self.release()
        checked(error_code)
        return np.frombuffer(memory, np.int64)

    @property
    def temperature(self):
        """The temperature. A new value takes effect at the next draw."""
        return core_of(self).temperature

    @temperature.setter
    def temperature(self, value):
        core_of(self).temperature = checked_temperature(value)

    @property
    def position(self):
        """The number of random numbers drawn so far, from 0 to 2**63 - 1.

        Temperature, seed, substream and position are the complete state of a sampler. A lower position
        repeats earlier random numbers.

        Raises:
            SamplingError: If the new value is out of range.
            TypeError: If the new value is not an integer.
        """
        return core_of(self).rng.position

    @position.setter
    def position(self, value):
        value = PyNumber_Index(value)
        if not 0 <= value <= MAX_POSITION:
            raise SamplingError(f"position must be from 0 to 2**63 - 1, not {quote(value)}")
        cdef int64_t position = value
        self.acquire()
        textgen_rng_seek(&core_of(self).rng, position)
        self.release()

    def __reduce__(self):
        return restore_sampler, (self.temperature, self.seed, self.substream, self.position)

    def __repr__(self):
        return f"Sampler(temperature={self.temperature}, seed={self.seed}, substream={self.substream})"


cdef textgen_sampler *core_of(Sampler sampler) noexcept nogil:
    return <textgen_sampler *>sampler.core


cdef void init_core(Sampler sampler, double temperature):
    """Seed the random generator, at position 0."""
    cdef textgen_uint128 seed
    seed.high = <uint64_t>(sampler.seed >> 64)
    seed.low = <uint64_t>(sampler.seed & 0xFFFFFFFFFFFFFFFF)
    textgen_sampler_init(core_of(sampler), temperature, seed, <uint32_t>sampler.substream, exp64)


def restore_sampler(temperature, seed, substream, position):
    """Return a sampler at a position of its random stream. Unpickling calls this function."""
    sampler = Sampler(temperature, seed, substream)
    sampler.position = position
    return sampler


# Every sampler of the process. A forked process repairs their locks before it starts a thread.
samplers = WeakSet()


def replace_held_locks():
    for sampler in samplers:
        (<Sampler>sampler).replace_held_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=replace_held_locks)
