"""The ONNX graph of a model file, built node by node from the description of a network.

``build_model`` is the entry point. ``WRITERS`` maps each layer type to the function that writes its nodes.
The C core expects these nodes of an LSTM (``runtime/core/onnx.c``).

torch's own exporter writes an LSTM layer as about twenty nodes. Many of them slice and transpose weights,
which takes time at every step. The graph of this module has one LSTM or GRU node per layer. The module needs
onnx and numpy, but not torch.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.model_file import LOGITS, NEXT, TOKEN, Metadata

from textgen_train.export.network import GRU, LSTM, Cell, Conv, Embedding, Layer, Linear, Network

# The oldest version of the ONNX format that can represent the graph, so that old ONNX runtimes can load it.
IR_VERSION = 9

# The oldest operator set that the graph can have.
OPSET = 17

# A protobuf message must be smaller than 2 GiB. A twentieth of it is reserved for all data except weights.
MAX_PARAMETERS = 510_000_000

# The float32 arrays of a layer, in torch's layout:
# Embedding: weight [inputs, outputs]. For one-hot input it is the identity matrix.
# LSTM: input [4 * outputs, inputs], recurrent [4 * outputs, outputs], bias [4 * outputs]. The gates are in
#   the order input, forget, cell, output. The bias is the sum of torch's two biases.
# GRU: input [3 * outputs, inputs], recurrent [3 * outputs, outputs], bias and recurrent_bias [3 * outputs].
#   The gates are in the order reset, update, new.
# Conv: weight [2 * outputs, 2 * inputs], bias [2 * outputs]. Rows: filters, gates. Columns: the older inputs,
#   the newer inputs.
# Linear: weight [outputs, inputs], bias [outputs].
LayerWeights: TypeAlias = Mapping[str, NDArray[np.float32]]


class GraphBuilder:
    """Collects the nodes and initializers of a graph, layer by layer.

    Attributes:
        layer_input: Name of the tensor that is the input of the next layer.
    """

    def __init__(self, network: Network) -> None:
        self.layer_input = TOKEN
        self._network = network
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, NDArray[Any]] = {}
        # Number of layers that use each state array: all of them, and those so far.
        self._state_users = {
            name: sum(name in layer.state for layer in network.layers) for name in network.state
        }
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

    def add_integer(self, name: str, value: int) -> str:
        """Add a constant int64 tensor of shape [1] and return its name."""
        return self.add_initializer(name, np.array([value], np.int64))

    def allocate_state(self, name: str) -> tuple[str, str]:
        """Assign part of a state array to the next layer; return the names of its input and its output."""
        layer = self._state_layers[name]
        self._state_layers[name] += 1
        return self._state_name(name, layer), self._state_name(NEXT + name, layer)

    def _state_name(self, name: str, layer: int) -> str:
        """Return the name of a layer's part of a state array, or of the array if one layer uses it."""
        return name if self._state_users[name.removeprefix(NEXT)] == 1 else f"{name}_{layer}"

    def _state_nodes(self) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
        """Return the Split nodes before the layers and the Concat nodes after them, for shared arrays."""
        split, join = [], []
        for name, users in self._state_users.items():
            if users > 1:
                states = [self._state_name(name, i) for i in range(users)]
                next_states = [self._state_name(NEXT + name, i) for i in range(users)]
                split.append(helper.make_node("Split", [name], states, f"split_{name}", axis=0))
                join.append(helper.make_node("Concat", next_states, [NEXT + name], f"join_{name}", axis=0))
        return split, join

    def build(self) -> onnx.GraphProto:
        """Return the complete graph."""
        info = helper.make_tensor_value_info
        shapes: dict[str, list[int | str | None]] = {
            name: [rows, "batch", units] for name, (rows, units) in self._network.state.items()
        }
        split, join = self._state_nodes()
        return helper.make_graph(
            # ONNX requires topological order. The first node, the embedding, does not use the state.
            [self._nodes[0], *split, *self._nodes[1:], *join],
            f"character_{self._network.layers[1].kind}",
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


# torch orders the four gates as input, forget, cell, output; ONNX as input, output, forget, cell.
ONNX_LSTM_GATES = (0, 3, 1, 2)
# torch orders the three gates as reset, update, new; ONNX as update, reset, hidden.
ONNX_GRU_GATES = (1, 0, 2)

# The end of a Slice node that goes to the end of the axis.
SLICE_END = np.iinfo(np.int64).max


def _write_embedding(graph: GraphBuilder, layer: Embedding, weights: LayerWeights) -> None:
    table = graph.add_initializer("embedding", weights["weight"], (layer.inputs, layer.outputs))
    graph.add_node("Gather", [table, graph.layer_input], ["embedded"], layer.name)
    graph.layer_input = "embedded"


def _write_lstm(graph: GraphBuilder, layer: LSTM, weights: LayerWeights) -> None:
    bias = _reorder_gates(weights["bias"], ONNX_LSTM_GATES)
    # ONNX, like torch, has an input bias and a recurrent bias. The second one is zero.
    biases = np.concatenate([bias, np.zeros_like(bias)])
    _write_recurrent(graph, layer, weights, ONNX_LSTM_GATES, biases)


def _write_gru(graph: GraphBuilder, layer: GRU, weights: LayerWeights) -> None:
    biases = [_reorder_gates(weights[name], ONNX_GRU_GATES) for name in ("bias", "recurrent_bias")]
    # As in torch, the reset gate multiplies the product with the recurrent weights, not the hidden state.
    _write_recurrent(graph, layer, weights, ONNX_GRU_GATES, np.concatenate(biases), linear_before_reset=1)


def _write_recurrent(
    graph: GraphBuilder,
    layer: LSTM | GRU,
    weights: LayerWeights,
    gates: Sequence[int],
    bias: NDArray[np.float32],
    **attributes: Any,
) -> None:
    """Write the node of an LSTM or a GRU. ``gates`` is the order of ONNX's gates in torch's order."""
    number = layer.name.removeprefix(f"{layer.kind}_")
    units, rows = layer.outputs, len(gates) * layer.outputs
    state_names = [graph.allocate_state(name) for name in layer.state]
    initializers = [
        graph.add_initializer(
            f"input_{number}", _reorder_gates(weights["input"], gates)[np.newaxis], (1, rows, layer.inputs)
        ),
        graph.add_initializer(
            f"recurrent_{number}", _reorder_gates(weights["recurrent"], gates)[np.newaxis], (1, rows, units)
        ),
        graph.add_initializer(f"bias_{number}", bias[np.newaxis], (1, 2 * rows)),
    ]
    directions, output = f"directions_{number}", f"output_{number}"
    graph.add_node(
        layer.kind.upper(),
        [graph.layer_input, *initializers, "", *(before for before, _ in state_names)],
        [directions, *(after for _, after in state_names)],
        layer.name,
        hidden_size=units,
        **attributes,
    )
    # The output has shape [time, directions, batch, units], with one direction.
    axis = graph.add_integer("direction_axis", 1)
    graph.add_node("Squeeze", [directions, axis], [output], f"squeeze_{number}")
    _end_layer(graph, layer, output, number)


def _write_conv(graph: GraphBuilder, layer: Conv, weights: LayerWeights) -> None:
    number = layer.name.removeprefix("conv_")
    ((inputs, next_inputs),) = [graph.allocate_state(name) for name in layer.state]
    units = layer.outputs
    matrix = graph.add_initializer(f"weights_{number}", weights["weight"].T, (2 * layer.inputs, 2 * units))
    bias = graph.add_initializer(f"bias_{number}", weights["bias"], (2 * units,))
    start, axis = graph.add_integer("start", 0), graph.add_integer("time_axis", 0)
    end = graph.add_integer("end", int(SLICE_END))
    older_end = graph.add_integer(f"older_end_{number}", -layer.dilation)

    def add(kind: str, inputs: Sequence[str], outputs: str, **attributes: Any) -> str:
        """Add a node that has the name of its output, and return this name."""
        name = f"{outputs}_{number}"
        graph.add_node(kind, inputs, [name], name, **attributes)
        return name

    buffer = add("Concat", [inputs, graph.layer_input], "buffer", axis=0)
    graph.add_node("Slice", [buffer, older_end, end, axis], [next_inputs], f"last_{number}")
    older = add("Slice", [buffer, start, older_end, axis], "older")
    taps = add("Concat", [older, graph.layer_input], "taps", axis=2)
    graph.add_node("MatMul", [taps, matrix], [f"products_{number}"], layer.name)
    sums = add("Add", [f"products_{number}", bias], "sums")
    halves = [f"filter_{number}", f"gate_{number}"]
    graph.add_node("Split", [sums], halves, f"split_{number}", axis=2)
    gated = [add("Tanh", halves[:1], "tanh"), add("Sigmoid", halves[1:], "sigmoid")]
    _end_layer(graph, layer, add("Mul", gated, "output"), number)


def _end_layer(graph: GraphBuilder, layer: Cell, output: str, number: str) -> None:
    """Set the input of the next layer. Add a residual connection if the layer has one."""
    if layer.residual:
        graph.add_node("Add", [output, graph.layer_input], [f"residual_{number}"], f"residual_{number}")
        output = f"residual_{number}"
    graph.layer_input = output


def _write_linear(graph: GraphBuilder, layer: Linear, weights: LayerWeights) -> None:
    matrix = graph.add_initializer("output_weights", weights["weight"].T, (layer.inputs, layer.outputs))
    bias = graph.add_initializer("output_bias", weights["bias"], (layer.outputs,))
    graph.add_node("MatMul", [graph.layer_input, matrix], ["scores"], layer.name)
    graph.add_node("Add", ["scores", bias], [LOGITS], "add_bias")
    graph.layer_input = LOGITS


# The writer of each layer type.
WRITERS: dict[type[Layer], Callable[[GraphBuilder, Any, LayerWeights], None]] = {
    Embedding: _write_embedding,
    LSTM: _write_lstm,
    GRU: _write_gru,
    Conv: _write_conv,
    Linear: _write_linear,
}


def _reorder_gates(rows: NDArray[np.float32], gates: Sequence[int]) -> NDArray[np.float32]:
    """Reorder the gates from torch's order to ONNX's; the first axis is [gates * units]."""
    return rows.reshape(len(gates), -1, *rows.shape[1:])[list(gates)].reshape(rows.shape)


def restore_gates(rows: NDArray[np.float32], gates: Sequence[int]) -> NDArray[np.float32]:
    """Reorder the gates from ONNX's order to torch's; the first axis is [gates * units]."""
    return _reorder_gates(rows, np.argsort(gates).tolist())


def build_model(network: Network, weights: Sequence[LayerWeights], metadata: Metadata) -> onnx.ModelProto:
    """Return the model file of a network, checked with ONNX's own checker.

    Raises:
        ValueError: If an array does not have the shape that its layer requires.
        onnx.checker.ValidationError: If the graph is invalid, which is a defect of this module.
    """
    graph = GraphBuilder(network)
    for layer, arrays in zip(network.layers, weights, strict=True):
        WRITERS[type(layer)](graph, layer, arrays)
    model = helper.make_model(
        graph.build(),
        producer_name="textgen-train",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, metadata.to_props(network.state))
    onnx.checker.check_model(model, full_check=True)
    return model


def replace_metadata(content: bytes, metadata: Metadata) -> bytes:
    """Return the bytes of a model file with other metadata."""
    model = onnx.ModelProto.FromString(content)
    del model.metadata_props[:]
    state = [value.name for value in model.graph.input if value.name != TOKEN]
    helper.set_model_props(model, metadata.to_props(state))
    return model.SerializeToString()
