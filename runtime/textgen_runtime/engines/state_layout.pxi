"""The memory layout of recurrent states."""

cimport cython
from cpython.bytearray cimport PyByteArray_AsString
from libc.string cimport memset

from textgen_runtime.sampling.sampler cimport FloatArray, array_at, copy_buffer, new_array, new_memory

from .results import State


@cython.final
cdef class StateLayout:
    """The memory layout of a state: arrays of shape [rows, batch, units].

    Args:
        shapes: Rows and units of each array by name, in the order of the C core.
    """

    cdef tuple names
    # Rows and units of each array, one after the other.
    cdef bytearray dimension_memory
    cdef const Py_ssize_t *dimensions
    cdef Py_ssize_t lane_size

    def __cinit__(self, dict shapes):
        cdef Py_ssize_t *dimensions
        self.names = tuple(shapes)
        self.dimension_memory = new_memory(2 * len(self.names) * sizeof(Py_ssize_t))
        dimensions = <Py_ssize_t *>PyByteArray_AsString(self.dimension_memory)
        self.dimensions = dimensions
        for i, (rows, units) in enumerate(shapes.values()):
            dimensions[2 * i], dimensions[2 * i + 1] = rows, units
        total = sum([rows * units for rows, units in shapes.values()])
        self.lane_size = checked_size(total)

    cdef bint equals(self, StateLayout other) noexcept:
        return self.names == other.names and self.dimension_memory == other.dimension_memory

    cdef Py_ssize_t size(self, Py_ssize_t batch) except -1:
        """Return the number of floats in a state. Raise MemoryError if its size in bytes overflows."""
        return checked_size(<object>batch * self.lane_size)

    cdef object zeros(self, Py_ssize_t batch):
        cdef FloatArray array
        cdef Py_ssize_t i = 0
        if batch < 0:
            raise ValueError(f"batch must be 0 or more, not {batch}")
        buffers = {}
        for name in self.names:
            array = new_array(3, self.dimensions[2 * i], batch, self.dimensions[2 * i + 1])
            memset(array.data, 0, array.size * sizeof(float))
            buffers[name] = array
            i += 1
        return State(buffers)

    cdef object copy_state(self, object state, Py_ssize_t batch, bytearray memory, Py_ssize_t offset):
        """Copy a state into memory, starting ``offset`` floats after its beginning.

        Returns the copy as a ``State``.
        """
        if not isinstance(state, State):
            raise TypeError(f"the state must be a State, not {type(state).__name__}")
        cdef dict sources = state.buffers
        cdef dict copies = {}
        cdef FloatArray array
        cdef Py_ssize_t i = 0
        for name in self.names:
            source = sources.get(name)
            if source is None:
                raise ValueError(f"the state must have the arrays {', '.join(self.names)}")
            array = array_at(memory, offset, 3, self.dimensions[2 * i], batch, self.dimensions[2 * i + 1])
            copy_buffer(source, array, "the state array", name)
            copies[name] = array
            offset += array.size
            i += 1
        return new_state(copies)

    cdef object state_in(self, bytearray memory, Py_ssize_t batch):
        """Return the state whose arrays are in memory, one after the other."""
        cdef Py_ssize_t i = 0, offset = 0
        cdef FloatArray array
        buffers = {}
        for name in self.names:
            array = array_at(memory, offset, 3, self.dimensions[2 * i], batch, self.dimensions[2 * i + 1])
            buffers[name] = array
            offset += array.size
            i += 1
        return new_state(buffers)


cdef Py_ssize_t checked_size(object floats) except -1:
    """Return a number of floats. Raise MemoryError if its size in bytes overflows."""
    if not 0 <= floats * sizeof(float) <= PY_SSIZE_T_MAX:
        raise MemoryError
    return floats


cdef object new_state(dict buffers):
    """Return a ``State`` that takes ownership of a dictionary."""
    state = new_object(State)
    state.buffers = buffers
    return state
