"""Read a model file with the C core."""

from libc.stdint cimport int32_t

from .c_model_file cimport textgen_description, textgen_onnx


cdef enum:
    ERROR_SIZE = 1024


# Raise the exception for an error code and an error text of the C core.
cdef int raise_error(int32_t code, const char *text) except -1


cdef class ModelFile:
    cdef readonly dict metadata
    cdef Py_buffer content
    cdef textgen_onnx file
    cdef bint is_open
    cdef textgen_description *description
    # The error code and text of the check of the graph.
    cdef int32_t graph_code
    cdef char error_text[ERROR_SIZE]
