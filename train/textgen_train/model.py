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
        self._open_forget_gates()

    def _open_forget_gates(self) -> None:
        """Start out remembering (Jozefowicz, Zaremba and Sutskever 2015, section 2.2)."""
        units = self.lstm.hidden_size
        with torch.no_grad():
            for layer in range(self.lstm.num_layers):
                getattr(self.lstm, f"bias_ih_l{layer}")[units : 2 * units] = 1.0

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
