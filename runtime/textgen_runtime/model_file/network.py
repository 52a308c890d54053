"""The description of a network: its layers from the token to the logits, and its state.

Export builds it, the core reports it for a file that it reads, and the onnxruntime engine checks a graph
against its state. How weights are packed is the core's business alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, TypeAlias


@dataclass(frozen=True)
class Embedding:
    """A row of numbers for each token.

    Attributes:
        name: Of the layer's node in the file.
        inputs: Tokens.
        outputs: Numbers for each token.
    """

    name: str
    inputs: int
    outputs: int
    kind: ClassVar = "embedding"
    state: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True)
class LSTM:
    """A long short-term memory. It has a row in each of the state's arrays ``hidden`` and ``cell``.

    Attributes:
        name: Of the layer's node in the file.
        inputs: Numbers that it reads at each step.
        outputs: Its units.
    """

    name: str
    inputs: int
    outputs: int
    kind: ClassVar = "lstm"
    state: ClassVar[tuple[str, ...]] = ("hidden", "cell")


@dataclass(frozen=True)
class Linear:
    """A matrix and a bias.

    Attributes:
        name: Of the layer's node in the file.
        inputs: Numbers that it reads.
        outputs: Numbers that it makes; of the last layer, the logits.
    """

    name: str
    inputs: int
    outputs: int
    kind: ClassVar = "linear"
    state: ClassVar[tuple[str, ...]] = ()


Layer: TypeAlias = Embedding | LSTM | Linear

# By the kind that the core reports.
LAYERS: dict[str, type[Layer]] = {layer.kind: layer for layer in (Embedding, LSTM, Linear)}


@dataclass(frozen=True)
class Network:
    """A network.

    Attributes:
        layers: In the order in which a token goes through them. Empty if the graph is not known.
        state: For each array of the state its layers and its units: the file has an input of that name, of
            shape [layers, batch, units], and an output that is called ``next_`` and the name.
        vocabulary: How many logits there are.
    """

    layers: tuple[Layer, ...]
    state: Mapping[str, tuple[int, int]]
    vocabulary: int

    @property
    def recurrent(self) -> tuple[int, int]:
        """Layers and units, of the first array of the state."""
        return next(iter(self.state.values()))

    @classmethod
    def of(cls, layers: tuple[Layer, ...]) -> "Network":
        """The network of some layers.

        Raises:
            ValueError: If a layer does not read what the one below makes, or if layers that share an array of
                the state have different numbers of units.
        """
        for below, above in pairwise(layers):
            if above.inputs != below.outputs:
                raise ValueError(
                    f"{above.name} reads {above.inputs} numbers, {below.name} makes {below.outputs}"
                )
        state: dict[str, tuple[int, int]] = {}
        for layer in layers:
            for name in layer.state:
                count, units = state.get(name, (0, layer.outputs))
                if units != layer.outputs:
                    raise ValueError(
                        f"the layers of the state {name!r} have {units} and {layer.outputs} units"
                    )
                state[name] = (count + 1, units)
        return cls(layers, state, layers[-1].outputs)


def lstm_network(vocabulary: int, *, embedding: int, units: int, layers: int = 1) -> Network:
    """The description of a character LSTM, with the names that its layers have in a model file."""
    lstms = (LSTM(f"lstm_{i}", units if i else embedding, units) for i in range(layers))
    return Network.of(
        (Embedding("embed", vocabulary, embedding), *lstms, Linear("output", units, vocabulary))
    )
