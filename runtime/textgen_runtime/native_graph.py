"""From a model file's graph to the weights in it, for the native engine.

The graph must be the one that ``textgen-train`` writes, node for node: anything else could mean anything
else, and is left to onnxruntime. Whatever is known but damaged is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .contract import CELL, HIDDEN, INPUTS, LOGITS, NEXT_CELL, NEXT_HIDDEN, OUTPUTS, TOKEN
from .errors import ModelFileError

OPSET = 17
FLOAT, INT64 = 1, 7
ONNX_TYPES: dict[int, type[np.float32] | type[np.int64]] = {FLOAT: np.float32, INT64: np.int64}
ITEM_BYTES = {FLOAT: 4, INT64: 8}

Weights = NDArray[np.float32]


class UnknownGraphError(ModelFileError):
    """A graph that the native engine does not run, though another engine may."""


@dataclass(frozen=True)
class GraphLayer:
    """One LSTM layer, its gates in ONNX's order: input, output, forget, cell.

    Attributes:
        input: Shape [4 * units, inputs], float32.
        recurrent: Shape [4 * units, units], float32.
        bias: Shape [8 * units], float32: for the input, then for the recurrence.
    """

    input: Weights
    recurrent: Weights
    bias: Weights


@dataclass(frozen=True)
class GraphWeights:
    """All weights of a graph.

    Attributes:
        embedding: Shape [vocabulary, embedding], float32.
        layers: From the input up.
        output: Shape [units, vocabulary], float32.
        output_bias: Shape [vocabulary], float32.
    """

    embedding: Weights
    layers: tuple[GraphLayer, ...]
    output: Weights
    output_bias: Weights


def read_weights(model: Any) -> GraphWeights:
    """Read the weights of a parsed model file.

    Raises:
        UnknownGraphError: If the graph is not the one this project writes.
        ModelFileError: If it is, but something in it is missing, damaged or of the wrong size.
    """
    graph = model.graph
    opsets = [(opset.domain, opset.version) for opset in model.opset_import]
    if opsets != [("", OPSET)]:
        raise UnknownGraphError(f"its operator sets are {opsets[:3]}, not {OPSET} alone")
    if graph.sparse_initializer:
        raise UnknownGraphError("it has sparse weights")
    if {value.name for value in graph.input} != set(INPUTS) or len(graph.input) != len(INPUTS):
        raise UnknownGraphError("its inputs are others")
    if not {value.name for value in graph.output} >= set(OUTPUTS):
        raise UnknownGraphError("its outputs are others")
    tensors = _by_name(graph.initializer)
    embedding, lstms, scores = _match(graph, tensors)
    output, output_bias = _floats(tensors, scores[0], 2), _floats(tensors, scores[1], 1)
    layers = tuple(_layer(tensors, lstm) for lstm in lstms)
    weights = GraphWeights(_floats(tensors, embedding, 2), layers, output, output_bias)
    _check_sizes(weights, lstms)
    _check_declared(graph, weights)
    return weights


def _by_name(tensors: Iterable[Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for tensor in tensors:
        if tensor.name in named:
            raise ModelFileError(f"its weights {tensor.name!r} are there twice")
        named[tensor.name] = tensor
    return named


class _Nodes:
    """A graph's nodes, found by what they make."""

    def __init__(self, graph: Any, tensors: Mapping[str, Any]) -> None:
        self._makers: dict[str, Any] = {}
        self.count = len(graph.node)
        for node in graph.node:
            # An empty name stands for an output that nobody asked for.
            for name in filter(None, node.output):
                if name in self._makers or name in tensors or name in INPUTS:
                    raise ModelFileError(f"its value {name!r} is made twice")
                self._makers[name] = node

    def kind(self, name: str) -> str:
        """What makes a value; "" if nothing does."""
        node = self._makers.get(name)
        return "" if node is None else str(node.op_type)

    def stored(self, name: str) -> None:
        """See that a value is not left out and not made by a node, so that it can only be a stored tensor."""
        if not name or name in self._makers:
            raise UnknownGraphError(f"its weights {name!r} are not stored")

    def maker(self, name: str, kind: str, inputs: int, **attributes: object) -> Any:
        """The node that makes a value, which must be of a kind and have no other attributes than these."""
        node = self._makers.get(name)
        if node is None or node.op_type != kind or node.domain not in ("", "ai.onnx"):
            raise UnknownGraphError(f"{name!r} is not made by a {kind}")
        found = {attribute.name: attribute.s or attribute.i for attribute in node.attribute}
        if len(node.input) != inputs or not attributes.items() >= found.items():
            raise UnknownGraphError(f"its {kind} has other inputs or attributes")
        return node


def _match(graph: Any, tensors: Mapping[str, Any]) -> tuple[str, list[Any], tuple[str, str]]:
    """Follow the graph from the logits down; the names of embedding and output weights, and the LSTMs."""
    nodes = _Nodes(graph, tensors)
    add = nodes.maker(LOGITS, "Add", 2)
    product = nodes.maker(add.input[0], "MatMul", 2)
    units = _size_of(tensors, product.input[1])
    below = product.input[0]
    lstms: list[Any] = []
    while nodes.kind(below) == "Squeeze":
        if len(lstms) >= nodes.count:
            raise ModelFileError("its graph goes in a circle")
        squeeze = nodes.maker(below, "Squeeze", 2)
        nodes.stored(squeeze.input[1])
        if _integers(tensors, squeeze.input[1]).tolist() != [1]:
            raise UnknownGraphError("its Squeeze is of another axis")
        lstm = nodes.maker(squeeze.input[0], "LSTM", 7, hidden_size=units, direction=b"forward")
        if len(lstm.output) != 3 or lstm.output[0] != squeeze.input[0] or lstm.input[4]:  # noqa: PLR2004
            raise UnknownGraphError("its LSTM has other inputs or outputs")
        lstms.insert(0, lstm)
        below = lstm.input[0]
    gather = nodes.maker(below, "Gather", 2, axis=0)
    if gather.input[1] != TOKEN or not lstms:
        raise UnknownGraphError("its tokens go elsewhere")
    _match_state(nodes, lstms)
    weights = [
        gather.input[0],
        product.input[1],
        add.input[1],
        *(n for lstm in lstms for n in lstm.input[1:4]),
    ]
    if len(set(weights)) != len(weights):
        # Each would be copied anew for every layer: a small file could fill any memory.
        raise UnknownGraphError("several of its layers share weights")
    for name in weights:
        nodes.stored(name)
    return gather.input[0], lstms, (product.input[1], add.input[1])


