"""The nodes and initializers of a graph, collected layer by layer."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from textgen_runtime.model_file.graph_names import LOGITS, NEXT, TOKEN
from textgen_runtime.model_file.network import Network

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
