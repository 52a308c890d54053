"""Lock the samplers of the lanes of one call, copy them for the C loop, and copy the results back.

The C loop draws with copies of the samplers and of their filters. If the process forks during the loop, the
samplers of the child are unchanged.
"""

cimport cython
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.stdint cimport INT64_MAX, int64_t, uintptr_t
from libc.stdlib cimport qsort
from libc.string cimport memcpy

from textgen_runtime.sampling.c_sampler cimport (
    TEXTGEN_SAMPLER_EXHAUSTED,
    textgen_filters,
    textgen_sampler,
)
from textgen_runtime.sampling.sampler cimport Sampler, checked, new_memory

SHARED_SAMPLER_ERROR = "each lane must have its own sampler"


cdef int compare_addresses(const void *a, const void *b) noexcept nogil:
    cdef uintptr_t first = (<const uintptr_t *>a)[0]
    cdef uintptr_t second = (<const uintptr_t *>b)[0]
    return (first > second) - (first < second)


cdef textgen_sampler *core_of(Sampler sampler) noexcept:
    return <textgen_sampler *>sampler.core


@cython.final
cdef class LaneSamplers:
    """The samplers of the lanes of one call. Create it with ``new_lane_samplers``.

    The calls between ``acquire`` and ``release`` are: ``copy``, the C loop, ``store``. They create no Python
    object: an allocation can run the garbage collector, and a finalizer may need one of the locks.
    """

    cdef Py_ssize_t count
    cdef Py_ssize_t vocabulary
    cdef size_t filters_size
    cdef list samplers
    # By lane: the copies of the samplers, and how often each may draw.
    cdef textgen_sampler *copies
    cdef int64_t *draws
    # The samplers sorted by address. All calls lock them in this order, which prevents deadlocks.
    cdef void **ordered
    # The memory of `copies`, `draws` and `ordered`.
    cdef bytearray memory
    # The memory of the copies of their filters, or NULL if no sampler has filters.
    cdef void *filters
    # If `copy` failed: the lane whose sampler failed, and the error code of its filters or of its draws.
    cdef Py_ssize_t failed
    cdef int filter_error
    cdef int64_t draw_error
    cdef bint out_of_memory

    cdef int allocate(self, Py_ssize_t capacity, Py_ssize_t vocabulary, size_t filters_size) except -1:
        self.memory = new_memory(
            capacity * (sizeof(textgen_sampler) + sizeof(int64_t) + sizeof(void *))
        )
        self.copies = <textgen_sampler *>PyByteArray_AS_STRING(self.memory)
        self.draws = <int64_t *>(self.copies + capacity)
        self.ordered = <void **>(self.draws + capacity)
        self.vocabulary, self.filters_size, self.samplers = vocabulary, filters_size, []
        return 0

    def __dealloc__(self):
        PyMem_RawFree(self.filters)

    cdef textgen_sampler *add(self, object sampler, int64_t draws) except NULL:
        """Add the sampler of the next lane, and return the address of its copy."""
        if not isinstance(sampler, Sampler):
            raise TypeError(f"the sampler of a lane must be a Sampler, not {type(sampler).__name__}")
        cdef Py_ssize_t i = self.count
        self.samplers.append(sampler)
        self.draws[i], self.ordered[i] = draws, <void *>sampler
        self.count += 1
        return &self.copies[i]

    cdef int order(self) except -1:
        """Sort the samplers. Raise ValueError if two of them are the same."""
        cdef Py_ssize_t i
        qsort(self.ordered, self.count, sizeof(void *), compare_addresses)
        for i in range(1, self.count):
            if self.ordered[i] == self.ordered[i - 1]:
                raise ValueError(SHARED_SAMPLER_ERROR)
        return 0

    cdef void acquire(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.count):
            (<Sampler>self.ordered[i]).acquire()

    cdef void release(self) noexcept:
        cdef Py_ssize_t i
        for i in range(self.count):
            (<Sampler>self.ordered[i]).release()

    cdef bint copy(self) noexcept:
        """Prepare the filters of all samplers for the vocabulary, and copy the samplers.

        Returns whether it succeeded.
        """
        cdef size_t filtered = 0
        cdef Sampler sampler
        cdef Py_ssize_t i
        for i in range(self.count):
            sampler = self.samplers[i]
            self.failed, self.filter_error = i, sampler.prepare(self.vocabulary)
            if self.filter_error:
                return False
            self.copies[i] = core_of(sampler)[0]
            if self.copies[i].rng.position > INT64_MAX - self.draws[i]:
                self.draw_error = TEXTGEN_SAMPLER_EXHAUSTED
                return False
            filtered += self.copies[i].filters != NULL
        return filtered == 0 or self.copy_filters(filtered)

    cdef bint copy_filters(self, size_t filtered) noexcept:
        cdef char *block = NULL
        cdef Py_ssize_t i
        if filtered <= <size_t>PY_SSIZE_T_MAX // self.filters_size:
            # Not a Python object: see above.
            block = <char *>PyMem_RawMalloc(filtered * self.filters_size)
        self.filters, self.out_of_memory = block, block == NULL
        if block == NULL:
            return False
        for i in range(self.count):
            if self.copies[i].filters != NULL:
                memcpy(block, self.copies[i].filters, self.filters_size)
                self.copies[i].filters = <textgen_filters *>block
                block += self.filters_size
        return True

    cdef void store(self) noexcept:
        cdef textgen_sampler *core
        cdef Py_ssize_t i
        for i in range(self.count):
            core = core_of(self.samplers[i])
            core.rng = self.copies[i].rng
            if core.filters != NULL:
                memcpy(core.filters, self.copies[i].filters, self.filters_size)

    cdef int raise_copy_error(self) except -1:
        """Raise the error of ``copy``, if any."""
        if self.filter_error:
            (<Sampler>self.samplers[self.failed]).raise_error(self.filter_error, self.vocabulary)
        checked(self.draw_error)
        if self.out_of_memory:
            raise MemoryError("not enough memory for the filters of the samplers")
        return 0


cdef LaneSamplers new_lane_samplers(Py_ssize_t capacity, Py_ssize_t vocabulary, size_t filters_size):
    """Return an object for up to ``capacity`` lanes.

    ``filters_size`` is the size in bytes of a sampler's filters, for this vocabulary size.
    """
    # Not the constructor: it would convert the arguments to Python objects.
    cdef LaneSamplers samplers = LaneSamplers.__new__(LaneSamplers)
    samplers.allocate(capacity, vocabulary, filters_size)
    return samplers