def _match_state(nodes: _Nodes, lstms: list[Any]) -> None:
    """See that each layer reads and writes its own part of the state, and that nothing else is there."""
    expected = 2 * len(lstms) + 3
    for place, (state, following) in enumerate(((HIDDEN, NEXT_HIDDEN), (CELL, NEXT_CELL))):
        read = [lstm.input[5 + place] for lstm in lstms]
        written = [lstm.output[1 + place] for lstm in lstms]
        if len(lstms) > 1:
            expected += 2
            split = nodes.maker(read[0], "Split", 1, axis=0)
            join = nodes.maker(following, "Concat", len(lstms), axis=0)
            read = [split.input[0]] if list(split.output) == read else []
            written = [join.output[0]] if list(join.input) == written else []
        if read != [state] or written != [following]:
            raise UnknownGraphError(f"its {state} state goes elsewhere")
    if nodes.count != expected:
        raise UnknownGraphError("it has other nodes as well")


def _size_of(tensors: Mapping[str, Any], name: str) -> int:
    tensor = tensors.get(name)
    return int(tensor.dims[0]) if tensor is not None and tensor.dims else 0


def _array(tensors: Mapping[str, Any], name: str, kind: int, dimensions: int) -> NDArray[Any]:
    """A tensor's values, once its size, type and place are seen to be right."""
    if name not in tensors:
        raise ModelFileError(f"its weights {name!r} are missing")
    tensor = tensors[name]
    shape = tuple(int(size) for size in tensor.dims)
    if tensor.data_location:
        raise ModelFileError(f"its weights {name!r} are in another file: export it into one")
    if tensor.data_type != kind or len(shape) != dimensions or min(shape, default=1) < 1:
        raise ModelFileError(
            f"its weights {name!r} are of ONNX type {tensor.data_type} and shape {list(shape)[:8]}, "
            f"not of type {kind} and {dimensions} dimensions"
        )
    typed = tensor.float_data if kind == FLOAT else tensor.int64_data
    found = len(tensor.raw_data) if tensor.raw_data else len(typed) * ITEM_BYTES[kind]
    if found != prod(shape) * ITEM_BYTES[kind] or (tensor.raw_data and len(typed)):
        raise ModelFileError(f"its weights {name!r} hold {found:,} bytes, which do not fill {list(shape)}")
    if tensor.raw_data:
        values = np.frombuffer(tensor.raw_data, np.dtype(ONNX_TYPES[kind]).newbyteorder("<"))
    else:
        values = np.array(typed)
    return values.astype(ONNX_TYPES[kind]).reshape(shape)


def _floats(tensors: Mapping[str, Any], name: str, dimensions: int) -> Weights:
    values: Weights = _array(tensors, name, FLOAT, dimensions)
    if not np.isfinite(values).all():
        raise ModelFileError(f"its weights {name!r} hold NaN or infinity: the model is damaged")
    return values


def _integers(tensors: Mapping[str, Any], name: str) -> NDArray[np.int64]:
    return _array(tensors, name, INT64, 1)


def _layer(tensors: Mapping[str, Any], lstm: Any) -> GraphLayer:
    inputs, recurrent, bias = (_floats(tensors, lstm.input[1 + i], 3 - (i == 2)) for i in range(3))  # noqa: PLR2004
    if not len(inputs) == len(recurrent) == len(bias) == 1:
        raise ModelFileError("its LSTM's weights are for several directions")
    return GraphLayer(inputs[0], recurrent[0], bias[0])


def _check_sizes(weights: GraphWeights, lstms: list[Any]) -> None:
    units, vocabulary = weights.output.shape
    inputs = weights.embedding.shape[1]
    for layer, lstm in zip(weights.layers, lstms, strict=True):
        expected = ((4 * units, inputs), (4 * units, units), (8 * units,))
        found = (layer.input.shape, layer.recurrent.shape, layer.bias.shape)
        if found != expected or not any(attribute.name == "hidden_size" for attribute in lstm.attribute):
            raise ModelFileError(f"its LSTM's weights are of shapes {found}, not {expected}")
        inputs = units
    if weights.embedding.shape[0] != vocabulary or weights.output_bias.shape != (vocabulary,):
        raise ModelFileError("its embedding, output weights and output bias are for different vocabularies")


def _check_declared(graph: Any, weights: GraphWeights) -> None:
    """See that the inputs are declared as the weights have them: other programs go by that."""
    units = weights.output.shape[0]
    declared = {
        value.name: (
            value.type.tensor_type.elem_type,
            [dimension.dim_value for dimension in value.type.tensor_type.shape.dim],
        )
        for value in graph.input
    }
    state = (FLOAT, [len(weights.layers), 0, units])
    if declared != {TOKEN: (INT64, [0, 0]), HIDDEN: state, CELL: state}:
        raise UnknownGraphError("its inputs are declared otherwise than its weights are")
