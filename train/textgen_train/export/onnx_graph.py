"""The ONNX graph of a model file, built node by node from the description of a network.

``build_model`` is the entry point. ``_WRITERS`` maps each layer type to the function that writes its nodes;
add a GRU there.

torch's own exporter writes an LSTM layer as about twenty nodes. Many of them slice and transpose weights,
which takes time at every step. The graph of this module has one LSTM node per layer. The module needs onnx
and numpy, but not torch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.model_file.graph_names import LOGITS, NEXT, TOKEN
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.network import LSTM, Embedding, Layer, Linear, Network
from textgen_runtime.model_file.reader import OPSET

# The oldest version of the ONNX format that can represent the graph, so that old ONNX runtimes can load it.
IR_VERSION = 9

# torch orders the four gates as input, forget, cell, output; ONNX as input, output, forget, cell.
ONNX_GATES_IN_TORCH_ORDER = (0, 3, 1, 2)

# A protobuf message must be smaller than 2 GiB. A twentieth of it is reserved for all data except weights.
MAX_PARAMETERS = 510_000_000

# The float32 arrays of a layer, in torch's layout:
# Embedding: weight [inputs, outputs]. For one-hot input it is the identity matrix.
# LSTM: input [4 * outputs, inputs], recurrent [4 * outputs, outputs], bias [4 * outputs]. The gates are in
#   the order input, forget, cell, output. The bias is the sum of torch's two biases.
# Linear: weight [outputs, inputs], bias [outputs].
LayerWeights: TypeAlias = Mapping[str, NDArray[np.float32]]


def build_model(network: Network, weights: Sequence[LayerWeights], metadata: Metadata) -> onnx.ModelProto:
    """Return the model file of a network, checked with ONNX's own checker.

    Args:
        network: The description of the network.
        weights: The arrays of each layer.
        metadata: The metadata of the file.

    Raises:
        ValueError: If an array does not have the shape that its layer requires.
        onnx.checker.ValidationError: If the graph is invalid, which is a defect of this module.
    """
    graph = _GraphBuilder(network)
    for layer, arrays in zip(network.layers, weights, strict=True):
        _WRITERS[type(layer)](graph, layer, arrays)
    model = helper.make_model(
        graph.build(),
        producer_name="textgen-train",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, metadata.to_props())
    onnx.checker.check_model(model, full_check=True)
    return model


def replace_metadata(content: bytes, metadata: Metadata) -> bytes:
    """Return the bytes of a model file with other metadata."""
    model = onnx.ModelProto.FromString(content)
    del model.metadata_props[:]
    helper.set_model_props(model, metadata.to_props())
    return model.SerializeToString()


class _GraphBuilder:
    """Collects the nodes and initializers of a graph, layer by layer.

    Attributes:
        layer_input: Name of the tensor that is the input of the next layer.
    """

    def __init__(self, network: Network) -> None:
        self.layer_input = TOKEN
        self._network = network
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, NDArray[Any]] = {}
        # Number of layers so far that use each state tensor.
        self._state_layers = dict.fromkeys(network.state, 0)

    def add_node(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], name: str, **attributes: Any
    ) -> None:
        self._nodes.append(helper.make_node(kind, inputs, outputs, name, **attributes))

    def add_initializer(self, name: str, array: NDArray[Any], shape: tuple[int, ...] | None = None) -> str:
        """Add a constant tensor and return its name.

        Raises:
            ValueError: If the array does not have the given shape.
        """
        if shape is not None and array.shape != shape:
            raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
        self._tensors[name] = array
        return name

    def allocate_state(self, name: str) -> tuple[str, str]:
        """Assign part of a state tensor to the next layer; return the names of its input and its output."""
        layer = self._state_layers[name]
        self._state_layers[name] += 1
        return self._state_name(name, layer), self._state_name(NEXT + name, layer)

    def _state_name(self, name: str, layer: int) -> str:
        """Return the name of a layer's part of a state tensor, or of the tensor if there is one layer."""
        layers, _ = self._network.state[name.removeprefix(NEXT)]
        return name if layers == 1 else f"{name}_{layer}"

    def _state_nodes(self) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
        """Return the Split nodes before the layers and the Concat nodes after them, for multiple layers."""
        split, join = [], []
        for name, (layers, _) in self._network.state.items():
            if layers > 1:
                states = [self._state_name(name, i) for i in range(layers)]
                next_states = [self._state_name(NEXT + name, i) for i in range(layers)]
                split.append(helper.make_node("Split", [name], states, f"split_{name}", axis=0))
                join.append(helper.make_node("Concat", next_states, [NEXT + name], f"join_{name}", axis=0))
        return split, join

    def build(self) -> onnx.GraphProto:
        """Return the complete graph."""
        info = helper.make_tensor_value_info
        shapes: dict[str, list[int | str | None]] = {
            name: [layers, "batch", units] for name, (layers, units) in self._network.state.items()
        }
        split, join = self._state_nodes()
        return helper.make_graph(
            # ONNX requires topological order. The first node, the embedding, does not use the state.
            [self._nodes[0], *split, *self._nodes[1:], *join],
            "character_lstm",
            [
                info(TOKEN, TensorProto.INT64, ["time", "batch"]),
                *(info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()),
            ],
            [
                info(LOGITS, TensorProto.FLOAT, ["time", "batch", self._network.vocabulary]),
                *(info(NEXT + name, TensorProto.FLOAT, shape) for name, shape in shapes.items()),
            ],
            [
                numpy_helper.from_array(np.ascontiguousarray(array), name)
                for name, array in self._tensors.items()
            ],
        )


