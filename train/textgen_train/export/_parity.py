"""Comparison of an engine with torch.

Both compute one forward step from the same state and token. This is repeated for many states.
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from textgen_runtime.engines.base import Engine, State
from textgen_runtime.model_file.graph_names import LOGITS, NEXT
from torch import Tensor

from textgen_train.data.token_array import Tokens
from textgen_train.errors import ExportError
from textgen_train.models.network import CharNetwork
from textgen_train.models.state import NetworkState, concatenate_lanes

# The network reads PARITY_LANES lanes of PARITY_STEPS tokens each. The state before each token is compared.
PARITY_LANES = 8
PARITY_STEPS = 64

# Seed of the random tokens that replace a missing text.
PARITY_SEED = 0

# Largest allowed difference. If the largest value is above 1, the difference is relative to this value,
# because rounding errors of float32 grow with the values. Otherwise it is absolute. A wrong export differs by
# much more.
MAX_DIFFERENCE = 1e-4

# Very large weights amplify rounding errors. Therefore a difference is also allowed up to this factor times
# the rounding error of torch, which is the difference of its float32 and float64 results. The factor is above
# 1 because engines add in a different order.
MAX_ROUNDING_FACTOR = 10.0


class Reference:
    """The results of torch for one step from each of many states. ``check`` compares an engine with them.

    Args:
        model: The trained network.
        text: Tokens, shape [characters], not empty. The network reads lanes of this text to get to the
            compared states.
    """

    @torch.no_grad()
    def __init__(self, model: CharNetwork, text: Tokens) -> None:
        was_training = model.training
        model.eval()
        try:
            lanes = text_lanes(text)
            self._tokens = lanes.reshape(1, -1).copy()
            # Replace every second token, so that tokens that are rare in the text are compared too.
            replaced = self._tokens[0, 1::2]
            replaced[:] = _spread_tokens(model.output.out_features, len(replaced))
            self._state = _states_before_tokens(model, lanes)
            tokens = torch.from_numpy(self._tokens)
            self._expected = _forward_arrays(model, tokens, self._state)
            float64_state = {name: part.double() for name, part in self._state.items()}
            exact = _forward_arrays(model.clone().double(), tokens, float64_state)
        finally:
            model.train(was_training)
        self._tolerances = {
            name: _tolerance(expected, exact[name]) for name, expected in self._expected.items()
        }

    def check(self, engine: Engine) -> float:
        """Compare one step of an engine with torch.

        Returns:
            The largest absolute difference of the logits.

        Raises:
            ExportError: If the logits or the next states differ by more than the tolerance.
        """
        logits, state = engine.forward(
            self._tokens, State({name: part.numpy() for name, part in self._state.items()})
        )
        actual = _outputs(logits, state)
        differences = {
            name: float(np.abs(actual[name] - expected).max()) for name, expected in self._expected.items()
        }
        for name, difference in differences.items():
            tolerance = self._tolerances[name]
            # `difference > tolerance` would be false for NaN.
            if not difference <= tolerance:
                raise ExportError(
                    f"the exported model was not written: with the engine {engine.name}, its output {name} "
                    f"differs from that of the trained network by {difference:.2g}, more than {tolerance:.2g}"
                )
        return differences[LOGITS]


def text_lanes(text: Tokens) -> NDArray[np.int64]:
    """Return evenly spaced sections of the text as lanes, shape [PARITY_STEPS, PARITY_LANES], int64."""
    if len(text) < PARITY_STEPS:
        text = np.resize(text, PARITY_STEPS)
    starts = np.linspace(0, len(text) - PARITY_STEPS, PARITY_LANES).astype(np.int64)
    sections = [text[start : start + PARITY_STEPS] for start in starts]
    return np.stack(sections, axis=1).astype(np.int64)


def _spread_tokens(vocabulary: int, count: int) -> NDArray[np.int64]:
    """Return ``count`` tokens that are spread over the vocabulary, shape [count].

    They are all tokens in turn, or an evenly spaced subset if the vocabulary is larger than ``count``.
    """
    if vocabulary <= count:
        return np.resize(np.arange(vocabulary), count)
    return np.linspace(0, vocabulary - 1, count).astype(np.int64)


def _states_before_tokens(model: CharNetwork, lanes: NDArray[np.int64]) -> NetworkState:
    """Return the states before each token of the lanes as one batch of size PARITY_STEPS * PARITY_LANES."""
    state = model.initial_state(lanes.shape[1])
    states: list[NetworkState] = []
    for row in torch.from_numpy(lanes).unsqueeze(1):
        states.append(state)
        _, state = model.forward_features(row, state)
    return concatenate_lanes(states)


def _forward_arrays(
    model: CharNetwork, tokens: Tensor, state: NetworkState
) -> dict[str, NDArray[np.floating]]:
    """Return the outputs of torch by their names in the graph."""
    logits, next_state = model(tokens, state)
    return _outputs(logits.numpy(), {name: part.numpy() for name, part in next_state.items()})


def _outputs(
    logits: NDArray[np.floating], next_state: Mapping[str, NDArray[np.floating]]
) -> dict[str, NDArray[np.floating]]:
    """Return the outputs of a step by their names in the graph."""
    return {LOGITS: logits, **{NEXT + name: part for name, part in next_state.items()}}


def _tolerance(expected: NDArray[np.floating], exact: NDArray[np.floating]) -> float:
    """Return the largest allowed difference, given the float32 and the float64 results of torch."""
    rounding = float(np.abs(expected - exact).max())
    return max(MAX_DIFFERENCE * max(1.0, float(np.abs(expected).max())), MAX_ROUNDING_FACTOR * rounding)
