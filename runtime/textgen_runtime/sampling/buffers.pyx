# cython: language_level=3, freethreading_compatible=True
"""Numbers that come and go by the buffer protocol, without numpy.

``Floats`` are what the core makes. ``Reals`` are what a caller hands over to be drawn from: numpy is imported
for those that have no buffer of numbers.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_F_CONTIGUOUS,
    PyBUF_FORMAT,
    PyBUF_ND,
    PyBUF_STRIDES,
    PyBuffer_Release,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_FromStringAndSize
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from textgen_runtime.errors import SamplingError


cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX


# The format of float32 numbers in the buffer protocol.
cdef char *FLOAT32 = b"f"


cdef bytearray new_room(object size):
    if not 0 <= size <= PY_SSIZE_T_MAX:
        raise MemoryError
    return PyByteArray_FromStringAndSize(NULL, size)


@cython.final
@cython.freelist(64)
cdef class Floats:
    """Float32 numbers of 1 or 3 dimensions, contiguous, with the buffer protocol."""

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        if self.dimensions > 1 and (flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS:
            raise BufferError("the numbers are not in Fortran's order")
        buffer.buf, buffer.obj, buffer.len = self.data, self, self.size * sizeof(float)
        buffer.itemsize, buffer.readonly = sizeof(float), 0
        buffer.format = FLOAT32 if flags & PyBUF_FORMAT else NULL
        buffer.ndim = self.dimensions if flags & PyBUF_ND else 1
        buffer.shape = self.shape if flags & PyBUF_ND else NULL
        buffer.strides = self.strides if (flags & PyBUF_STRIDES) == PyBUF_STRIDES else NULL
        buffer.suboffsets = buffer.internal = NULL


cdef Floats new_floats(int dimensions, Py_ssize_t first, Py_ssize_t second, Py_ssize_t third):
    cdef object size = <object>first * second * third * sizeof(float)
    return place_floats(new_room(size), 0, dimensions, first, second, third)


cdef Floats place_floats(
    bytearray room,
    Py_ssize_t offset,
    int dimensions,
    Py_ssize_t first,
    Py_ssize_t second,
    Py_ssize_t third,
):
    cdef Floats made = Floats.__new__(Floats)
    made.room, made.data = room, <float *>PyByteArray_AS_STRING(room) + offset
    made.dimensions, made.size = dimensions, first * second * third
    made.shape[0], made.shape[1], made.shape[2] = first, second, third
    made.strides[2] = sizeof(float)
    made.strides[1] = third * made.strides[2] if dimensions == 3 else made.strides[2]
    made.strides[0] = second * made.strides[1]
    return made


cdef int copy_floats(object given, Floats copy, str what) except -1:
    cdef Py_buffer buffer
    cdef bint fits
    cdef int i
    try:
        PyObject_GetBuffer(given, &buffer, PyBUF_ND | PyBUF_FORMAT)
    except (BufferError, TypeError, ValueError):
        raise ValueError(f"{what} must be {wanted(copy)}") from None
    fits = buffer.format != NULL and buffer.format[0] == c"f" and buffer.format[1] == 0
    fits = fits and buffer.ndim == copy.dimensions
    for i in range(copy.dimensions if fits else 0):
        fits = fits and buffer.shape[i] == copy.shape[i]
    if fits:
        memcpy(copy.data, buffer.buf, buffer.len)
    else:
        kind = "numbers of no type" if buffer.format == NULL else repr(buffer.format.decode())
        shape = tuple([buffer.shape[i] for i in range(buffer.ndim)])
    PyBuffer_Release(&buffer)
    if not fits:
        raise ValueError(f"{what} must be {wanted(copy)}, not {kind} of shape {shape}")
    return 0


cdef str wanted(Floats copy):
    shape = tuple([copy.shape[i] for i in range(copy.dimensions)])
    return f"of shape {shape}, float32 and contiguous"


@cython.final
cdef class Reals:
    """Float32 or float64 numbers that C can walk: the caller's own where they will do, else a copy.

    Args:
        values: Anything with the buffer protocol, or that numpy makes an array of.
        dimensions: How many it must have.
        what: What they are, for an error.
    """

    def __cinit__(self, values, int dimensions, str what):
        self.single = open_reals(values, dimensions, what, &self.buffer)
        self.size = count_of(&self.buffer)

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)


cdef Py_ssize_t count_of(const Py_buffer *buffer) noexcept:
    return buffer.len // buffer.itemsize


cdef bint walkable(const Py_buffer *buffer) noexcept:
    """Whether numbers are of a type that C has, and aligned."""
    return (
        buffer.format != NULL
        and (buffer.format[0] == c"f" or buffer.format[0] == c"d")
        and buffer.format[1] == 0
        and <uintptr_t>buffer.buf % <uintptr_t>buffer.itemsize == 0
    )


cdef bint open_reals(object values, int dimensions, str what, Py_buffer *buffer) except? -1:
    cdef bint found = False
    if PyObject_CheckBuffer(values):
        try:
            PyObject_GetBuffer(values, buffer, PyBUF_ND | PyBUF_FORMAT)
            found = walkable(buffer)
            if not found:
                PyBuffer_Release(buffer)
        except (BufferError, ValueError):
            # It is not contiguous, or of a type that has no format, which numpy knows what to do about.
            pass
    if not found:
        import numpy as np

        values = np.require(values, np.float64, ["C", "ALIGNED"])
        PyObject_GetBuffer(values, buffer, PyBUF_ND | PyBUF_FORMAT)
    if buffer.ndim != dimensions or buffer.len == 0:
        shape = tuple([buffer.shape[i] for i in range(buffer.ndim)])
        PyBuffer_Release(buffer)
        raise SamplingError(
            f"{what} must be a non-empty array of {dimensions} dimension{'s' * (dimensions > 1)}, "
            f"not of shape {shape}"
        )
    return buffer.format[0] == c"f"
