"""Select kernels of the C core by instruction set."""

from .c_core cimport textgen_kernels


# Return the kernels of an instruction set, or the best of this processor for None. Raise ValueError if the
# processor does not support them.
cdef const textgen_kernels *find_kernels(object name) except NULL
