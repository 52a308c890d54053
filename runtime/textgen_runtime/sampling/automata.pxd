"""Automata over tokens: stop texts and constraints, for Cython modules that link the C core."""

from libc.stdint cimport int64_t

from .c_automata cimport textgen_constraint, textgen_spans, textgen_stops


cdef class Stops:
    # Points to the memory below.
    cdef textgen_stops core
    cdef readonly tuple texts
    cdef readonly Py_ssize_t states
    cdef bytearray memory
    cdef int64_t checked_state(self, object state) except -1


cdef class Constraint:
    # Points to the memory below.
    cdef textgen_constraint core
    cdef readonly Py_ssize_t states
    cdef bytearray next_memory
    cdef bytearray distance_memory
    cdef int64_t checked_state(self, object state) except -1


cdef class Spans:
    cdef textgen_spans core
