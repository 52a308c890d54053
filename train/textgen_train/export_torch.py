"""The ONNX graph of a network of torch, built node by node.

The C core expects these nodes of an LSTM (``runtime/core/onnx.c``). Other cells run in onnxruntime. torch's
own exporter writes an LSTM layer as about twenty nodes, many of which slice and transpose weights.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.model_file import LOGITS, NEXT, TOKEN
from torch import Tensor

if TYPE_CHECKING:
    from .networks_torch import Network

# The oldest versions that can represent the graph, so that old ONNX runtimes can load it.
IR_VERSION, OPSET = 9, 17

# A protobuf message must be smaller than 2 GiB. A twentieth of it is reserved for all data except weights.
MAX_PARAMETERS = 510_000_000

# The gates of ONNX in torch's order: torch has input, forget, cell, output of an LSTM, and reset, update, new
# of a GRU. ONNX has input, output, forget, cell, and update, reset, hidden.
ONNX_GATES = {"lstm": (0, 3, 1, 2), "gru": (1, 0, 2)}

# The end of a Slice node that goes to the end of the axis.
SLICE_END = 2**63 - 1


class Graph:
    """Collects the nodes and the constant tensors of a graph.

    Attributes:
        output: Name of the tensor that is the input of the next layer.
        users: How many layers have a part of each array of the state.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.tensors: dict[str, NDArray[Any]] = {}
        self.output = TOKEN
        self.users = Counter(name for layer in layers for name in layer.state)

    def node(self, kind: str, inputs: Sequence[str], *outputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node, which has the name of its first output unless it gets one; return this output."""
        self.nodes.append(helper.make_node(kind, inputs, outputs, name or outputs[0], **attributes))
        return outputs[0]

    def tensor(self, name: str, values: Tensor | int) -> str:
        """Add a constant tensor, or an integer of shape [1]; return its name."""
        self.tensors[name] = (
            np.array([values], np.int64)
            if isinstance(values, int)
            else np.ascontiguousarray(values.detach().float().cpu().numpy())
        )
        return name

    def part(self, name: str, i: int) -> str:
        """Return the name of a layer's part of an array of the state, which is all of it if there is one."""
        return name if self.users[name.removeprefix(NEXT)] == 1 else f"{name}_{i}"


def build_model(network: "Network", metadata: Mapping[str, str]) -> bytes:
    """Return the model file of a network.

    Args:
        network: The network.
        metadata: JSON texts by key.

    Raises:
        onnx.checker.ValidationError: If the graph is invalid, which is a defect of this module.
    """
    layers: list[Any] = list(network.layers)
    graph = Graph(layers)
    shared = {
        name: [[graph.part(prefix + name, i) for i in range(count)] for prefix in ("", NEXT)]
        for name, count in graph.users.items()
        if count > 1
    }
    table = graph.tensor("embedding", network.embedding.weight)
    graph.output = graph.node("Gather", [table, TOKEN], "embedded", name="embed")
    for name, (before, _) in shared.items():
        graph.node("Split", [name], *before, name=f"split_{name}", axis=0)
    for i, layer in enumerate(layers):
        inputs = graph.output
        (add_conv if layer.kind == "conv" else add_recurrent)(graph, layer, i)
        if network.residual and i:
            graph.output = graph.node("Add", [graph.output, inputs], f"residual_{i}")
    matrix = graph.tensor("output_weights", network.output.weight.mT)
    bias = graph.tensor("output_bias", network.output.bias)
    graph.node("MatMul", [graph.output, matrix], "scores", name="output")
    graph.node("Add", ["scores", bias], LOGITS, name="add_bias")
    for name, (_, after) in shared.items():
        graph.node("Concat", after, NEXT + name, name=f"join_{name}", axis=0)
    info = helper.make_tensor_value_info
    shapes = {
        name: [graph.users[name] * rows, "batch", units]
        for layer in layers
        for name, (rows, units) in layer.state.items()
    }
    states, next_states = (
        [info(prefix + name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
        for prefix in ("", NEXT)
    )
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            f"character_{layers[0].kind}",
            [info(TOKEN, TensorProto.INT64, ["time", "batch"]), *states],
            [info(LOGITS, TensorProto.FLOAT, ["time", "batch", network.output.out_features]), *next_states],
            [numpy_helper.from_array(values, name) for name, values in graph.tensors.items()],
        ),
        producer_name="textgen",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def add_recurrent(graph: Graph, layer: Any, i: int) -> None:
    """Add the nodes of an LSTM or a GRU with the number i."""
    gates = ONNX_GATES[layer.kind]
    biases, attributes = [layer.bias_ih_l0, layer.bias_hh_l0], {}
    if layer.kind == "lstm":
        # Only their sum matters.
        biases = [biases[0] + biases[1], torch.zeros_like(biases[0])]
    else:
        # As in torch, the reset gate multiplies the product with the recurrent weights.
        attributes["linear_before_reset"] = 1
    inputs = [
        graph.output,
        graph.tensor(f"input_{i}", reorder_gates(layer.weight_ih_l0, gates)[None]),
        graph.tensor(f"recurrent_{i}", reorder_gates(layer.weight_hh_l0, gates)[None]),
        graph.tensor(f"bias_{i}", torch.cat([reorder_gates(bias, gates) for bias in biases])[None]),
        "",
        *(graph.part(name, i) for name in layer.state),
    ]
    outputs = [f"directions_{i}", *(graph.part(NEXT + name, i) for name in layer.state)]
    attributes["hidden_size"] = layer.hidden_size
    graph.node(layer.kind.upper(), inputs, *outputs, name=f"{layer.kind}_{i}", **attributes)
    # The output has shape [time, directions, batch, units], with one direction.
    axis = graph.tensor("direction_axis", 1)
    graph.output = graph.node("Squeeze", [outputs[0], axis], f"output_{i}", name=f"squeeze_{i}")


def reorder_gates(rows: Tensor, gates: Sequence[int]) -> Tensor:
    """Return the rows of each gate in another order; the first axis is [gates * units]."""
    return rows.view(len(gates), -1, *rows.shape[1:])[list(gates)].reshape(rows.shape)


def add_conv(graph: Graph, layer: Any, i: int) -> None:
    """Add the nodes of a gated convolution with the number i."""
    (state,) = layer.state
    matrix, bias = graph.tensor(f"weights_{i}", layer.weight.mT), graph.tensor(f"bias_{i}", layer.bias)
    start, axis = graph.tensor("start", 0), graph.tensor("time_axis", 0)
    end, older_end = graph.tensor("end", SLICE_END), graph.tensor(f"older_end_{i}", -layer.dilation)
    buffer = graph.node("Concat", [state, graph.output], f"buffer_{i}", axis=0)
    graph.node("Slice", [buffer, older_end, end, axis], NEXT + state, name=f"last_{i}")
    older = graph.node("Slice", [buffer, start, older_end, axis], f"older_{i}")
    taps = graph.node("Concat", [older, graph.output], f"taps_{i}", axis=2)
    products = graph.node("MatMul", [taps, matrix], f"products_{i}", name=f"conv_{i}")
    sums = graph.node("Add", [products, bias], f"sums_{i}")
    halves = [f"filter_{i}", f"gate_{i}"]
    graph.node("Split", [sums], *halves, name=f"split_{i}", axis=2)
    gated = [graph.node("Tanh", halves[:1], f"tanh_{i}"), graph.node("Sigmoid", halves[1:], f"sigmoid_{i}")]
    graph.output = graph.node("Mul", gated, f"output_{i}")
