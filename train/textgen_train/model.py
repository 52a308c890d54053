"""The network: embedding, LSTM, and a linear layer to logits, with the state going in and coming out."""

from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.func import functional_call

LSTMState: TypeAlias = tuple[Tensor, Tensor]


class CharLSTM(nn.Module):
    """A character-level LSTM language model.

    Args:
        vocabulary_size: How many characters it knows.
        units: LSTM units a layer.
        layers: LSTM layers.
        embedding: Numbers that stand for a character at the input.
        dropout: Share of each layer's outputs left out while training.
        input_dropout: Share of the embedding's outputs left out while training.
        weight_dropout: Share of the recurrent weights left out of each update (S. Merity and others,
            Regularizing and Optimizing LSTM Language Models, arXiv:1708.02182).
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
        # torch's own initial weights. Forget gates that start open, which helps where the past reaches far
        # back, cost 0.07 nats after eight passes over a book.
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        # torch applies this dropout between layers only, and warns where there is no between.
        self.lstm = nn.LSTM(embedding, units, layers, dropout=dropout if layers > 1 else 0.0)
        self.input_dropout, self.dropout = nn.Dropout(input_dropout), nn.Dropout(dropout)
        self.weight_dropout = weight_dropout
        self.output = nn.Linear(units, vocabulary_size)

    @property
    def parameter_count(self) -> int:
        """How many numbers are learned."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    @property
    def lstm_matrices(self) -> list[nn.Parameter]:
        """The LSTM's weight matrices, each of shape [4 * units, inputs]."""
        return [weight for weight in self.lstm.parameters() if weight.ndim == 2]  # noqa: PLR2004 (a matrix)

    def initial_state(self, batch: int) -> LSTMState:
        """The state of streams that have read nothing: zeros of shape [layers, batch, units]."""
        shape = (self.lstm.num_layers, batch, self.lstm.hidden_size)
        return torch.zeros(shape), torch.zeros(shape)

    def forward(self, tokens: Tensor, state: LSTMState) -> tuple[Tensor, LSTMState]:
        """Read tokens.

        Args:
            tokens: Shape [time, batch], int64.
            state: Hidden and cell, each [layers, batch, units].

        Returns:
            Logits of shape [time, batch, vocabulary], and the state after the last token.
        """
        embedded = self.input_dropout(self.embedding(tokens))
        outputs, state = functional_call(self.lstm, self._thinned_weights(), (embedded, state))
        return self.output(self.dropout(outputs)), state

    def _thinned_weights(self) -> dict[str, Tensor]:
        """The recurrent weights to use instead of the LSTM's own: the same ones left out at every step."""
        if not self.training or not self.weight_dropout:
            return {}
        return {
            name: nn.functional.dropout(weight, self.weight_dropout)
            for name, weight in self.lstm.named_parameters()
            if name.startswith("weight_hh")
        }
