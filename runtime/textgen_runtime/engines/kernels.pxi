"""Kernels of the C core (runtime/core/kernels), selected by instruction set."""

from cpython.bytearray cimport PyByteArray_AsString
from libc.string cimport memcpy

from .c_core cimport (
    TEXTGEN_GROUP,
    TEXTGEN_MAX_KERNELS,
    textgen_available_kernels,
    textgen_find_kernels,
    textgen_kernels,
)

from textgen_runtime.errors import quote
from textgen_runtime.sampling.sampler cimport RealBuffer


cdef const textgen_kernels *find_kernels(object name) except NULL:
    """Return the kernels of an instruction set, or the best of this processor for None.

    Raises:
        TypeError: If the name is not a str.
        ValueError: If the processor does not support the instruction set.
    """
    cdef bytes encoded
    cdef const textgen_kernels *kernels = NULL
    if name is not None and not isinstance(name, str):
        raise TypeError(f"kernels must be a str or None, not {type(name).__name__}")
    if name is None:
        kernels = textgen_find_kernels(NULL)
    elif "\0" not in name:
        encoded = name.encode()
        kernels = textgen_find_kernels(encoded)
    if kernels == NULL:
        raise ValueError(
            f"kernels must be one of {', '.join(kernel_names())} on this processor, not {quote(name)}"
        )
    return kernels


def kernel_names():
    """Return the names of the instruction sets that this processor supports, best first."""
    cdef const textgen_kernels *kernels[TEXTGEN_MAX_KERNELS]
    cdef int count = textgen_available_kernels(kernels)
    return [kernels[i].name.decode() for i in range(count)]


def activation(str name, values, str kernels, *, int bits=32):
    """Compute ``sigmoid`` or ``tanh`` with the kernels of an instruction set.

    Args:
        name: ``"sigmoid"`` or ``"tanh"``.
        values: A float32 buffer of shape [n].
        kernels: The name of an instruction set, as in ``kernel_names()``.
        bits: For layers whose weights have this many bits, 32 or 8.

    Returns:
        A new float32 memoryview of shape [n].

    Raises:
        ValueError: If an argument is invalid, or if the processor does not support the instruction set.
    """
    if name not in ("sigmoid", "tanh"):
        raise ValueError(f"name must be 'sigmoid' or 'tanh', not {name!r}")
    if bits not in (32, 8):
        raise ValueError(f"bits must be 32 or 8, not {bits}")
    cdef const textgen_kernels *kernel_set = find_kernels(kernels)
    cdef RealBuffer array = RealBuffer(values, 1, "values")
    if not array.is_float32:
        raise ValueError("values must be float32")
    cdef Py_ssize_t count = array.size
    cdef Py_ssize_t padded = -(-count // TEXTGEN_GROUP) * TEXTGEN_GROUP
    cdef bytearray memory = bytearray(padded * sizeof(float))
    cdef float *result = <float *>PyByteArray_AsString(memory)
    memcpy(result, array.buffer.buf, count * sizeof(float))
    if bits == 8:
        (kernel_set.int8.tanh if name == "tanh" else kernel_set.int8.sigmoid)(result, padded)
    else:
        (kernel_set.tanh if name == "tanh" else kernel_set.sigmoid)(result, padded)
    return memoryview(memory).cast("f")[:count]
