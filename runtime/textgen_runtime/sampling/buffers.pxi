"""Arrays of floats that use the buffer protocol and do not need numpy.

``FloatArray`` holds output of the C core. ``RealBuffer`` reads an argument of the caller. It imports numpy
only for an argument that has no buffer of native, contiguous floats.
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
from cpython.bytearray cimport PyByteArray_AsString, PyByteArray_FromStringAndSize
from cpython.exc cimport PyErr_Clear, PyErr_ExceptionMatches
from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from textgen_runtime.errors import SamplingError


cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    # Returns -1 instead of raising. A `try` takes 20 ns with the limited C API, which is 7% of a draw.
    int get_buffer "PyObject_GetBuffer"(object values, Py_buffer *buffer, int flags) noexcept


# The format code of float32 in the buffer protocol.
cdef char *FLOAT32 = b"f"


cdef bytearray new_memory(object size):
    """Return uninitialized memory of ``size`` bytes, or raise MemoryError."""
    if not 0 <= size <= PY_SSIZE_T_MAX:
        raise MemoryError
    return PyByteArray_FromStringAndSize(NULL, size)


@cython.final
@cython.freelist(64)
cdef class FloatArray:
    """A C-contiguous float32 array of 1 or 3 dimensions that exports the buffer protocol."""

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        if self.ndim > 1 and (flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS:
            raise BufferError("the array is not Fortran-contiguous")
        buffer.buf, buffer.obj, buffer.len = self.data, self, self.size * sizeof(float)
        buffer.itemsize, buffer.readonly = sizeof(float), 0
        buffer.format = FLOAT32 if flags & PyBUF_FORMAT else NULL
        buffer.ndim = self.ndim if flags & PyBUF_ND else 1
        buffer.shape = self.shape if flags & PyBUF_ND else NULL
        buffer.strides = self.strides if (flags & PyBUF_STRIDES) == PyBUF_STRIDES else NULL
        buffer.suboffsets = buffer.internal = NULL


cdef FloatArray new_array(int ndim, Py_ssize_t first, Py_ssize_t second, Py_ssize_t third):
    """Return an uninitialized array. With ``ndim`` 1, ``second`` and ``third`` are 1."""
    cdef object size = <object>first * second * third * sizeof(float)
    return array_at(new_memory(size), 0, ndim, first, second, third)


cdef FloatArray array_at(
    bytearray memory,
    Py_ssize_t offset,
    int ndim,
    Py_ssize_t first,
    Py_ssize_t second,
    Py_ssize_t third,
):
    """Return an array that uses existing memory, starting ``offset`` floats after its beginning."""
    cdef FloatArray array = FloatArray.__new__(FloatArray)
    array.memory, array.data = memory, <float *>PyByteArray_AsString(memory) + offset
    array.ndim, array.size = ndim, first * second * third
    array.shape[0], array.shape[1], array.shape[2] = first, second, third
    array.strides[2] = sizeof(float)
    array.strides[1] = third * array.strides[2] if ndim == 3 else array.strides[2]
    array.strides[0] = second * array.strides[1]
    return array


cdef int copy_buffer(object source, FloatArray target, str argument, object name=None) except -1:
    """Copy a float32 buffer into an array of the same shape.

    The error message calls the source ``argument``, and if it is one of several, by its ``name``, too.

    Raises:
        ValueError: If the shape or the type differs.
    """
    cdef Py_buffer buffer
    cdef bint fits
    cdef int i
    try:
        PyObject_GetBuffer(source, &buffer, PyBUF_ND | PyBUF_FORMAT)
    except (BufferError, TypeError, ValueError):
        raise ValueError(f"{label(argument, name)} must be {describe_array(target)}") from None
    fits = buffer.format != NULL and buffer.format[0] == c"f" and buffer.format[1] == 0
    fits = fits and buffer.ndim == target.ndim
    for i in range(target.ndim if fits else 0):
        fits = fits and buffer.shape[i] == target.shape[i]
    if fits:
        memcpy(target.data, buffer.buf, buffer.len)
    else:
        type_name = "an unknown type" if buffer.format == NULL else f"type {buffer.format.decode()!r}"
        shape = tuple([buffer.shape[i] for i in range(buffer.ndim)])
    PyBuffer_Release(&buffer)
    if not fits:
        raise ValueError(
            f"{label(argument, name)} must be {describe_array(target)}, not {type_name} of shape {shape}"
        )
    return 0


cdef str label(str argument, object name):
    return argument if name is None else f"{argument} {name!r}"


cdef str describe_array(FloatArray array):
    shape = tuple([array.shape[i] for i in range(array.ndim)])
    return f"contiguous float32 of shape {shape}"


@cython.final
cdef class RealBuffer:
    """A contiguous buffer of float32 or float64 values, for use in C.

    It is the buffer of ``values`` if that has such a type and is aligned. Otherwise numpy makes a float64
    copy.

    Args:
        values: An object with the buffer protocol, or any object that numpy converts to an array.
        ndim: The required number of dimensions.
        name: The name of the argument in an error message.

    Raises:
        SamplingError: If the array is empty or has another number of dimensions.
    """

    def __cinit__(self, values, int ndim, str name):
        self.is_float32 = open_real_buffer(values, ndim, name, &self.buffer)
        self.size = value_count(&self.buffer)

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)


cdef Py_ssize_t value_count(const Py_buffer *buffer) noexcept:
    """Return the number of values in a buffer."""
    return buffer.len // buffer.itemsize


cdef bint is_native(const Py_buffer *buffer) noexcept:
    """Return whether the values are aligned, of type float or double, and in native byte order."""
    return (
        buffer.format != NULL
        and (buffer.format[0] == c"f" or buffer.format[0] == c"d")
        and buffer.format[1] == 0
        and <uintptr_t>buffer.buf % <uintptr_t>buffer.itemsize == 0
    )


cdef bint open_real_buffer(object values, int ndim, str name, Py_buffer *buffer) except? -1:
    """Open a buffer of float32 (returns True) or float64 (returns False) values. The caller releases it."""
    cdef bint native = False
    if PyObject_CheckBuffer(values):
        if get_buffer(values, buffer, PyBUF_ND | PyBUF_FORMAT) == 0:
            native = is_native(buffer)
            if not native:
                PyBuffer_Release(buffer)
        elif PyErr_ExceptionMatches(BufferError) or PyErr_ExceptionMatches(ValueError):
            # The buffer is not contiguous, or its type has no format code. numpy converts it below.
            PyErr_Clear()
        else:
            return -1
    if not native:
        import numpy as np

        values = np.require(values, np.float64, ["C", "ALIGNED"])
        PyObject_GetBuffer(values, buffer, PyBUF_ND | PyBUF_FORMAT)
    if buffer.ndim != ndim or buffer.len == 0:
        shape = tuple([buffer.shape[i] for i in range(buffer.ndim)])
        PyBuffer_Release(buffer)
        raise SamplingError(
            f"{name} must be a non-empty array of {ndim} dimension{'s' * (ndim > 1)}, not of shape {shape}"
        )
    return buffer.format[0] == c"f"
