"""The weights of a model file, the inverse of ``onnx_graph.build_model``; weights of new symbols.

``_READERS`` maps each layer type to the function that reads its weights. The module needs onnx and numpy, but
not torch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import numpy_helper
from textgen_runtime.engine import NativeEngine
from textgen_runtime.errors import ModelFileError

from textgen_train.export.network import LSTM, Embedding, Layer, Linear, network_of

from .onnx_graph import ONNX_LSTM_GATES, LayerWeights, restore_gates
from .quantized_graph import dequantized_arrays

# The initializers of a graph by name.
Initializers: TypeAlias = Mapping[str, NDArray[Any]]


def read_weights(content: bytes) -> list[LayerWeights]:
    """Return the float32 arrays of each layer of a model file, in torch's layout.

    8-bit weights are converted to float32.

    Raises:
        ModelFileError: If the file is damaged, or if ``textgen-train`` has not written it.
    """
    network = network_of(NativeEngine(content))
    try:
        graph = onnx.ModelProto.FromString(content).graph
        initializers = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        initializers.update(dequantized_arrays(graph))
        return [_READERS[type(layer)](layer, initializers) for layer in network.layers]
    except (DecodeError, KeyError, TypeError, ValueError) as error:
        raise ModelFileError(f"the weights cannot be read from the graph: {error}") from error


def _read_embedding(layer: Embedding, initializers: Initializers) -> LayerWeights:
    del layer
    return {"weight": _array(initializers["embedding"])}


def _read_lstm(layer: LSTM, initializers: Initializers) -> LayerWeights:
    number = layer.name.removeprefix("lstm_")
    input_bias, recurrent_bias = initializers[f"bias_{number}"].reshape(2, -1)
    arrays = {
        "input": initializers[f"input_{number}"][0],
        "recurrent": initializers[f"recurrent_{number}"][0],
        "bias": input_bias + recurrent_bias,
    }
    return {name: _array(restore_gates(array, ONNX_LSTM_GATES)) for name, array in arrays.items()}


def _read_linear(layer: Linear, initializers: Initializers) -> LayerWeights:
    del layer
    return {"weight": _array(initializers["output_weights"].T), "bias": _array(initializers["output_bias"])}


# The reader of each layer type. Its arguments are the layer and the initializers of the graph.
_READERS: dict[type[Layer], Callable[[Any, Initializers], LayerWeights]] = {
    Embedding: _read_embedding,
    LSTM: _read_lstm,
    Linear: _read_linear,
}


def _array(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return a contiguous copy that can be written."""
    return np.array(values, np.float32, order="C")


# The rows of a symbol that does not occur in the training text, but in the held-out text, need a frequency.
PSEUDOCOUNT = 0.5


def add_symbols(weights: Sequence[LayerWeights], counts: NDArray[np.int64]) -> list[LayerWeights]:
    """Return the weights of a network with a larger vocabulary. The new symbols are the last ones.

    The new rows of the embedding and of the output weights are the means of the existing rows. The output
    bias of a new symbol gives it the ratio of its frequency to that of all other symbols, as far as the
    biases alone determine the probabilities.

    Args:
        counts: How often each symbol of the larger vocabulary occurs in the training text; shape
            [vocabulary], int64.
    """
    embedding, *layers, output = weights
    known = len(output["bias"])
    new = len(counts) - known
    bias = output["bias"].astype(np.float64)
    total = np.logaddexp.reduce(bias)
    new_bias = total + np.log((counts[known:] + PSEUDOCOUNT) / max(counts[:known].sum(), 1))
    return [
        {"weight": _add_mean_rows(embedding["weight"], new)},
        *layers,
        {
            "weight": _add_mean_rows(output["weight"], new),
            "bias": np.concatenate([bias, new_bias]).astype(np.float32),
        },
    ]


def _add_mean_rows(rows: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    mean = rows.mean(axis=0, keepdims=True, dtype=np.float64).astype(np.float32)
    return np.concatenate([rows, np.repeat(mean, count, axis=0)])
