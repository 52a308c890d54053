"""8-bit weights in the graph of a model file.

Each output of a matrix has a scale. Its weights are its int8 weights times this scale. The float32
initializer ``x`` of a matrix becomes the int8 initializer ``x_int8``, the float32 initializer ``x_scale`` and
a DequantizeLinear node, whose output is ``x``. All other nodes and initializers stay the same. The module
needs onnx and numpy, but not torch.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

# The largest absolute value of a weight. -128 is not used, so that the weights are symmetric.
MAX_WEIGHT = 127

# The largest absolute value of the sum of two neighboring weights. The native engine multiplies weights by
# inputs from 0 to 254. On processors with AVX2, it adds the two products as 16-bit integers: 254 * 129 is
# 32,766, and the largest is 32,767. Source: the project rnnoise bounds the scales of its weights in this way.
MAX_PAIR = 129

# The share by which a scale is raised at a time. Rounding changes the sum of a pair by at most 1, so a scale
# that is larger by 1 / 128 always suffices.
RAISE = 2.0**-14

# The smallest scale. Processors compute with smaller numbers slowly, or as zero.
MIN_SCALE = float(np.finfo(np.float32).tiny)


class QuantizedRows(NamedTuple):
    """A matrix with 8-bit weights.

    Attributes:
        weights: Shape [outputs, inputs], int8, from -127 to 127.
        scales: Shape [outputs], float32, all above 0.
    """

    weights: NDArray[np.int8]
    scales: NDArray[np.float32]

    @property
    def values(self) -> NDArray[np.float32]:
        """The weights as float32, shape [outputs, inputs]."""
        return self.weights * self.scales[:, np.newaxis]


def quantize_rows(rows: NDArray[np.float32], *, bounds_pairs: bool) -> QuantizedRows:
    """Return the 8-bit weights of a matrix with the smallest scales that the bounds allow.

    Args:
        rows: Shape [outputs, inputs], float32, finite.
        bounds_pairs: Whether the sum of the weights 2k and 2k + 1 of a row is at most 129 in absolute value.
            The rows of an embedding are not multiplied, and need no such bound.
    """
    exact = rows.astype(np.float64)
    scales = np.abs(exact).max(axis=1, initial=0.0) / MAX_WEIGHT
    if bounds_pairs:
        scales = np.maximum(scales, _largest_pairs(exact) / MAX_PAIR)
    scales = np.maximum(scales, MIN_SCALE).astype(np.float32)
    while True:
        weights = np.rint(exact / scales[:, np.newaxis].astype(np.float64))
        exceeds = np.abs(weights).max(axis=1, initial=0.0) > MAX_WEIGHT
        if bounds_pairs:
            exceeds |= _largest_pairs(weights) > MAX_PAIR
        if not exceeds.any():
            return QuantizedRows(weights.astype(np.int8), scales)
        # If both weights of a pair are rounded up, their sum can exceed the bound: 65.5 and 63.5 become 66
        # and 64.
        scales[exceeds] *= np.float32(1 + RAISE)


def _largest_pairs(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest absolute sum of two neighboring weights of each row, shape [outputs]."""
    paired = rows[:, : rows.shape[1] // 2 * 2]
    largest: NDArray[np.float64] = np.abs(paired[:, ::2] + paired[:, 1::2]).max(axis=1, initial=0.0)
    return largest


DEQUANTIZE = "DequantizeLinear"


class _Matrix(NamedTuple):
    """A matrix with 8-bit weights in a graph.

    Attributes:
        axis: The axis of the outputs, each of which has a scale.
        is_multiplied: Whether vectors are multiplied with the matrix.
    """

    name: str
    axis: int
    is_multiplied: bool = True


def quantize_graph(graph: onnx.GraphProto) -> None:
    """Replace the weights of a graph by 8-bit weights. The biases stay float32.

    Args:
        graph: A graph of an LSTM with float32 weights, as ``build_model`` returns it.
    """
    matrices = {matrix.name: matrix for matrix in _matrices(graph)}
    initializers = list(graph.initializer)
    del graph.initializer[:]
    for tensor in initializers:
        matrix = matrices.get(tensor.name)
        graph.initializer.extend(_quantized_tensors(tensor, matrix) if matrix else [tensor])
    nodes = list(graph.node)
    del graph.node[:]
    graph.node.extend([*map(_dequantize_node, matrices.values()), *nodes])


def dequantized_arrays(graph: onnx.GraphProto) -> Mapping[str, NDArray[np.float32]]:
    """Return the float32 weights that the DequantizeLinear nodes of a graph compute, by name.

    Raises:
        KeyError: If a node has no initializer.
    """
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    arrays = {}
    for node in graph.node:
        if node.op_type == DEQUANTIZE:
            weights, scales = (numpy_helper.to_array(tensors[name]) for name in node.input)
            (axis,) = (attribute.i for attribute in node.attribute)
            shape = [-1 if i == axis else 1 for i in range(weights.ndim)]
            arrays[node.output[0]] = weights * scales.reshape(shape)
    return arrays


def is_quantized(graph: onnx.GraphProto) -> bool:
    """Return whether a graph has 8-bit weights."""
    return any(node.op_type == DEQUANTIZE for node in graph.node)


def _matrices(graph: onnx.GraphProto) -> Iterator[_Matrix]:
    """Yield the matrices of a graph in the order of their use."""
    for node in graph.node:
        if node.op_type == "Gather":
            yield _Matrix(node.input[0], 0, is_multiplied=False)
        elif node.op_type == "LSTM":
            # Shape [directions, rows, columns], with one direction.
            yield _Matrix(node.input[1], 1)
            yield _Matrix(node.input[2], 1)
        elif node.op_type == "MatMul":
            yield _Matrix(node.input[1], 1)


def _quantized_tensors(tensor: TensorProto, matrix: _Matrix) -> list[TensorProto]:
    """Return the int8 initializer of a matrix, and that of its scales."""
    array = numpy_helper.to_array(tensor)
    outputs_first = np.moveaxis(array, matrix.axis, 0)
    rows = outputs_first.reshape(len(outputs_first), -1)
    weights, scales = quantize_rows(rows, bounds_pairs=matrix.is_multiplied)
    quantized = np.moveaxis(weights.reshape(outputs_first.shape), 0, matrix.axis)
    return [
        numpy_helper.from_array(np.ascontiguousarray(quantized), f"{tensor.name}_int8"),
        numpy_helper.from_array(scales, f"{tensor.name}_scale"),
    ]


def _dequantize_node(matrix: _Matrix) -> onnx.NodeProto:
    name = matrix.name
    inputs = [f"{name}_int8", f"{name}_scale"]
    return helper.make_node(DEQUANTIZE, inputs, [name], f"{name}_dequantize", axis=matrix.axis)
