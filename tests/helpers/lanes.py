"""Many lanes of one call of an engine, as arrays, for tests that compare them."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from textgen_runtime import Engine, Sampler, State
from textgen_runtime.engines.base import Lane, Measurements


class Together(NamedTuple):
    """What lanes of one length came to.

    Attributes:
        tokens: Shape [length, batch], int64.
        logits: Shape [batch, vocabulary], float32.
        state: Of all lanes.
    """

    tokens: NDArray[np.int64]
    logits: NDArray[np.float32]
    state: State


def some_lanes(state: State, lanes: slice) -> State:
    """The state of some of the lanes."""
    return State({name: np.ascontiguousarray(array[:, lanes]) for name, array in state.items()})


def joined(states: Sequence[State]) -> State:
    """One state of several lanes from the states of each."""
    return State({name: np.concatenate([each[name] for each in states], axis=1) for name in states[0]})


def generate_together(  # noqa: PLR0913, PLR0917 (as many as an engine takes)
    engine: Engine,
    samplers: Sequence[Sampler],
    logits: ArrayLike,
    state: State,
    length: int,
    measurements: Measurements | None = None,
) -> Together:
    """Let an engine continue lanes by ``length`` tokens in one call."""
    rows: Any = np.asarray(logits, np.float32)
    lanes = [
        Lane(sampler, rows[i], some_lanes(state, slice(i, i + 1)), length)
        for i, sampler in enumerate(samplers)
    ]
    made = engine.generate(lanes, length, measurements)
    return Together(
        np.array([each.tokens for each in made], np.int64).T,
        np.stack([np.asarray(each.logits) for each in made]),
        joined([each.state for each in made]),
    )
