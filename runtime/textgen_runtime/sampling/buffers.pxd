"""Arrays of floats that use the buffer protocol and do not need numpy."""

# Return uninitialized memory of `size` bytes, or raise MemoryError.
cdef bytearray new_memory(object size)


# A float32 array that owns a reference to its memory. Several arrays may share one bytearray.
cdef class FloatArray:
    cdef bytearray memory
    cdef float *data
    cdef Py_ssize_t size
    cdef int ndim
    cdef Py_ssize_t shape[3]
    cdef Py_ssize_t strides[3]


# Return an uninitialized array. With ndim 1, `second` and `third` are 1.
cdef FloatArray new_array(int ndim, Py_ssize_t first, Py_ssize_t second, Py_ssize_t third)

# Return an array that uses existing memory, starting `offset` floats after its beginning.
cdef FloatArray array_at(
    bytearray memory,
    Py_ssize_t offset,
    int ndim,
    Py_ssize_t first,
    Py_ssize_t second,
    Py_ssize_t third,
)

# Copy a float32 buffer into an array of the same shape. Raises ValueError if the shape or type differs.
# The error message calls the source `argument`, and if it is one of several, by its `name`, too.
cdef int copy_buffer(object source, FloatArray target, str argument, object name=*) except -1


# A contiguous buffer of float32 or float64 values.
cdef class RealBuffer:
    cdef Py_buffer buffer
    cdef Py_ssize_t size
    cdef bint is_float32


# Open a buffer of float32 (returns True) or float64 (returns False) values. The caller releases it.
cdef bint open_real_buffer(object values, int ndim, str name, Py_buffer *buffer) except? -1

# Return the number of values in a buffer.
cdef Py_ssize_t value_count(const Py_buffer *buffer) noexcept
