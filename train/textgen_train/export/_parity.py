"""Parity: one step of an engine compared with torch, from many states."""

import numpy as np
import torch
from numpy.typing import NDArray
from textgen_runtime.engines.base import Engine, State
from torch import Tensor

from textgen_train.errors import ExportError
from textgen_train.models.lstm import CharLSTM, LSTMState

# The states that are compared: those of so many lanes of text after each of so many steps.
PARITY_LANES = 8

PARITY_STEPS = 64

PARITY_SEED = 0

# Of values up to 1; of larger ones, this share of the largest: what float32 rounds away grows with them, and
# a wrong export is wrong by far more.
MAX_DIFFERENCE = 1e-4

# A network with very large weights amplifies what float32 rounds away. Torch's own rounding, which is
# measured against float64, may be exceeded by this factor, since engines add up in different orders.
MAX_ROUNDING = 10.0


class Reference:
    """What torch makes of one step from each of many states; compares engines with it.

    Args:
        model: The trained network.
        text: Shape [characters], int64, at least one; read from several places at once.
    """

    @torch.no_grad()
    def __init__(self, model: CharLSTM, text: NDArray[np.int64]) -> None:
        was_training = model.training
        model.eval()
        try:
            columns = _lanes(text)
            self._tokens = columns.reshape(1, -1).copy()
            # Every other state reads a token of its own choice, so that rare ones are compared too.
            others = self._tokens[0, 1::2]
            others[:] = _spread(model.output.out_features, len(others))
            self._state = _states(model, columns)
            tokens = torch.from_numpy(self._tokens)
            self._expected = _step(model, tokens, self._state)
            exact_state = (self._state[0].double(), self._state[1].double())
            exact = _step(model.clone().double(), tokens, exact_state)
        finally:
            model.train(was_training)
        self._limits = [_limit(*pair) for pair in zip(self._expected, exact, strict=True)]

    def check(self, engine: Engine) -> float:
        """Compare one step of an engine.

        Returns:
            The largest difference between any two logits.

        Raises:
            ExportError: If logits or next states differ by more than rounding explains.
        """
        logits, after = engine.forward(
            self._tokens,
            State(dict(zip(("hidden", "cell"), (part.numpy() for part in self._state), strict=True))),
        )
        names = ("logits", "next hidden state", "next cell state")
        differences = [
            float(np.abs(found - expected).max())
            for found, expected in zip((logits, after["hidden"], after["cell"]), self._expected, strict=True)
        ]
        for name, difference, limit in zip(names, differences, self._limits, strict=True):
            # Not `difference > limit`, which NaN would pass.
            if not difference <= limit:
                raise ExportError(
                    f"the exported model's {name} differs from the trained network's by {difference:.2g}, "
                    f"more than {limit:.2g}, with {engine.name}: it was not written"
                )
        return differences[0]


def _lanes(text: NDArray[np.int64]) -> NDArray[np.int64]:
    """Stretches from all over the text, side by side; shape [PARITY_STEPS, PARITY_LANES]."""
    text = np.resize(text, max(len(text), PARITY_STEPS))
    starts = np.linspace(0, len(text) - PARITY_STEPS, PARITY_LANES).astype(np.int64)
    return np.stack([text[start : start + PARITY_STEPS] for start in starts], axis=1)


def _spread(vocabulary: int, count: int) -> NDArray[np.int64]:
    """All tokens of a vocabulary, over and over; of a large one, as many as fit, evenly spread."""
    if vocabulary <= count:
        return np.resize(np.arange(vocabulary), count)
    return np.linspace(0, vocabulary - 1, count).astype(np.int64)


def _states(model: CharLSTM, columns: NDArray[np.int64]) -> LSTMState:
    """The state before each token, as one batch in the order of the tokens' rows."""
    state = model.initial_state(columns.shape[1])
    before: list[LSTMState] = []
    for row in torch.from_numpy(columns).unsqueeze(1):
        before.append(state)
        _, state = model.read(row, state)
    hidden, cell = zip(*before, strict=True)
    return torch.cat(hidden, dim=1), torch.cat(cell, dim=1)


def _step(model: CharLSTM, tokens: Tensor, state: LSTMState) -> tuple[NDArray[np.floating], ...]:
    logits, after = model(tokens, state)
    return logits.numpy(), *(part.numpy() for part in after)


def _limit(expected: NDArray[np.floating], exact: NDArray[np.floating]) -> float:
    """How far an engine's values may be from torch's."""
    rounding = float(np.abs(expected - exact).max())
    return max(MAX_DIFFERENCE * max(1.0, float(np.abs(expected).max())), MAX_ROUNDING * rounding)
