"""What the core reads of a model file."""

from libc.stdint cimport int32_t

from .c_model_file cimport textgen_description, textgen_onnx


cdef enum:
    ERROR_SIZE = 1024


# Raise what a code and a text of the core's mean.
cdef int raise_error(int32_t code, const char *text) except -1


cdef class ModelFile:
    cdef readonly dict metadata
    cdef Py_buffer content
    cdef textgen_onnx file
    cdef bint opened
    cdef textgen_description *description
    # What the match came to.
    cdef int32_t matched
    cdef char why[ERROR_SIZE]
