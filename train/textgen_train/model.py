"""The network: embedding, LSTM, and a linear layer to logits, with the state going in and coming out."""

from typing import TypeAlias

import torch
from torch import Tensor, nn

from .recipe import Recipe

LSTMState: TypeAlias = tuple[Tensor, Tensor]


class CharLSTM(nn.Module):
    """A character-level LSTM language model.

    Args:
        vocabulary_size: How many characters it knows.
        recipe: Its sizes and its dropout.
    """

    def __init__(self, vocabulary_size: int, recipe: Recipe) -> None:
        super().__init__()
        # torch's own initial weights. Forget gates that start open, which helps where the past reaches far
        # back, cost 0.07 nats after eight passes over a book.
        self.embedding = nn.Embedding(vocabulary_size, recipe.embedding)
        self.lstm = nn.LSTM(
            recipe.embedding,
            recipe.units,
            recipe.layers,
            # torch applies this between layers only, and warns where there is no between.
            dropout=recipe.dropout if recipe.layers > 1 else 0.0,
        )
        self.dropout = nn.Dropout(recipe.dropout)
        self.output = nn.Linear(recipe.units, vocabulary_size)

    @property
    def parameter_count(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

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
