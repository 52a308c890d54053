"""The network: embedding, LSTM layers and a linear layer to logits; the state goes in and comes out."""

import copy
from collections.abc import Iterator
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ._dropout import dropout

LSTMState: TypeAlias = tuple[Tensor, Tensor]


class CharLSTM(nn.Module):
    """A character-level LSTM language model.

    Args:
        vocabulary_size: How many characters it knows.
        units: LSTM units a layer.
        layers: LSTM layers.
        embedding: Size of the embedding of a character at the input.
        dropout: Dropout on each layer's outputs.
        input_dropout: Dropout on the embedding's outputs.
        weight_dropout: DropConnect on the recurrent weights: the share of them that is dropped for a whole
            call (S. Merity and others, Regularizing and Optimizing LSTM Language Models, arXiv:1708.02182).

    Raises:
        ValueError: If a dropout share is not in [0, 1).

    Attributes:
        generator: Where dropout masks come from; None takes torch's own generator.
    """

    def __init__(  # noqa: PLR0913 (keywords, each a number of the recipe)
        self,
        vocabulary_size: int,
        *,
        units: int,
        layers: int = 1,
        embedding: int,
        dropout: float = 0.0,
        input_dropout: float = 0.0,
        weight_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        for share in (dropout, input_dropout, weight_dropout):
            if not 0 <= share < 1:
                raise ValueError(f"dropout shares must be in [0, 1), not {share}")
        self.units = units
        self.dropout, self.input_dropout, self.weight_dropout = dropout, input_dropout, weight_dropout
        self.generator: torch.Generator | None = None
        # torch's own initial weights. Forget gates that start open, which helps where the past reaches far
        # back, cost 0.07 nats after eight passes over a book.
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        # A module for each layer, since the dropout in between has a generator of its own.
        self.layers = nn.ModuleList(nn.LSTM(units if i else embedding, units) for i in range(layers))
        self.output = nn.Linear(units, vocabulary_size)

    @property
    def parameter_count(self) -> int:
        """How many parameters are trained."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    def clone(self, *, share_parameters: bool = False) -> "CharLSTM":
        """A copy of all modules, with parameters of its own or with this network's.

        It shares the generator, which cannot be copied; replicas get one of their own.
        """
        kept = [self.generator, *(self.parameters() if share_parameters else ())]
        return copy.deepcopy(self, {id(each): each for each in kept})

    @property
    def lstm_matrices(self) -> list[nn.Parameter]:
        """The LSTM's weight matrices, each of shape [4 * units, inputs]."""
        return [weight for weight in self.layers.parameters() if weight.ndim == 2]  # noqa: PLR2004 (a matrix)

    def initial_state(self, batch: int) -> LSTMState:
        """The state of lanes that have read nothing: zeros of shape [layers, batch, units]."""
        shape = (len(self.layers), batch, self.units)
        return torch.zeros(shape), torch.zeros(shape)

    def read(self, tokens: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Read tokens without predicting what follows.

        Args:
            tokens: Shape [time, batch], int64.
            state: Hidden and cell, each [layers, batch, units].

        Returns:
            The top layer's outputs, shape [time, batch, units], and the state after the last token.
        """
        outputs = self._dropped(self.embedding(tokens), self.input_dropout)
        after: list[LSTMState] = []
        for layer, before in zip(self.layers, self._by_layer(state), strict=True):
            outputs, own = functional_call(layer, self._thinned_weights(layer), (outputs, before))
            outputs = self._dropped(outputs, self.dropout)
            after.append(own)
        hidden, cell = zip(*after, strict=True)
        return outputs, (torch.cat(hidden), torch.cat(cell))

    def forward(self, tokens: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Read tokens.

        Args:
            tokens: Shape [time, batch], int64.
            state: Hidden and cell, each [layers, batch, units].

        Returns:
            Logits of shape [time, batch, vocabulary], and the state after the last token.
        """
        outputs, state = self.read(tokens, state)
        return self.output(outputs), state

    @staticmethod
    def _by_layer(state: LSTMState) -> Iterator[LSTMState]:
        hidden, cell = state
        return zip(torch.split(hidden, 1), torch.split(cell, 1), strict=True)

    def _dropped(self, values: Tensor, share: float) -> Tensor:
        return dropout(values, share, self.generator) if self.training else values

    def _thinned_weights(self, layer: nn.Module) -> dict[str, Tensor]:
        """The recurrent weights to use instead of a layer's own: the same ones are dropped at every step."""
        if not self.training or not self.weight_dropout:
            return {}
        weight: Tensor = layer.get_parameter("weight_hh_l0")
        if torch.is_autocast_enabled("cpu"):
            # The product will be in this type; a mask in it takes half the memory traffic.
            weight = weight.to(torch.get_autocast_dtype("cpu"))
        return {"weight_hh_l0": dropout(weight, self.weight_dropout, self.generator)}
