"""The description of a network: its layers from the token to the logits, its state arrays, and their names.

Export builds a description, and the C core reads that of an LSTM from a file. Of another model, only the
state is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, TypeAlias

from textgen_runtime.engine import Engine

# The state of an LSTM. A GRU has only HIDDEN.
HIDDEN, CELL = "hidden", "cell"
# The state of the convolution with the number i is INPUTS_PREFIX + i.
INPUTS_PREFIX = "inputs_"


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
    state: ClassVar[Mapping[str, tuple[int, int]]] = {}

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return self.inputs * self.outputs


@dataclass(frozen=True)
class Cell:
    """A layer between the embedding and the output. Its subclasses are the kinds of these layers.

    Attributes:
        name: The name of the node in the file.
        inputs: The input size.
        outputs: The number of units.
        residual: Whether the input is added to the output.
    """

    name: str
    inputs: int
    outputs: int
    residual: bool = False
    kind: ClassVar[str]
    # The name of the kind in texts.
    title: ClassVar[str]

    @property
    def state(self) -> Mapping[str, tuple[int, int]]:
        """Rows and units of the layer's part of each state array, by name."""
        raise NotImplementedError

    @property
    def parameters(self) -> int:
        """The number of weights."""
        raise NotImplementedError


@dataclass(frozen=True)
class LSTM(Cell):
    """A long short-term memory layer. Its state is one row of the arrays ``hidden`` and ``cell``."""

    kind: ClassVar = "lstm"
    title: ClassVar = "LSTM"

    @property
    def state(self) -> Mapping[str, tuple[int, int]]:
        return {HIDDEN: (1, self.outputs), CELL: (1, self.outputs)}

    @property
    def parameters(self) -> int:
        # torch has twice as many biases, of which a file has the sums.
        return 4 * self.outputs * (self.inputs + self.outputs + 1)


@dataclass(frozen=True)
class GRU(Cell):
    """A gated recurrent unit layer. Its state is one row of the array ``hidden``."""

    kind: ClassVar = "gru"
    title: ClassVar = "GRU"

    @property
    def state(self) -> Mapping[str, tuple[int, int]]:
        return {HIDDEN: (1, self.outputs)}

    @property
    def parameters(self) -> int:
        return 3 * self.outputs * (self.inputs + self.outputs + 2)


@dataclass(frozen=True)
class Conv(Cell):
    """A causal convolution with two taps and gated outputs. Its state is an array of its last inputs.

    The name is ``conv_`` and the number of the layer.

    Attributes:
        dilation: How many steps the older tap lies before the input of the step.
    """

    dilation: int = 1
    kind: ClassVar = "conv"
    title: ClassVar = "convolution"

    @property
    def state(self) -> Mapping[str, tuple[int, int]]:
        return {INPUTS_PREFIX + self.name.removeprefix("conv_"): (self.dilation, self.inputs)}

    @property
    def parameters(self) -> int:
        return 2 * self.outputs * (2 * self.inputs + 1)


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
    state: ClassVar[Mapping[str, tuple[int, int]]] = {}

    @property
    def parameters(self) -> int:
        """The number of weights."""
        return self.outputs * (self.inputs + 1)


Layer: TypeAlias = Embedding | Cell | Linear

# The classes of the layers between the embedding and the output, by kind.
CELLS: dict[str, type[Cell]] = {cell.kind: cell for cell in (LSTM, GRU, Conv)}


@dataclass(frozen=True)
class Network:
    """The layers and the state arrays of a network.

    Attributes:
        layers: The layers from the token to the logits. Empty if they are not known.
        state: Rows and units of each state array, by name. The graph has an input of that name, of shape
            [rows, batch, units], and an output named ``next_`` + name.
        vocabulary: The number of logits.
        bits: How many bits the weights have: 32 for float32, or 8. None if the layers are not known.
    """

    layers: tuple[Layer, ...]
    state: Mapping[str, tuple[int, int]]
    vocabulary: int
    bits: int | None = 32

    @property
    def depth_and_units(self) -> tuple[int, int]:
        """Number of layers between embedding and output, and units of each.

        If the layers are not known, they are inferred from the state. Recurrent layers share the array
        ``hidden``, which has a row for each layer. Other layers have an array each.
        """
        if self.layers:
            return len(self.layers) - 2, self.layers[-1].inputs
        rows, units = self.state.get(HIDDEN, list(self.state.values())[-1])
        return (rows if HIDDEN in self.state or len(self.state) == 1 else len(self.state)), units

    @classmethod
    def from_layers(cls, layers: tuple[Layer, ...], bits: int = 32) -> "Network":
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
            for name, (rows, units) in layer.state.items():
                earlier_rows, expected = state.get(name, (0, units))
                if units != expected:
                    raise ValueError(
                        f"all layers of the state array {name!r} must have {expected} units, not {units}"
                    )
                state[name] = (earlier_rows + rows, units)
        return cls(layers, state, layers[-1].outputs, bits)


def network_of(engine: Engine) -> Network:
    """Return the network of a loaded model: its layers if the C core runs it, otherwise only its state."""
    core = engine.core
    layers, units, embedding, residual = core.size
    if not layers:
        return Network((), core.state_shapes, core.vocabulary_size, bits=None)
    sizes = [embedding, *[units] * layers]
    cells = [LSTM(f"lstm_{i}", size, units, residual=residual and i > 0) for i, size in enumerate(sizes[:-1])]
    return Network.from_layers(
        (
            Embedding("embed", core.vocabulary_size, embedding),
            *cells,
            Linear("output", units, core.vocabulary_size),
        ),
        core.bits,
    )


def describe_size(cell: str | None, layers: int, units: int, *, residual: bool) -> str:
    """Return the size of a network in words, such as ``2 x 128 GRU units, residual``.

    Args:
        cell: The kind of the layers between the embedding and the output, or None if it is not known.
        layers: Number of these layers.
        units: Units of each layer.
        residual: Whether there are residual connections.
    """
    kind = f"{CELLS[cell].title} units" if cell else "units"
    return f"{layers} x {units} {kind}{', residual' if residual else ''}"
