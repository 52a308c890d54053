"""The instruction sets of the core's kernels."""

from .c_core cimport textgen_kernels


# The kernels of that name, or the best if it is None.
cdef const textgen_kernels *find_kernels(object name) except NULL
