"""The network that all cells share: embedding, layers and a linear output layer, with an explicit state.

The state of a network between two calls has the names, shapes and values of the model file. The second
dimension of each of its tensors is the lane.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import ClassVar, Self, TypeAlias

import torch
from torch import Tensor, nn

# Each element uses 16 random bits, so the probability is rounded to a multiple of 1 / DROPOUT_LEVELS.
DROPOUT_LEVELS = 2**16

# Devices that cannot draw from the entire range of int64. Random bits are drawn in words of this type there.
SHORT_WORDS = {"mps": torch.int32}


def dropout(values: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Set random elements to zero and scale the others, so that the expected value does not change.

    N. Srivastava and others, Dropout: a simple way to prevent neural networks from overfitting, Journal of
    Machine Learning Research 15, 2014.

    Args:
        values: Any shape, floating point.
        p: Probability of an element to be zeroed, in [0, 1).
        generator: The source of the mask, on the device of the values; None for torch's global generator.

    Returns:
        A tensor of the same shape and dtype.
    """
    threshold = min(round(DROPOUT_LEVELS * p), DROPOUT_LEVELS - 1)
    if not threshold:
        return values
    count, dtype = values.numel(), SHORT_WORDS.get(values.device.type, torch.int64)
    # One draw of 64 bits serves four elements.
    words = torch.empty(-(-count * 2 // dtype.itemsize), dtype=dtype, device=values.device)
    words.random_(torch.iinfo(dtype).min, None, generator=generator)
    bits = words.view(torch.int16)[:count].view(values.shape)
    mask = (bits >= threshold - DROPOUT_LEVELS // 2).to(values.dtype)
    return values * mask.mul_(DROPOUT_LEVELS / (DROPOUT_LEVELS - threshold))


# The tensors by name, such as ``hidden`` and ``cell`` of an LSTM, each of shape [layers, lanes, units].
NetworkState: TypeAlias = dict[str, Tensor]


def concatenate_lanes(states: Sequence[NetworkState]) -> NetworkState:
    """Return the state of all lanes of one or more states of the same network."""
    return {name: torch.cat([state[name] for state in states], dim=1) for name in states[0]}


def copy_lanes(state: NetworkState, lanes: slice) -> NetworkState:
    """Return a contiguous copy of the state of some lanes."""
    # `clone` alone would keep the strides of the view. The memory layout affects rounding.
    return {name: part[:, lanes].clone(memory_format=torch.contiguous_format) for name, part in state.items()}


def detach(state: NetworkState) -> NetworkState:
    """Return the state in float32, without its history of gradients."""
    return {name: part.detach().float() for name, part in state.items()}


def are_alike(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Return whether two groups of tensors have the same names, shapes and types."""

    def kinds(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
        return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}

    return kinds(first) == kinds(second)


def lanes_of(state: NetworkState) -> int:
    """Return the number of lanes of a state; 0 if it is empty or has no lanes."""
    return next((part.shape[1] for part in state.values() if part.dim() > 1), 0)


class CharNetwork(nn.Module):
    """The base class of the language models. Each cell is a subclass.

    A subclass creates its layers, and runs one layer.

    Args:
        vocabulary_size: Number of tokens.
        units: Units per layer.
        layers: Number of layers.
        embedding: Size of a token's embedding.
        dropout: Dropout probability on the outputs of each layer.
        input_dropout: Dropout probability on the embedding's outputs.
        weight_dropout: DropConnect probability of each recurrent weight.
        residual: Whether the input of each layer from the second on is added to its output.

    Raises:
        ValueError: If a dropout probability is not in [0, 1), or if the cell has no recurrent weights and
            ``weight_dropout`` is not 0.

    Attributes:
        generator: The source of dropout masks; None for torch's global generator.
    """

    # The name of the cell in recipes.
    cell: ClassVar[str]

    def __init__(  # noqa: PLR0913 (keywords, each a hyperparameter)
        self,
        vocabulary_size: int,
        *,
        units: int,
        layers: int = 1,
        embedding: int,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        weight_dropout: float = 0.0,
        residual: bool = False,
    ) -> None:
        super().__init__()
        for p in (dropout, input_dropout, weight_dropout):
            if not 0 <= p < 1:
                raise ValueError(f"dropout probabilities must be in [0, 1), not {p}")
        self.units, self.residual = units, residual
        self.dropout, self.input_dropout, self.weight_dropout = dropout, input_dropout, weight_dropout
        self.generator: torch.Generator | None = None
        # All weights have torch's default initialization. A positive initial bias of the forget gates helps
        # with long-range dependencies, but raised the loss by 0.07 nats after eight epochs on a book.
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        # Each layer is a separate module, so that ``_apply_dropout`` can run between the layers.
        self.layers = nn.ModuleList(self._new_layer(units if i else embedding, i) for i in range(layers))
        self.output = nn.Linear(units, vocabulary_size)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return self.output.weight.device

    @property
    def parameter_count(self) -> int:
        """Number of trainable parameters."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def clone(self, *, share_parameters: bool = False) -> Self:
        """Return a copy. It shares the parameters with this network if ``share_parameters`` is true.

        The generator is always shared, because it cannot be copied.
        """
        shared = [self.generator, *(self.parameters() if share_parameters else ())]
        return copy.deepcopy(self, {id(item): item for item in shared})

    @property
    def layer_matrices(self) -> list[nn.Parameter]:
        """The weight matrices of the layers, each of shape [gates * units, inputs]."""
        return [weight for weight in self.layers.parameters() if weight.ndim == 2]  # noqa: PLR2004 (a matrix)

    def initial_state(self, batch: int) -> NetworkState:
        """Return the state before the first token: zeros of shape [rows, batch, units], on the device."""
        raise NotImplementedError

    def _new_layer(self, inputs: int, index: int) -> nn.Module:
        """Return a layer with random weights."""
        raise NotImplementedError

    def _run_layer(self, index: int, inputs: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        """Run a layer.

        Args:
            index: The number of the layer.
            inputs: Shape [time, batch, inputs].
            state: The state of the network before the first time step.

        Returns:
            The outputs, shape [time, batch, units], and the layer's part of the next state.
        """
        raise NotImplementedError

    def forward_features(self, tokens: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        """Run the embedding and the layers, without the output layer.

        Args:
            tokens: Shape [time, batch], int64.
            state: The state before the first token, for this batch.

        Returns:
            The outputs of the last layer, shape [time, batch, units], and the state after the last token.
        """
        outputs = self._apply_dropout(self.embedding(tokens), self.input_dropout)
        next_states: list[NetworkState] = []
        for index in range(len(self.layers)):
            inputs = outputs
            outputs, next_state = self._run_layer(index, inputs, state)
            outputs = self._apply_dropout(outputs, self.dropout)
            if self.residual and index:
                outputs = outputs + inputs
            next_states.append(next_state)
        return outputs, _join_layers(next_states)

    def forward(self, tokens: Tensor, state: NetworkState) -> tuple[Tensor, NetworkState]:
        """Compute the logits of the next token at each time step.

        Args:
            tokens: Shape [time, batch], int64.
            state: The state before the first token, for this batch.

        Returns:
            Logits of shape [time, batch, vocabulary], and the state after the last token.
        """
        outputs, state = self.forward_features(tokens, state)
        return self.output(outputs), state

    def _apply_dropout(self, values: Tensor, p: float) -> Tensor:
        return dropout(values, p, self.generator) if self.training else values


def _join_layers(states: Sequence[NetworkState]) -> NetworkState:
    """Return the state of a network from the parts of its layers. Layers may share an array."""
    parts: dict[str, list[Tensor]] = {}
    for state in states:
        for name, part in state.items():
            parts.setdefault(name, []).append(part)
    return {name: torch.cat(rows) if len(rows) > 1 else rows[0] for name, rows in parts.items()}
