# cython: language_level=3, freethreading_compatible=True
"""Read a model file with the C core, without numpy."""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset


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


cdef str decode(textgen_view view):
    return PyUnicode_DecodeUTF8(<const char *>view.data, view.size, NULL)


cdef textgen_view view_of(bytes text):
    cdef textgen_view view
    view.data, view.size = text, len(text)
    return view


def check_metadata(props, vocabulary_size):
    """Check the metadata of a model file with the C core.

    Args:
        props: Keys and JSON texts.
        vocabulary_size: The number of logits of the graph, or None if it is not known.

    Raises:
        ModelFileError: If a key is missing, if a value is invalid or of a newer format, or if the vocabulary
            has another size.
        UnicodeEncodeError: If a text has a half of a surrogate pair, which no file can have.
    """
    cdef textgen_onnx file
    cdef textgen_error error
    cdef char error_text[ERROR_SIZE]
    cdef textgen_vocabulary *vocabulary = NULL
    cdef size_t size = TEXTGEN_ANY_SIZE if vocabulary_size is None else vocabulary_size
    cdef int32_t code
    # Objects that keep the bytes of the views.
    cdef list encoded = [(key.encode(), value.encode()) for key, value in props.items()]
    memset(&file, 0, sizeof(file))
    error.text, error.size = error_text, ERROR_SIZE
    file.properties = <textgen_property *>malloc((len(encoded) + 1) * sizeof(textgen_property))
    if file.properties == NULL:
        raise MemoryError("not enough memory for the metadata")
    for key, value in encoded:
        file.properties[file.property_count].key = view_of(key)
        file.properties[file.property_count].value = view_of(value)
        file.property_count += 1
    with nogil:
        code = textgen_vocabulary_create(&file, size, &vocabulary, &error)
        if code == TEXTGEN_OK:
            textgen_vocabulary_destroy(vocabulary)
    free(file.properties)
    if code != TEXTGEN_OK:
        raise_error(code, error_text)


@cython.final
cdef class ModelFile:
    """The metadata and the network of a model file. The weights stay in the file.

    Args:
        content: The content of the file, a buffer of bytes. It is not copied, and is kept as long as this
            object.

    Attributes:
        metadata: The metadata of the file, as keys and JSON texts.
        parameters: The number of weights, without the scales of 8-bit weights.

    Raises:
        ModelFileError: If the content is not an ONNX file, or is damaged. A file that is not a text
            generator, an unknown graph, or one with missing or wrong parts, raises an error only in
            ``check_graph`` and the properties that call it.
    """

    def __cinit__(self, content):
        cdef textgen_view view
        cdef textgen_error error
        cdef int32_t code
        PyObject_GetBuffer(content, &self.content, PyBUF_SIMPLE)
        view.data, view.size = <const unsigned char *>self.content.buf, self.content.len
        error.text, error.size = self.error_text, ERROR_SIZE
        self.description = <textgen_description *>malloc(sizeof(textgen_description))
        if self.description == NULL:
            raise MemoryError("not enough memory for the model")
        with nogil:
            code = textgen_onnx_read(view, &self.file, &error)
        if code != TEXTGEN_OK:
            raise_error(code, self.error_text)
        self.is_open = True
        self.metadata = {
            decode(self.file.properties[i].key): decode(self.file.properties[i].value)
            for i in range(self.file.property_count)
        }
        with nogil:
            self.graph_code = textgen_format_check(&self.file, &error)
            if self.graph_code == TEXTGEN_OK:
                self.graph_code = textgen_onnx_describe(&self.file, self.description, &error)

    def __dealloc__(self):
        if self.is_open:
            textgen_onnx_free(&self.file)
        free(self.description)
        PyBuffer_Release(&self.content)

    @property
    def parameters(self):
        return self.file.parameters - (self.description.scales if self.graph_code == TEXTGEN_OK else 0)

    def check_graph(self):
        """Check the format of the file, that the C core can run the graph, and that its parts fit together.

        Raises:
            UnknownGraphError: If the graph is not one that ``textgen-train`` writes.
            ModelFileError: If the file is not a text generator or has a newer format, or if a part of the
                graph is missing, damaged or of the wrong size.
        """
        if self.graph_code != TEXTGEN_OK:
            raise_error(self.graph_code, self.error_text)

    @property
    def vocabulary_size(self):
        """The number of logits. Raises the errors of ``check_graph``."""
        self.check_graph()
        return self.description.sizes.vocabulary

    @property
    def state_shapes(self):
        """Rows and units of each state array, by name. Raises the errors of ``check_graph``."""
        self.check_graph()
        shape = (self.description.sizes.layers, self.description.sizes.units)
        return {"hidden": shape, "cell": shape}

    @property
    def output_bias_offset(self):
        """The offset in bytes of the output biases, float32, in the content of the file.

        Raises the errors of ``check_graph``.
        """
        cdef const textgen_tensor *tensor
        self.check_graph()
        tensor = self.description.layers[self.description.sizes.layers + 1].tensors[1]
        return tensor.raw.data - <const unsigned char *>self.content.buf

    @property
    def network(self):
        """The layers and the state, as a ``Network``. Raises the errors of ``check_graph``."""
        from .network import LSTM, Embedding, Linear, Network

        self.check_graph()
        sizes = self.description.sizes
        layers = (
            Embedding("embed", sizes.vocabulary, sizes.embedding),
            *[
                LSTM(
                    f"lstm_{i}", sizes.units if i else sizes.embedding, sizes.units, bool(sizes.residual and i)
                )
                for i in range(sizes.layers)
            ],
            Linear("output", sizes.units, sizes.vocabulary),
        )
        return Network(layers, self.state_shapes, sizes.vocabulary, sizes.bits)

    @property
    def declared_state(self):
        """Rows and units of each float32 input of 3 dimensions, by name, as the file declares them.

        A dimension without a number is 0. The graph is not checked.
        """
        return {
            decode(self.file.inputs[i].name): (self.file.inputs[i].shape[0], self.file.inputs[i].shape[2])
            for i in range(self.file.input_count)
            if self.file.inputs[i].dimensions == 3 and self.file.inputs[i].type == TEXTGEN_ONNX_FLOAT
        }
