"""The ONNX graph of the model file, built by hand from a description: a handful of named nodes.

An exporter that traces torch's LSTM leaves some twenty nodes, many of them slices and transposes of
weights, and each costs time at every step. This needs onnx and numpy, not torch.
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

# The oldest that say all that the graph needs, so that old onnxruntimes and other runtimes read it.
IR_VERSION = 9

# torch keeps a layer's four gates as input, forget, cell, output; ONNX as input, output, forget, cell.
ONNX_GATES_IN_TORCH_ORDER = (0, 3, 1, 2)

# protobuf, which the file is written in, has no message of 2 GiB; a twentieth is for all that is not weights.
MAX_PARAMETERS = 510_000_000

# A layer's arrays, float32, as torch has them:
# Embedding: weight [inputs, outputs]; the identity for one-hot input.
# LSTM: input [4 * outputs, inputs], recurrent [4 * outputs, outputs], bias [4 * outputs], the sum of torch's
#   two, which always act together; gates in the order input, forget, cell, output.
# Linear: weight [outputs, inputs], bias [outputs].
LayerWeights: TypeAlias = Mapping[str, NDArray[np.float32]]


def build_model(network: Network, weights: Sequence[LayerWeights], metadata: Metadata) -> onnx.ModelProto:
    """The model file of a network, checked against the ONNX standard.

    Args:
        network: The description.
        weights: Of each of its layers.
        metadata: The metadata.

    Raises:
        ValueError: If an array is not of its layer's shape.
        onnx.checker.ValidationError: If the graph breaks the standard, which is a defect of this module.
    """
    graph = _Graph(network)
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
    """The content of a model file with other metadata."""
    model = onnx.ModelProto.FromString(content)
    del model.metadata_props[:]
    helper.set_model_props(model, metadata.to_props())
    return model.SerializeToString()


class _Graph:
    """A graph that grows layer by layer.

    Attributes:
        below: The name of the value that the next layer reads.
    """

    def __init__(self, network: Network) -> None:
        self.below = TOKEN
        self._network = network
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, NDArray[Any]] = {}
        # How many layers have taken their row of each array of the state.
        self._taken = dict.fromkeys(network.state, 0)

    def add(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], name: str, **attributes: Any
    ) -> None:
        """Add a node."""
        self._nodes.append(helper.make_node(kind, inputs, outputs, name, **attributes))

    def store(self, name: str, array: NDArray[Any], shape: tuple[int, ...] | None = None) -> str:
        """Store a tensor, which must be of a shape where that is given, and return its name.

        Raises:
            ValueError: If it is of another shape.
        """
        if shape is not None and array.shape != shape:
            raise ValueError(f"{name} must be of shape {shape}, not {array.shape}")
        self._tensors[name] = array
        return name

    def take_state(self, name: str) -> tuple[str, str]:
        """The names of a layer's row of an array of the state and of its next value."""
        row = self._taken[name]
        self._taken[name] += 1
        return self._row(name, row), self._row(NEXT + name, row)

    def _row(self, name: str, row: int) -> str:
        """A row's name; with one layer the array is not split."""
        layers, _ = self._network.state[name.removeprefix(NEXT)]
        return name if layers == 1 else f"{name}_{row}"

    def _split_and_join(self) -> tuple[list[onnx.NodeProto], list[onnx.NodeProto]]:
        """The nodes that take the state's arrays apart for the layers and put them together again."""
        split, join = [], []
        for name, (layers, _) in self._network.state.items():
            if layers > 1:
                rows = [self._row(name, i) for i in range(layers)]
                after = [self._row(NEXT + name, i) for i in range(layers)]
                split.append(helper.make_node("Split", [name], rows, f"split_{name}", axis=0))
                join.append(helper.make_node("Concat", after, [NEXT + name], f"join_{name}", axis=0))
        return split, join

    def build(self) -> onnx.GraphProto:
        """The whole graph."""
        info = helper.make_tensor_value_info
        shapes: dict[str, list[int | str | None]] = {
            name: [layers, "batch", units] for name, (layers, units) in self._network.state.items()
        }
        split, join = self._split_and_join()
        return helper.make_graph(
            # In an order in which they can run: the embedding needs no state.
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


def _write_embedding(graph: _Graph, layer: Embedding, weights: LayerWeights) -> None:
    table = graph.store("embedding", weights["weight"], (layer.inputs, layer.outputs))
    graph.add("Gather", [table, graph.below], ["embedded"], layer.name)
    graph.below = "embedded"


def _write_lstm(graph: _Graph, layer: LSTM, weights: LayerWeights) -> None:
    number = layer.name.removeprefix("lstm_")
    units = layer.outputs
    states = [graph.take_state(name) for name in layer.state]
    bias = _onnx_gates(weights["bias"])
    stored = [
        graph.store(
            f"input_{number}", _onnx_gates(weights["input"])[np.newaxis], (1, 4 * units, layer.inputs)
        ),
        graph.store(
            f"recurrent_{number}", _onnx_gates(weights["recurrent"])[np.newaxis], (1, 4 * units, units)
        ),
        # ONNX, like torch, keeps a bias for the input and one for the recurrence; one of them is enough.
        graph.store(
            f"bias_{number}", np.concatenate([bias, np.zeros_like(bias)])[np.newaxis], (1, 8 * units)
        ),
    ]
    directions, output = f"directions_{number}", f"output_{number}"
    graph.add(
        "LSTM",
        [graph.below, *stored, "", *(before for before, _ in states)],
        [directions, *(after for _, after in states)],
        layer.name,
        hidden_size=units,
    )
    # [time, directions, batch, units], of which there is one direction.
    axis = graph.store("direction_axis", np.array([1], np.int64))
    graph.add("Squeeze", [directions, axis], [output], f"squeeze_{number}")
    graph.below = output


def _write_linear(graph: _Graph, layer: Linear, weights: LayerWeights) -> None:
    matrix = graph.store("output_weights", weights["weight"].T, (layer.inputs, layer.outputs))
    bias = graph.store("output_bias", weights["bias"], (layer.outputs,))
    graph.add("MatMul", [graph.below, matrix], ["scores"], layer.name)
    graph.add("Add", ["scores", bias], [LOGITS], "add_bias")
    graph.below = LOGITS


# A new kind of layer is one function and one line here.
_WRITERS: dict[type[Layer], Callable[[_Graph, Any, LayerWeights], None]] = {
    Embedding: _write_embedding,
    LSTM: _write_lstm,
    Linear: _write_linear,
}


def _onnx_gates(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    gates = rows.reshape(4, -1, *rows.shape[1:])
    return gates[list(ONNX_GATES_IN_TORCH_ORDER)].reshape(rows.shape)
