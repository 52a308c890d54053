# cython: language_level=3, freethreading_compatible=True
"""Apply filters and a temperature to logits and draw tokens from them.

``Sampler`` owns a random generator, the state of its filters and scratch memory. ``reweighting.pxi`` has the
functions without such state. The C core (``runtime/core/sampler.h``) does the arithmetic. The native engine
draws with the same C functions.

Stop texts and constraints are in another extension module, ``automata``, whose .pxd needs headers of the C
core. The .pxd of this one is public and needs none.
"""

include "buffers.pxi"
include "filters.pxi"
include "filter_block.pxi"
include "reweighting.pxi"

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
from libc.string cimport memcpy

from .c_sampler cimport (
    textgen_filters,
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

import os
from weakref import WeakSet

from textgen_runtime.errors import SamplingError, quote

__all__ = ["Filters", "Sampler", "draw_with", "restore_sampler", "reweight", "softmax"]

# numpy's SeedSequence appends the substream to the 128 bits of the seed. A longer seed could therefore give
# the random stream of another seed's substream.
MAX_SEED = 2**128 - 1
MAX_SUBSTREAM = 2**32 - 1
MAX_POSITION = INT64_MAX

cdef Filters NO_FILTERS = Filters()


@cython.final
cdef class Sampler:
    """Draw tokens from logits, with filters and a temperature, reproducibly.

    The same logits, parameters, seed and substream give the same tokens in every release and on every
    processor. A draw applies the filters to the logits, and inverts the cumulative distribution of
    ``softmax(logits, temperature)`` at one uniform number in [0, 1). Every draw takes exactly one number from
    the random stream, also at temperature 0. Therefore the parameters of a draw do not change the numbers of
    later draws. Threads may share a sampler.

    Args:
        temperature: A finite number, 0 or more. At 0 the most likely token is drawn; the lowest id wins a
            tie.
        seed: An int from 0 to 2**128 - 1.
        substream: The index of an independent random stream of the seed, an int from 0 to 2**32 - 1. With
            several prompts, ``Model.generate`` uses substream ``i`` for prompt ``i``, so that each text is
            independent of the number of prompts.
        **filters: The parameters of ``Filters``, such as ``top_p=0.9``.

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

    def __cinit__(self, temperature=0.5, seed=0, substream=0, **filters):
        cdef double temperature_value = checked_temperature(temperature)
        seed, substream = PyNumber_Index(seed), PyNumber_Index(substream)
        if not 0 <= seed <= MAX_SEED:
            raise SamplingError(f"seed must be from 0 to 2**128 - 1, not {quote(seed)}")
        if not 0 <= substream <= MAX_SUBSTREAM:
            raise SamplingError(f"substream must be from 0 to 2**32 - 1, not {quote(substream)}")
        self.seed = seed
        self.substream = substream
        self.parameters = Filters(**filters) if filters else NO_FILTERS
        self.core = PyMem_RawMalloc(sizeof(textgen_sampler))
        self.lock = <void *>PyThread_allocate_lock()
        if self.core == NULL or self.lock == NULL:
            raise MemoryError("not enough memory for a sampler")
        init_core(self, temperature_value)
        self.raise_error(self.replace_block(self.parameters, 0), 0)
        samplers.add(self)

    def __dealloc__(self):
        PyMem_RawFree(self.scratch)
        PyMem_RawFree(self.block)
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
        random generator and the state of the filters. The generator is therefore created again from seed,
        substream and position, and the filters from their parameters, the recent tokens and mirostat_mu.
        """
        cdef int64_t position = core_of(self).rng.position
        if PyThread_acquire_lock(<PyThread_type_lock>self.lock, NOWAIT_LOCK):
            self.release()
            return 0
        # The old lock leaks: a held lock cannot be freed.
        self.lock = <void *>PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError("not enough memory for a lock")
        if self.block != NULL:
            repair_block(self.parameters, <textgen_filters *>self.block)
        init_core(self, core_of(self).temperature)
        textgen_rng_seek(&core_of(self).rng, position)
        return 0

    cdef int prepare(self, Py_ssize_t vocabulary) noexcept:
        if self.block == NULL or vocabulary == self.vocabulary:
            return BLOCK_OK
        return self.replace_block(self.parameters, vocabulary)

    cdef int replace_block(self, Filters parameters, Py_ssize_t vocabulary) noexcept:
        """Make the filters again for other parameters or another vocabulary size, and keep their state."""
        cdef textgen_filters *block = NULL
        cdef int error
        if parameters.active:
            error = make_block(
                parameters, vocabulary, self.parameters, <const textgen_filters *>self.block, &block
            )
            if error != BLOCK_OK:
                return error
        PyMem_RawFree(self.block)
        self.block, self.parameters = block, parameters
        self.vocabulary = vocabulary if block != NULL else 0
        attach_block(self)
        return BLOCK_OK

    cdef int raise_error(self, int error, Py_ssize_t vocabulary) except -1:
        return raise_block_error(error, self.parameters, vocabulary) if error != BLOCK_OK else 0

    cdef int reserve(self, Py_ssize_t size) noexcept:
        if size > self.capacity:
            scratch = <double *>PyMem_RawRealloc(self.scratch, textgen_sampler_scratch(size) * sizeof(double))
            if scratch == NULL:
                return BLOCK_MEMORY
            self.scratch = scratch
            self.capacity = size
        return self.prepare(size)

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
        cdef bint valid
        self.acquire()
        valid = self.block == NULL or accepted < self.vocabulary
        if valid:
            textgen_sampler_accept(core_of(self), accepted)
        self.release()
        if not valid:
            raise SamplingError(f"token {accepted} is not in the vocabulary of the latest draw")

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
        cdef bytearray memory = bytearray(row.size * sizeof(double))
        cdef double *weights = <double *>PyByteArray_AS_STRING(memory)
        cdef textgen_sampler *core = core_of(self)
        cdef double total = 1.0
        cdef int64_t code = 0
        cdef int error
        self.acquire()
        error = self.reserve(row.size)
        if error == BLOCK_OK:
            if row.is_float32:
                code = textgen_sampler_reweight_float(
                    core, <const float *>row.buffer.buf, row.size, self.scratch, &total
                )
            else:
                code = textgen_sampler_reweight(
                    core, <const double *>row.buffer.buf, row.size, self.scratch, &total
                )
            memcpy(weights, self.scratch, row.size * sizeof(double))
        self.release()
        self.raise_error(error, row.size)
        checked(code)
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
        cdef int64_t *tokens = <int64_t *>PyByteArray_AS_STRING(memory)
        cdef int64_t error_code = 0
        cdef Py_ssize_t i
        cdef int error
        self.acquire()
        error = self.reserve(size)
        if error == BLOCK_OK:
            with nogil:
                for i in range(rows):
                    tokens[i] = self.draw_row(first + i * stride, size, values.is_float32)
                    if tokens[i] < 0:
                        error_code = tokens[i]
                        break
        self.release()
        self.raise_error(error, size)
        checked(error_code)
        return np.frombuffer(memory, np.int64)

    @property
    def temperature(self):
        """The temperature. A new value takes effect at the next draw."""
        return core_of(self).temperature

    @temperature.setter
    def temperature(self, value):
        cdef double temperature = checked_temperature(value)
        self.acquire()
        core_of(self).temperature = temperature
        self.release()

    @property
    def filters(self):
        """The ``Filters``. New ones take effect at the next draw.

        The recent tokens are kept while a penalty is on. ``mirostat_mu`` is kept unless ``mirostat_tau``
        changes; then it starts again at twice the new value.

        Raises:
            SamplingError: If a biased token is not in the vocabulary of the latest draw, or if all its tokens
                are forbidden. The filters then stay as they were.
            TypeError: If the new value is not a ``Filters``.
        """
        self.acquire()
        parameters = self.parameters
        self.release()
        return parameters

    @filters.setter
    def filters(self, Filters value not None):
        cdef Py_ssize_t vocabulary
        cdef Filters previous
        cdef int error
        self.acquire()
        # A reference, so that the previous filters are not freed while the lock is held.
        previous = self.parameters
        vocabulary = self.vocabulary
        error = self.replace_block(value, vocabulary)
        self.release()
        if error != BLOCK_OK:
            raise_block_error(error, value, vocabulary)
        del previous

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
        cdef FilterMemory memory
        self.acquire()
        read_state(self, &memory)
        parameters = self.parameters
        self.release()
        return new_state(parameters, &memory)

    @filter_state.setter
    def filter_state(self, value):
        cdef FilterMemory memory
        cdef bint valid = True
        cdef size_t i
        fill_memory(value, &memory)
        self.acquire()
        if self.block != NULL:
            if self.vocabulary:
                for i in range(memory.recent_count):
                    valid = valid and memory.recent[i] < <size_t>self.vocabulary
            if value is None:
                memory.mirostat_mu = 2.0 * self.parameters.mirostat_tau
            if valid:
                write_memory(self.parameters, <textgen_filters *>self.block, &memory)
        self.release()
        if not valid:
            raise SamplingError("a recent token of filter_state is not in the vocabulary of the latest draw")

    @property
    def position(self):
        """The number of random numbers drawn so far, from 0 to 2**63 - 1.

        Temperature, filters, seed, substream, position and ``filter_state`` are the complete state of a
        sampler. A lower position repeats earlier random numbers.

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
        cdef FilterMemory memory
        cdef double temperature
        cdef int64_t position
        self.acquire()
        temperature, position = core_of(self).temperature, core_of(self).rng.position
        read_state(self, &memory)
        parameters = self.parameters
        self.release()
        state = new_state(parameters, &memory)
        return restore_sampler, (temperature, self.seed, self.substream, position, parameters, state)

    def __repr__(self):
        shown = [f"temperature={self.temperature}", f"seed={self.seed}", f"substream={self.substream}"]
        filters = repr(self.filters).removeprefix("Filters(").removesuffix(")")
        return f"Sampler({', '.join([*shown, filters] if filters else shown)})"


cdef textgen_sampler *core_of(Sampler sampler) noexcept nogil:
    return <textgen_sampler *>sampler.core


cdef void init_core(Sampler sampler, double temperature):
    """Seed the random generator, at position 0."""
    cdef textgen_uint128 seed
    seed.high = <uint64_t>(sampler.seed >> 64)
    seed.low = <uint64_t>(sampler.seed & 0xFFFFFFFFFFFFFFFF)
    textgen_sampler_init(core_of(sampler), temperature, seed, <uint32_t>sampler.substream, exp64)
    attach_block(sampler)


cdef void attach_block(Sampler sampler) noexcept:
    """Let the draws use the block, once it is made for a vocabulary size."""
    core_of(sampler).filters = <textgen_filters *>sampler.block if sampler.vocabulary else NULL


cdef object draw_one(Sampler sampler, object logits, bint accept):
    """Draw a token from a row of logits. With ``accept``, pass it to the filters."""
    cdef Py_buffer buffer
    cdef bint is_float32 = open_real_buffer(logits, 1, "logits", &buffer)
    cdef Py_ssize_t size = value_count(&buffer)
    cdef int64_t token = 0
    cdef int error
    sampler.acquire()
    error = sampler.reserve(size)
    if error == BLOCK_OK:
        token = sampler.propose_row(buffer.buf, size, is_float32)
        if token >= 0 and accept:
            textgen_sampler_accept(core_of(sampler), token)
    sampler.release()
    PyBuffer_Release(&buffer)
    if error != BLOCK_OK:
        sampler.raise_error(error, size)
    return checked(token)


cdef void read_state(Sampler sampler, FilterMemory *memory) noexcept:
    memory.recent_count, memory.mirostat_mu = 0, 0.0
    if sampler.block != NULL:
        read_memory(sampler.parameters, <const textgen_filters *>sampler.block, memory)


def restore_sampler(temperature, seed, substream, position, filters=NO_FILTERS, filter_state=None):
    """Return a sampler at a position of its random stream. Unpickling calls this function."""
    sampler = Sampler(temperature, seed, substream)
    sampler.position = position
    sampler.filters = filters
    sampler.filter_state = filter_state
    return sampler


# Every sampler of the process. A forked process repairs their locks before it starts a thread.
samplers = WeakSet()


def replace_held_locks():
    for sampler in samplers:
        (<Sampler>sampler).replace_held_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=replace_held_locks)
