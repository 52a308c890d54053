"""Kernels of the C core (runtime/core/kernels), selected by instruction set."""

from .c_core cimport (
    TEXTGEN_MAX_KERNELS,
    textgen_available_kernels,
    textgen_find_kernels,
    textgen_kernels,
)

from textgen_runtime.errors import quote


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
