"""Read a model file with the C core, for Cython modules that link it."""

from libc.stdint cimport int32_t, int64_t, uint64_t


cdef extern from "core.h" nogil:
    enum:
        TEXTGEN_OK
        TEXTGEN_OUT_OF_MEMORY
        TEXTGEN_UNKNOWN_GRAPH
        TEXTGEN_TOO_LARGE
    ctypedef struct textgen_view:
        const unsigned char *data
        size_t size
    ctypedef struct textgen_error:
        char *text
        size_t size


cdef extern from "onnx.h" nogil:
    enum:
        TEXTGEN_OPSET
        TEXTGEN_ONNX_FLOAT
    ctypedef struct textgen_value:
        textgen_view name
        int32_t type
        int64_t *shape
        size_t dimensions
    ctypedef struct textgen_tensor:
        textgen_view raw
    ctypedef struct textgen_property:
        textgen_view key
        textgen_view value
    ctypedef struct textgen_onnx:
        textgen_value *inputs
        textgen_property *properties
        size_t input_count
        size_t property_count
        uint64_t parameters
    int32_t textgen_onnx_read(textgen_view content, textgen_onnx *file, const textgen_error *error)
    void textgen_onnx_free(textgen_onnx *file)

    ctypedef struct textgen_layer:
        const textgen_tensor **tensors
    ctypedef struct textgen_sizes:
        size_t layers
        size_t units
        size_t embedding
        size_t vocabulary
        bint residual
        int bits
    ctypedef struct textgen_description:
        textgen_sizes sizes
        textgen_layer *layers
        size_t scales
    int32_t textgen_onnx_describe(
        const textgen_onnx *file, textgen_description *description, const textgen_error *error
    )

cdef extern from "vocabulary.h" nogil:
    const size_t TEXTGEN_ANY_SIZE
    ctypedef struct textgen_vocabulary:
        pass
    int32_t textgen_format_check(const textgen_onnx *file, const textgen_error *error)
    int32_t textgen_vocabulary_create(
        const textgen_onnx *file, size_t size, textgen_vocabulary **vocabulary, const textgen_error *error
    )
    void textgen_vocabulary_destroy(textgen_vocabulary *vocabulary)


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
