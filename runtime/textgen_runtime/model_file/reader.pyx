# cython: language_level=3, freethreading_compatible=True
"""What the core reads of a model file, without numpy."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t

from .c_model_file cimport (
    TEXTGEN_OK,
    TEXTGEN_ONNX_FLOAT,
    TEXTGEN_OPSET,
    TEXTGEN_OUT_OF_MEMORY,
    TEXTGEN_TOO_LARGE,
    TEXTGEN_UNKNOWN_GRAPH,
    textgen_description,
    textgen_error,
    textgen_layer_kind_name,
    textgen_model_match,
    textgen_onnx_free,
    textgen_onnx_read,
    textgen_view,
)

from textgen_runtime.errors import ModelFileError, TooLargeError, UnknownGraphError

# The ONNX operator set of model files.
OPSET = TEXTGEN_OPSET


cdef int raise_error(int32_t code, const char *text) except -1:
    if code == TEXTGEN_OUT_OF_MEMORY:
        raise MemoryError(text.decode("utf-8", "replace"))
    message = text.decode("utf-8", "replace")
    if code == TEXTGEN_UNKNOWN_GRAPH:
        raise UnknownGraphError(message)
    if code == TEXTGEN_TOO_LARGE:
        raise TooLargeError(message)
    raise ModelFileError(message)


cdef str text_of(textgen_view view):
    return PyUnicode_DecodeUTF8(<const char *>view.data, view.size, NULL)


@cython.final
cdef class ModelFile:
    """What the core reads of a model file: its metadata and the description of its network, no weights.

    Args:
        content: The file's content, a buffer of bytes. It is not copied, and kept as long as this object.

    Attributes:
        metadata: The keys and texts that the file holds beside its graph.
        parameters: How many float32 values the file's weights are.

    Raises:
        ModelFileError: If it is no ONNX file, or damaged. A graph that is not known, or in which something is
            missing or of the wrong size, is an error of ``match`` alone.
    """

    def __cinit__(self, content):
        cdef textgen_view view
        cdef textgen_error error
        cdef int32_t code
        PyObject_GetBuffer(content, &self.content, PyBUF_SIMPLE)
        view.data, view.size = <const unsigned char *>self.content.buf, self.content.len
        error.text, error.size = self.why, ERROR_SIZE
        self.description = <textgen_description *>PyMem_RawMalloc(sizeof(textgen_description))
        if self.description == NULL:
            raise MemoryError("not enough memory for the model")
        with nogil:
            code = textgen_onnx_read(view, &self.file, &error)
        if code != TEXTGEN_OK:
            raise_error(code, self.why)
        self.opened = True
        self.metadata = {
            text_of(self.file.properties[i].key): text_of(self.file.properties[i].value)
            for i in range(self.file.property_count)
        }
        with nogil:
            self.matched = textgen_model_match(&self.file, self.description, &error)

    def __dealloc__(self):
        if self.opened:
            textgen_onnx_free(&self.file)
        PyMem_RawFree(self.description)
        PyBuffer_Release(&self.content)

    @property
    def parameters(self):
        return self.file.parameters

    def match(self):
        """See that the graph is one that the core runs, and that its parts fit together.

        Raises:
            UnknownGraphError: If the graph is not one that ``textgen-train`` writes.
            ModelFileError: If it is, but something in it is missing, damaged or of the wrong size.
        """
        if self.matched != TEXTGEN_OK:
            raise_error(self.matched, self.why)

    @property
    def vocabulary_size(self):
        """How many logits the graph has; the errors are those of ``match``."""
        self.match()
        return self.description.vocabulary

    @property
    def state_shapes(self):
        """Layers and units of each array of the state, by name; the errors are those of ``match``."""
        self.match()
        return {
            self.description.state[i].name.decode(): (
                self.description.state[i].layers,
                self.description.state[i].units,
            )
            for i in range(self.description.state_count)
        }

    @property
    def network(self):
        """The description of the layers and the state, a ``Network``; the errors are those of ``match``."""
        from .network import LAYERS, Network

        self.match()
        layers = tuple([
            LAYERS[textgen_layer_kind_name(self.description.layers[i].kind).decode()](
                text_of(self.description.layers[i].name),
                self.description.layers[i].inputs,
                self.description.layers[i].outputs,
            )
            for i in range(self.description.layer_count)
        ])
        return Network(layers, self.state_shapes, self.description.vocabulary)

    @property
    def declared_state(self):
        """For each float32 input of three dimensions its layers and units, as declared; known graph or not.

        A dimension that is declared as no number is 0.
        """
        return {
            text_of(self.file.inputs[i].name): (self.file.inputs[i].shape[0], self.file.inputs[i].shape[2])
            for i in range(self.file.input_count)
            if self.file.inputs[i].dimensions == 3 and self.file.inputs[i].type == TEXTGEN_ONNX_FLOAT
        }