def _write_embedding(graph: _GraphBuilder, layer: Embedding, weights: LayerWeights) -> None:
    table = graph.add_initializer("embedding", weights["weight"], (layer.inputs, layer.outputs))
    graph.add_node("Gather", [table, graph.layer_input], ["embedded"], layer.name)
    graph.layer_input = "embedded"


def _write_lstm(graph: _GraphBuilder, layer: LSTM, weights: LayerWeights) -> None:
    number = layer.name.removeprefix("lstm_")
    units = layer.outputs
    state_names = [graph.allocate_state(name) for name in layer.state]
    bias = _reorder_gates(weights["bias"])
    initializers = [
        graph.add_initializer(
            f"input_{number}", _reorder_gates(weights["input"])[np.newaxis], (1, 4 * units, layer.inputs)
        ),
        graph.add_initializer(
            f"recurrent_{number}", _reorder_gates(weights["recurrent"])[np.newaxis], (1, 4 * units, units)
        ),
        # ONNX, like torch, has an input bias and a recurrent bias. The second one is zero.
        graph.add_initializer(
            f"bias_{number}", np.concatenate([bias, np.zeros_like(bias)])[np.newaxis], (1, 8 * units)
        ),
    ]
    directions, output = f"directions_{number}", f"output_{number}"
    graph.add_node(
        "LSTM",
        [graph.layer_input, *initializers, "", *(before for before, _ in state_names)],
        [directions, *(after for _, after in state_names)],
        layer.name,
        hidden_size=units,
    )
    # The output has shape [time, directions, batch, units], with one direction.
    axis = graph.add_initializer("direction_axis", np.array([1], np.int64))
    graph.add_node("Squeeze", [directions, axis], [output], f"squeeze_{number}")
    graph.layer_input = output


def _write_linear(graph: _GraphBuilder, layer: Linear, weights: LayerWeights) -> None:
    matrix = graph.add_initializer("output_weights", weights["weight"].T, (layer.inputs, layer.outputs))
    bias = graph.add_initializer("output_bias", weights["bias"], (layer.outputs,))
    graph.add_node("MatMul", [graph.layer_input, matrix], ["scores"], layer.name)
    graph.add_node("Add", ["scores", bias], [LOGITS], "add_bias")
    graph.layer_input = LOGITS


# The writer of each layer type. To add one, such as a GRU, write a function and list it here.
_WRITERS: dict[type[Layer], Callable[[_GraphBuilder, Any, LayerWeights], None]] = {
    Embedding: _write_embedding,
    LSTM: _write_lstm,
    Linear: _write_linear,
}


def _reorder_gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder the gates from torch's order to ONNX's; the first axis is [4 * units]."""
    return _permute_gates(rows, ONNX_GATES_IN_TORCH_ORDER)


def restore_gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder the gates from ONNX's order to torch's; the first axis is [4 * units]."""
    return _permute_gates(rows, np.argsort(ONNX_GATES_IN_TORCH_ORDER).tolist())


def _permute_gates(rows: NDArray[np.float32], order: Sequence[int]) -> NDArray[np.float32]:
    gates = rows.reshape(4, -1, *rows.shape[1:])
    return gates[list(order)].reshape(rows.shape)
