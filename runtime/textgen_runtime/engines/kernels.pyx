# cython: language_level=3, freethreading_compatible=True
"""The instruction sets of the core's kernels (runtime/core/kernels)."""

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.string cimport memcpy

from textgen_runtime.sampling.buffers cimport Reals
from .c_core cimport (
    TEXTGEN_GROUP,
    TEXTGEN_MAX_KERNELS,
    textgen_available_kernels,
    textgen_find_kernels,
    textgen_kernels,
)

from textgen_runtime.errors import quote


cdef const textgen_kernels *find_kernels(object name) except NULL:
    cdef bytes encoded
    cdef const textgen_kernels *found = NULL
    if name is not None and not isinstance(name, str):
        raise TypeError(f"kernels must be a str or None, not {type(name).__name__}")
    if name is None:
        found = textgen_find_kernels(NULL)
    elif "\0" not in name:
        encoded = name.encode()
        found = textgen_find_kernels(encoded)
    if found == NULL:
        raise ValueError(f"this processor runs the kernels {', '.join(kernel_names())}, not {quote(name)}")
    return found


def kernel_names():
    """The names of the instruction sets that this processor can run, best first."""
    cdef const textgen_kernels *found[TEXTGEN_MAX_KERNELS]
    cdef int count = textgen_available_kernels(found)
    return [found[i].name.decode() for i in range(count)]


def activation(str name, values, str kernels):
    """``sigmoid`` or ``tanh`` of float32 values as the kernels compute it.

    Args:
        name: Which.
        values: A buffer of float32 numbers.
        kernels: The name of an instruction set.

    Returns:
        A new memoryview of float32, of one dimension.

    Raises:
        ValueError: If ``name`` is neither, the values are not float32 of one dimension, or the processor does
            not have the kernels.
    """
    if name not in ("sigmoid", "tanh"):
        raise ValueError(f"the kernels compute 'sigmoid' and 'tanh', not {name!r}")
    cdef const textgen_kernels *chosen = find_kernels(kernels)
    cdef Reals given = Reals(values, 1, "values")
    if not given.single:
        raise ValueError("values must be float32")
    cdef Py_ssize_t count = given.size
    cdef Py_ssize_t padded = -(-count // TEXTGEN_GROUP) * TEXTGEN_GROUP
    cdef bytearray room = bytearray(padded * sizeof(float))
    cdef float *numbers = <float *>PyByteArray_AS_STRING(room)
    memcpy(numbers, given.buffer.buf, count * sizeof(float))
    if name == "tanh":
        chosen.tanh(numbers, padded)
    else:
        chosen.sigmoid(numbers, padded)
    return memoryview(room).cast("f")[:count]
