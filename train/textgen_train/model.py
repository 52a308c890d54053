"""The network: embedding, LSTM, and a linear layer to logits, with the state going in and coming out."""

from typing import TypeAlias

import torch
from torch import Tensor, nn

LSTMState: TypeAlias = tuple[Tensor, Tensor]


class CharLSTM(nn.Module):
    """A character-level LSTM language model.

    Args:
        vocabulary_size: How many characters it knows.
        units: LSTM units a layer.
        layers: LSTM layers.
        embedding: Numbers that stand for a character at the input.
        dropout: Share of each layer's outputs left out while training.
    """

    def __init__(
        self, vocabulary_size: int, *, units: int, layers: int = 1, embedding: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        # torch's own initial weights. Forget gates that start open, which helps where the past reaches far
        # back, cost 0.07 nats after eight passes over a book.
        self.embedding = nn.Embedding(vocabulary_size, embedding)
        # torch applies this dropout between layers only, and warns where there is no between.
        self.lstm = nn.LSTM(embedding, units, layers, dropout=dropout if layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)
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
        outputs, state = self.lstm(self.embedding(tokens), state)
        return self.output(self.dropout(outputs)), state
