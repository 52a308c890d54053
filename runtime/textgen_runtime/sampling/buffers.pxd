"""Numbers that come and go by the buffer protocol, without numpy."""

# Memory for so many bytes, not set to anything; MemoryError if there is not as much.
cdef bytearray new_room(object size)


cdef class Floats:
    # What the numbers lie in; several may share it.
    cdef bytearray room
    cdef float *data
    cdef Py_ssize_t size
    cdef int dimensions
    cdef Py_ssize_t shape[3]
    cdef Py_ssize_t strides[3]


# New numbers, whatever their values, of a shape whose unused dimensions are 1.
cdef Floats new_floats(int dimensions, Py_ssize_t first, Py_ssize_t second, Py_ssize_t third)

# The same in memory that there is already, which starts with `offset` other numbers.
cdef Floats place_floats(
    bytearray room,
    Py_ssize_t offset,
    int dimensions,
    Py_ssize_t first,
    Py_ssize_t second,
    Py_ssize_t third,
)

# Copy a buffer of float32 numbers that must have the shape of the copy; ValueError if it has not.
cdef int copy_floats(object given, Floats copy, str what) except -1


cdef class Reals:
    cdef Py_buffer buffer
    cdef Py_ssize_t size
    cdef bint single


# Open a buffer of float32 (True) or float64 (False) numbers, for the caller to release.
cdef bint open_reals(object values, int dimensions, str what, Py_buffer *buffer) except? -1

cdef Py_ssize_t count_of(const Py_buffer *buffer) noexcept
