"""The network that all cells share: embedding, layers and a linear output layer, with an explicit state."""

import copy
from collections.abc import Sequence
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from ._dropout import dropout
from .state import NetworkState


class CharNetwork(nn.Module):
    """The base class of the character-level language models. Each cell is a subclass.

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
