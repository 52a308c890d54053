"""The ONNX graph of the model file, built by hand from weights: a handful of named nodes.

An exporter that traces torch's LSTM leaves some twenty nodes, many of them slices and transposes of
weights, and each costs time at every step. This needs onnx and numpy, not torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.contract import CELL, HIDDEN, LOGITS, NEXT_CELL, NEXT_HIDDEN, TOKEN, Contract

# The oldest that say all that the graph needs, so that old onnxruntimes and other runtimes read it.
OPSET = 17
IR_VERSION = 9

# torch keeps a layer's four gates as input, forget, cell, output; ONNX as input, output, forget, cell.
ONNX_GATES_IN_TORCH_ORDER = (0, 3, 1, 2)

# protobuf, which the file is written in, has no message of 2 GiB; a twentieth is for all that is not weights.
MOST_PARAMETERS = 510_000_000


@dataclass(frozen=True)
class LayerWeights:
    """One LSTM layer, its gates in torch's order: input, forget, cell, output.

    Attributes:
        input: Shape [4 * units, inputs], float32.
        recurrent: Shape [4 * units, units], float32.
        bias: Shape [4 * units], float32; the sum of torch's two, which always act together.
    """

    input: NDArray[np.float32]
    recurrent: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class Weights:
    """All of a character LSTM.

    Attributes:
        embedding: Shape [vocabulary, embedding], float32; the identity for one-hot input.
        layers: From the input up; the same number of units each.
        output: Shape [vocabulary, units], float32.
        output_bias: Shape [vocabulary], float32.
    """

    embedding: NDArray[np.float32]
    layers: Sequence[LayerWeights]
    output: NDArray[np.float32]
    output_bias: NDArray[np.float32]


def build_model(weights: Weights, contract: Contract) -> onnx.ModelProto:
    """The model file of some weights, checked against the ONNX standard.

    Raises:
        onnx.checker.ValidationError: If it breaks the standard, which is a defect of this module.
    """
    vocabulary, units = weights.output.shape
    layers = len(weights.layers)
    state = [layers, "batch", units]
    graph = helper.make_graph(
        _nodes(layers, units),
        "character_lstm",
        [
            helper.make_tensor_value_info(TOKEN, TensorProto.INT64, ["time", "batch"]),
            helper.make_tensor_value_info(HIDDEN, TensorProto.FLOAT, state),
            helper.make_tensor_value_info(CELL, TensorProto.FLOAT, state),
        ],
        [
            helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["time", "batch", vocabulary]),
            helper.make_tensor_value_info(NEXT_HIDDEN, TensorProto.FLOAT, state),
            helper.make_tensor_value_info(NEXT_CELL, TensorProto.FLOAT, state),
        ],
        _initializers(weights),
    )
    model = helper.make_model(
        graph,
        producer_name="textgen-train",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, contract.to_metadata())
    onnx.checker.check_model(model, full_check=True)
    return model


def replace_metadata(content: bytes, contract: Contract) -> bytes:
    """The content of a model file with the metadata of another contract."""
    model = onnx.ModelProto.FromString(content)
    del model.metadata_props[:]
    helper.set_model_props(model, contract.to_metadata())
    return model.SerializeToString()


def _nodes(layers: int, units: int) -> list[onnx.NodeProto]:
    nodes = [helper.make_node("Gather", ["embedding", TOKEN], ["embedded"], "embed")]
    hidden, cell = _per_layer(HIDDEN, layers), _per_layer(CELL, layers)
    next_hidden, next_cell = _per_layer(NEXT_HIDDEN, layers), _per_layer(NEXT_CELL, layers)
    if layers > 1:
        nodes.append(helper.make_node("Split", [HIDDEN], hidden, "split_hidden", axis=0))
        nodes.append(helper.make_node("Split", [CELL], cell, "split_cell", axis=0))
    below = "embedded"
    for i in range(layers):
        nodes.append(
            helper.make_node(
                "LSTM",
                [below, f"input_{i}", f"recurrent_{i}", f"bias_{i}", "", hidden[i], cell[i]],
                [f"directions_{i}", next_hidden[i], next_cell[i]],
                f"lstm_{i}",
                hidden_size=units,
            )
        )
        # [time, directions, batch, units], of which there is one direction.
        nodes.append(
            helper.make_node(
                "Squeeze", [f"directions_{i}", "direction_axis"], [f"output_{i}"], f"squeeze_{i}"
            )
        )
        below = f"output_{i}"
    nodes.append(helper.make_node("MatMul", [below, "output_weights"], ["scores"], "output"))
    nodes.append(helper.make_node("Add", ["scores", "output_bias"], [LOGITS], "add_bias"))
    if layers > 1:
        nodes.append(helper.make_node("Concat", next_hidden, [NEXT_HIDDEN], "join_hidden", axis=0))
        nodes.append(helper.make_node("Concat", next_cell, [NEXT_CELL], "join_cell", axis=0))
    return nodes


def _per_layer(name: str, layers: int) -> list[str]:
    """A state's name in the graph for each layer; with one layer it is the graph's own."""
    return [name] if layers == 1 else [f"{name}_{i}" for i in range(layers)]


def _initializers(weights: Weights) -> list[TensorProto]:
    arrays: dict[str, NDArray[np.float32] | NDArray[np.int64]] = {
        "embedding": weights.embedding,
        "output_weights": weights.output.T,
        "output_bias": weights.output_bias,
        "direction_axis": np.array([1], np.int64),
    }
    for i, layer in enumerate(weights.layers):
        bias = _onnx_gates(layer.bias)
        arrays[f"input_{i}"] = _onnx_gates(layer.input)[np.newaxis]
        arrays[f"recurrent_{i}"] = _onnx_gates(layer.recurrent)[np.newaxis]
        # ONNX, like torch, keeps a bias for the input and one for the recurrence; one of them is enough.
        arrays[f"bias_{i}"] = np.concatenate([bias, np.zeros_like(bias)])[np.newaxis]
    return [numpy_helper.from_array(np.ascontiguousarray(array), name) for name, array in arrays.items()]


def _onnx_gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    gates = rows.reshape(4, -1, *rows.shape[1:])
    return gates[list(ONNX_GATES_IN_TORCH_ORDER)].reshape(rows.shape)
