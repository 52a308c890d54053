"""Models with 8-bit weights. As a program, it writes ``data/tiny_int8.onnx``.

python -m tests.helpers.int8_models
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from tests.helpers.damaged_models import tensor
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import TINY_INT8

# The bounds of a weight, and of the sum of two neighbors: runtime/core/kernels/kernels.h.
LEVELS, PAIR_BOUND = 127, 129


def pair_sums(weights: NDArray[Any]) -> NDArray[Any]:
    """Return the absolute sums of the weights 0 and 1, 2 and 3, ... of each row."""
    padded = np.pad(weights, [(0, 0), (0, weights.shape[1] % 2)])
    return np.asarray(np.abs(padded[:, ::2] + padded[:, 1::2]))


def quantize_rows(rows: NDArray[np.float32], *, pairs: bool) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return 8-bit weights and the scale of each row."""
    largest = np.abs(rows).max(axis=1) / LEVELS
    if pairs:
        largest = np.maximum(largest, pair_sums(rows).max(axis=1) / PAIR_BOUND)
    scales = np.maximum(largest, 1e-30).astype(np.float32)
    while True:
        values = np.rint(rows / scales[:, None]).astype(np.int64)
        exceeds = np.abs(values).max(axis=1) > LEVELS
        if pairs:
            exceeds |= pair_sums(values).max(axis=1) > PAIR_BOUND
        if not exceeds.any():
            return values.astype(np.int8), scales
        scales[exceeds] *= np.float32(1 + 2**-10)


def quantize_weight(model: onnx.ModelProto, name: str, axis: int) -> onnx.NodeProto:
    """Replace an initializer by one of 8 bits and its scales. Return the node that multiplies them."""
    weight = tensor(model, name)
    array = numpy_helper.to_array(weight)
    rows = array.T if name == "output_weights" else array.reshape(-1, array.shape[-1])
    values, scales = quantize_rows(rows, pairs=name != "embedding")
    stored = (values.T if name == "output_weights" else values).reshape(array.shape)
    model.graph.initializer.remove(weight)
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.ascontiguousarray(stored), f"{name}_int8"),
            numpy_helper.from_array(scales, f"{name}_scale"),
        ]
    )
    inputs = [f"{name}_int8", f"{name}_scale"]
    return helper.make_node("DequantizeLinear", inputs, [name], f"{name}_dequantize", axis=axis)


def make_int8_model(*arguments: Any, **sizes: Any) -> onnx.ModelProto:
    """Return a model with random 8-bit weights. The arguments are those of ``make_model``."""
    return quantize_model(make_model(*arguments, **sizes))


def quantize_model(model: onnx.ModelProto, weights: Sequence[str] = ()) -> onnx.ModelProto:
    """Return a copy of a model with 8-bit weights.

    Args:
        model: A model with float32 weights.
        weights: The names of the weights to quantize; all weights by default.
    """
    quantized = onnx.ModelProto()
    quantized.CopyFrom(model)
    if not weights:
        recurrent = [each.name for each in model.graph.initializer if each.name.startswith("recurrent_")]
        layers = [[name.replace("recurrent", "input"), name] for name in recurrent]
        weights = ["embedding", *chain(*layers), "output_weights"]
    nodes = [quantize_weight(quantized, name, int(name != "embedding")) for name in weights]
    every = [*nodes, *quantized.graph.node]
    del quantized.graph.node[:]
    quantized.graph.node.extend(every)
    for entry in quantized.metadata_props:
        if entry.key == "textgen.format":
            entry.value = "2"
    return quantized


if __name__ == "__main__":
    model = make_int8_model(units=20, embedding=12, layers=2, residual=True, scale=0.5)
    TINY_INT8.write_bytes(model.SerializeToString(deterministic=True))
