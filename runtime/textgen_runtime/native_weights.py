"""A model's weights as the kernels read them: in blocks, in order, padded and aligned (``kernels.h``)."""

from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from .errors import ModelFileError
from .native_graph import GraphWeights
from .native_tensors import Weights

GROUP = 16
BLOCK = 64
ALIGNMENT = 64

# ONNX keeps the gates as input, output, forget, cell; the kernels want input, forget, cell, output.
KERNEL_GATES_IN_ONNX_ORDER = (0, 2, 3, 1)

# The first layer's products are a table of a row for each token. It must not take memory without bounds: an
# alphabet of 20,000 signs with 1,024 units is left to onnxruntime.
LARGEST_TABLE_BYTES = 2**28

# Units are padded to whole groups, which multiplies the weights of a very small layer. Many such layers must
# not take memory without bounds either.
LARGEST_PADDING_BYTES = 2**28

# The table is computed in float64 in slices of about this size.
SLICE_BYTES = 2**24


class TooLargeError(ModelFileError):
    """A known graph whose table would be too large: onnxruntime can run it."""


@dataclass(frozen=True)
class PackedWeights:
    """Arrays for the kernels; each is float32, contiguous and aligned.

    Attributes:
        units: Units a layer, without padding.
        vocabulary: Characters, without padding.
        rows: Shape [vocabulary, groups, BLOCK].
        weights: For each layer, shape [groups, inputs, BLOCK].
        biases: For each layer, shape [groups, BLOCK]; the first one's is not read.
        output: Shape [vocabulary blocks, padded units, BLOCK].
        output_bias: Shape [padded vocabulary].
    """

    units: int
    vocabulary: int
    rows: Weights
    weights: tuple[Weights, ...]
    biases: tuple[Weights, ...]
    output: Weights
    output_bias: Weights

    @property
    def step_bytes(self) -> int:
        """What one step reads: every weight once, and one row."""
        return sum(array.nbytes for array in (*self.weights, self.output, self.output_bias, self.rows[0]))


def pack(graph: GraphWeights) -> PackedWeights:
    """Lay out a graph's weights for the kernels.

    Raises:
        TooLargeError: If the vocabulary and the units are too many for this engine.
        ModelFileError: If its layers are too many, or sums of the weights are too large for float32.
    """
    units, vocabulary = graph.output.shape
    check_sizes(units, vocabulary, len(graph.layers))
    padded = _padded(units, GROUP)
    weights, biases = [], []
    for i, layer in enumerate(graph.layers):
        recurrent = _pad(layer.recurrent, padded)
        inputs = np.hstack([_pad(layer.input, padded), recurrent]) if i else recurrent
        weights.append(_aligned(_gate_blocks(inputs.T, units, padded).transpose(1, 0, 2)))
        bias = layer.bias[: 4 * units].astype(np.float64) + layer.bias[4 * units :]
        biases.append(_aligned(_gate_blocks(bias[np.newaxis], units, padded)[0]))
    return PackedWeights(
        units=units,
        vocabulary=vocabulary,
        rows=_first_layer_rows(graph, units, padded),
        weights=tuple(weights),
        biases=tuple(biases),
        output=_output_blocks(graph.output, padded),
        output_bias=_aligned(_pad(graph.output_bias[np.newaxis], _padded(vocabulary, BLOCK))[0]),
    )


def check_sizes(units: int, vocabulary: int, layers: int) -> None:
    """See that the weights will not take much more memory than their file, before any of them is read.

    Raises:
        TooLargeError: If the vocabulary and the units are too many for this engine.
        ModelFileError: If it has so many tiny layers that most of its weights would be padding.
    """
    # Each of the four gates reads the layer below and its own layer.
    padding = layers * 4 * 2 * (_padded(units, GROUP) ** 2 - units**2) * 4
    if padding > LARGEST_PADDING_BYTES:
        raise ModelFileError(
            f"its {layers:,} layers of {units:,} units would take many times the memory of the file: they "
            "are too many"
        )
    if vocabulary * 4 * _padded(units, GROUP) * 4 > LARGEST_TABLE_BYTES:
        raise TooLargeError(
            f"its vocabulary of {vocabulary:,} characters is too large for the native engine at {units:,} "
            "units"
        )


def _first_layer_rows(graph: GraphWeights, units: int, padded: int) -> Weights:
    """The first layer's products, a slice of the vocabulary at a time."""
    first, vocabulary = graph.layers[0], len(graph.embedding)
    # In float64, because the sum is one number from here on.
    inputs = first.input.T.astype(np.float64)
    bias = first.bias[: 4 * units].astype(np.float64) + first.bias[4 * units :]
    rows = _aligned_zeros(vocabulary, padded // GROUP, BLOCK)
    size = max(1, SLICE_BYTES // (4 * padded * 8))
    for start in range(0, vocabulary, size):
        products = graph.embedding[start : start + size].astype(np.float64) @ inputs + bias
        _fill(rows[start : start + size], _gate_blocks(products, units, padded))
    return rows


def _output_blocks(output: Weights, padded: int) -> Weights:
    """From [units, vocabulary] to [vocabulary blocks, padded units, BLOCK]."""
    units, vocabulary = output.shape
    blocks = _aligned_zeros(-(-vocabulary // BLOCK), padded, BLOCK)
    whole = vocabulary // BLOCK
    blocks[:whole, :units] = output[:, : whole * BLOCK].reshape(units, whole, BLOCK).transpose(1, 0, 2)
    if rest := vocabulary % BLOCK:
        blocks[whole, :units, :rest] = output[:, whole * BLOCK :]
    return blocks


def _padded(size: int, to: int) -> int:
    return -(-size // to) * to


def _pad(matrix: NDArray[np.floating], columns: int) -> NDArray[np.floating]:
    """Zeros on the right."""
    return np.pad(matrix, ((0, 0), (0, columns - matrix.shape[1])))


def _gate_blocks(rows: NDArray[np.floating], units: int, padded: int) -> NDArray[np.floating]:
    """From [n, 4 * units] in ONNX's order of gates to [n, groups, BLOCK] in the kernels'."""
    gates = rows.reshape(len(rows), 4, units)[:, list(KERNEL_GATES_IN_ONNX_ORDER)]
    gates = np.pad(gates, ((0, 0), (0, 0), (0, padded - units)))
    groups = gates.reshape(len(rows), 4, padded // GROUP, GROUP).transpose(0, 2, 1, 3)
    return groups.reshape(len(rows), padded // GROUP, BLOCK)


def _aligned(values: NDArray[np.floating]) -> Weights:
    """A contiguous float32 copy that starts on a cache line.

    Raises:
        ModelFileError: If a value is too large for float32.
    """
    copy = _aligned_zeros(*values.shape)
    _fill(copy, values)
    return copy


def _aligned_zeros(*shape: int) -> Weights:
    size = prod(shape) * 4
    room = np.zeros(size + ALIGNMENT, np.uint8)
    start = -room.__array_interface__["data"][0] % ALIGNMENT
    return room[start : start + size].view(np.float32).reshape(shape)


def _fill(array: Weights, values: NDArray[np.floating]) -> None:
    with np.errstate(over="ignore"):
        array[...] = values
    if not np.isfinite(array).all():
        raise ModelFileError("its weights are too large to be added up: the model is damaged")
