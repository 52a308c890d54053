"""From a model file's graph to the weights in it, for the native engine.

The graph must be the one that ``textgen-train`` writes, node for node: anything else could mean anything
else, and is left to onnxruntime. Whatever is known but damaged is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .contract import CELL, HIDDEN, INPUTS, LOGITS, NEXT_CELL, NEXT_HIDDEN, OUTPUTS, TOKEN
from .errors import ModelFileError, quote
from .native_tensors import FLOAT, INT64, StoredTensors, Weights

OPSET = 17


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


@dataclass(frozen=True)
class KnownGraph:
    """A graph that is the one this project writes. All but the values of its weights is checked.

    Attributes:
        tensors: The stored weights, by name.
        embedding: The name of the embedding's weights.
        lstms: The LSTM nodes, from the input up.
        output: The names of the output weights and of the output bias.
        units: Units a layer.
    """

    tensors: StoredTensors
    embedding: str
    lstms: Sequence[Any]
    output: tuple[str, str]
    units: int

    @property
    def vocabulary(self) -> int:
        """How many values the logits have."""
        return self.tensors.declared_size(self.output[1])

    def weights(self) -> GraphWeights:
        """Read the weights.

        Raises:
            ModelFileError: If they hold NaN or infinity.
        """
        return GraphWeights(
            self.tensors.floats(self.embedding),
            tuple(
                GraphLayer(*(self.tensors.floats(name)[0] for name in lstm.input[1:4])) for lstm in self.lstms
            ),
            *(self.tensors.floats(name) for name in self.output),
        )


def match_graph(model: Any) -> KnownGraph:
    """See that the graph of a parsed model file is the known one, without reading its weights.

    Raises:
        UnknownGraphError: If the graph is not the one this project writes.
        ModelFileError: If it is, but something in it is missing, damaged or of the wrong size.
    """
    graph = model.graph
    opsets = [(opset.domain, opset.version) for opset in model.opset_import]
    if opsets != [("", OPSET)]:
        raise UnknownGraphError(f"its operator sets are {quote(opsets)}, not {OPSET} alone")
    if graph.sparse_initializer:
        raise UnknownGraphError("it has sparse weights")
    if {value.name for value in graph.input} != set(INPUTS) or len(graph.input) != len(INPUTS):
        raise UnknownGraphError("its inputs are others")
    if not {value.name for value in graph.output} >= set(OUTPUTS):
        raise UnknownGraphError("its outputs are others")
    tensors = StoredTensors(graph.initializer)
    embedding, lstms, output = _match(graph, tensors)
    units = _check_sizes(tensors, embedding, lstms, output)
    _check_declared(graph, len(lstms), units)
    return KnownGraph(tensors, embedding, lstms, output, units)


def read_weights(model: Any) -> GraphWeights:
    """Read the weights of a parsed model file; the errors are those of both steps."""
    return match_graph(model).weights()


class _Nodes:
    """A graph's nodes, found by what they make."""

    def __init__(self, graph: Any, tensors: StoredTensors) -> None:
        self._makers: dict[str, Any] = {}
        self.count = len(graph.node)
        for node in graph.node:
            # An empty name stands for an output that nobody asked for.
            for name in filter(None, node.output):
                if name in self._makers or name in tensors or name in INPUTS:
                    raise ModelFileError(f"its value {quote(name)} is made twice")
                self._makers[name] = node

    def kind(self, name: str) -> str:
        """What makes a value; "" if nothing does."""
        node = self._makers.get(name)
        return "" if node is None else str(node.op_type)

    def stored(self, name: str) -> None:
        """See that a value is not left out and not made by a node, so that it can only be a stored tensor."""
        if not name or name in self._makers:
            raise UnknownGraphError(f"its weights {quote(name)} are not stored")

    def maker(self, name: str, kind: str, inputs: int, **attributes: object) -> Any:
        """The node that makes a value, which must be of a kind and have no other attributes than these."""
        node = self._makers.get(name)
        if node is None or node.op_type != kind or node.domain not in ("", "ai.onnx"):
            raise UnknownGraphError(f"{quote(name)} is not made by a {kind}")
        found = {attribute.name: attribute.s or attribute.i for attribute in node.attribute}
        if len(node.input) != inputs or not attributes.items() >= found.items():
            raise UnknownGraphError(f"its {kind} has other inputs or attributes")
        return node


def _match(graph: Any, tensors: StoredTensors) -> tuple[str, list[Any], tuple[str, str]]:
    """Follow the graph from the logits down; the names of embedding and output weights, and the LSTMs."""
    nodes = _Nodes(graph, tensors)
    add = nodes.maker(LOGITS, "Add", 2)
    product = nodes.maker(add.input[0], "MatMul", 2)
    units = tensors.declared_size(product.input[1])
    below = product.input[0]
    lstms: list[Any] = []
    while nodes.kind(below) == "Squeeze":
        if len(lstms) >= nodes.count:
            raise ModelFileError("its graph goes in a circle")
        squeeze = nodes.maker(below, "Squeeze", 2)
        nodes.stored(squeeze.input[1])
        if tensors.integers(squeeze.input[1]).tolist() != [1]:
            raise UnknownGraphError("its Squeeze is of another axis")
        lstm = nodes.maker(squeeze.input[0], "LSTM", 7, hidden_size=units, direction=b"forward")
        if len(lstm.output) != 3 or lstm.output[0] != squeeze.input[0] or lstm.input[4]:  # noqa: PLR2004
            raise UnknownGraphError("its LSTM has other inputs or outputs")
        lstms.append(lstm)
        below = lstm.input[0]
    # Not inserted at the front one by one: a damaged file may have a hundred thousand of them.
    lstms.reverse()
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


def _check_sizes(
    tensors: StoredTensors, embedding_name: str, lstms: Sequence[Any], output: tuple[str, str]
) -> int:
    """See that the shapes of all weights agree; the number of units."""
    shape = tensors.shape
    units, vocabulary = shape(output[0], FLOAT, 2)
    output_bias = shape(output[1], FLOAT, 1)
    embedding = shape(embedding_name, FLOAT, 2)
    inputs = embedding[1]
    for lstm in lstms:
        found = tuple(
            shape(name, FLOAT, dimensions)
            for name, dimensions in zip(lstm.input[1:4], (3, 3, 2), strict=True)
        )
        if any(directions != 1 for directions, *_ in found):
            raise ModelFileError("its LSTM's weights are for several directions")
        expected = ((1, 4 * units, inputs), (1, 4 * units, units), (1, 8 * units))
        if found != expected or not any(attribute.name == "hidden_size" for attribute in lstm.attribute):
            raise ModelFileError(f"its LSTM's weights are of shapes {found}, not {expected}")
        inputs = units
    if embedding[0] != vocabulary or output_bias != (vocabulary,):
        raise ModelFileError("its embedding, output weights and output bias are for different vocabularies")
    return units


def _check_declared(graph: Any, layers: int, units: int) -> None:
    """See that the inputs are declared as the weights have them: other programs go by that."""
    declared = {
        value.name: (
            value.type.tensor_type.elem_type,
            [dimension.dim_value for dimension in value.type.tensor_type.shape.dim],
        )
        for value in graph.input
    }
    state = (FLOAT, [layers, 0, units])
    if declared != {TOKEN: (INT64, [0, 0]), HIDDEN: state, CELL: state}:
        raise UnknownGraphError("its inputs are declared otherwise than its weights are")
