"""The description of a network: its layers from the token to the logits, and its state arrays.

Export builds a description; the C core reads one from a file. The onnxruntime engine knows only the
state of a graph. Only the C core knows the memory layout of the weights.

A new kind of layer, such as a GRU, needs a dataclass here, like ``LSTM``, with its ``kind`` and the names of
its ``state`` arrays, and an entry in ``Layer`` and ``LAYERS``. ``runtime/core/model.h`` lists all places to
change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, TypeAlias


@dataclass(frozen=True)
class Embedding:
    """A table with a vector for each token.

    Attributes:
        name: The name of the node in the file.
        inputs: The vocabulary size.
        outputs: The size of a vector.
    """

    name: str
    inputs: int
    outputs: int
    kind: ClassVar = "embedding"
    state: ClassVar[tuple[str, ...]] = ()

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return self.inputs * self.outputs


@dataclass(frozen=True)
class LSTM:
    """A long short-term memory layer. Its state is one layer of the arrays ``hidden`` and ``cell``.

    Attributes:
        name: The name of the node in the file.
        inputs: The input size.
        outputs: The number of units.
    """

    name: str
    inputs: int
    outputs: int
    kind: ClassVar = "lstm"
    state: ClassVar[tuple[str, ...]] = ("hidden", "cell")

    @property
    def parameters(self) -> int:
        """The number of weights. torch has twice as many biases, of which a file has the sums."""
        return 4 * self.outputs * (self.inputs + self.outputs + 1)


@dataclass(frozen=True)
class Linear:
    """A matrix product with a bias.

    Attributes:
        name: The name of the node in the file.
        inputs: The input size.
        outputs: The output size. For the last layer it is the vocabulary size.
    """

    name: str
    inputs: int
    outputs: int
    kind: ClassVar = "linear"
    state: ClassVar[tuple[str, ...]] = ()

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return self.outputs * (self.inputs + 1)


Layer: TypeAlias = Embedding | LSTM | Linear

# The layer classes by kind. The C core reports the same kinds.
LAYERS: dict[str, type[Layer]] = {layer.kind: layer for layer in (Embedding, LSTM, Linear)}


@dataclass(frozen=True)
class Network:
    """The layers and the state arrays of a network.

    Attributes:
        layers: The layers from the token to the logits. Empty if they are not known.
        state: Layers and units of each state array, by name. The graph has an input of that name, of shape
            [layers, batch, units], and an output named ``next_`` + name.
        vocabulary: The number of logits.
    """

    layers: tuple[Layer, ...]
    state: Mapping[str, tuple[int, int]]
    vocabulary: int

    @property
    def recurrent(self) -> tuple[int, int]:
        """Layers and units of the first state array."""
        return next(iter(self.state.values()))

    @classmethod
    def from_layers(cls, layers: tuple[Layer, ...]) -> "Network":
        """Create the network of some layers.

        Raises:
            ValueError: If the input size of a layer is not the output size of the layer below, or if layers
                that share a state array have different numbers of units.
        """
        for below, above in pairwise(layers):
            if above.inputs != below.outputs:
                raise ValueError(
                    f"{above.name} has {above.inputs} inputs, but {below.name} has {below.outputs} outputs"
                )
        state: dict[str, tuple[int, int]] = {}
        for layer in layers:
            for name in layer.state:
                count, units = state.get(name, (0, layer.outputs))
                if units != layer.outputs:
                    raise ValueError(
                        f"all layers of the state array {name!r} must have {units} units, not {layer.outputs}"
                    )
                state[name] = (count + 1, units)
        return cls(layers, state, layers[-1].outputs)


def lstm_network(vocabulary: int, *, embedding: int, units: int, layers: int = 1) -> Network:
    """Return the description of a character LSTM, with the layer names of a model file."""
    lstms = (LSTM(f"lstm_{i}", units if i else embedding, units) for i in range(layers))
    return Network.from_layers(
        (Embedding("embed", vocabulary, embedding), *lstms, Linear("output", units, vocabulary))
    )
