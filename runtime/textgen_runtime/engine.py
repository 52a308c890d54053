"""What runs a model: tokens and a state in, logits and the next state out."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class State(NamedTuple):
    """All that a model remembers of the text so far; a plain value, never changed in place.

    Attributes:
        hidden: Shape [layers, batch, units], float32.
        cell: Shape [layers, batch, units], float32.
    """

    hidden: NDArray[np.float32]
    cell: NDArray[np.float32]


class Engine(Protocol):
    """Runs one model. It holds no text and no stream, so any number of threads may share it."""

    @property
    def layers(self) -> int: ...

    @property
    def units(self) -> int: ...

    @property
    def vocabulary_size(self) -> int: ...

    def step(self, tokens: NDArray[np.int64], state: State) -> tuple[NDArray[np.float32], State]:
        """Read tokens and say what may follow each of them.

        Args:
            tokens: Shape [time, batch], int64, each in [0, vocabulary_size). Not checked: tokens come
                from a vocabulary or a sampler.
            state: What was read before; shapes [layers, batch, units].

        Returns:
            Logits of shape [time, batch, vocabulary_size], float32, and the state after the last token.
        """
        ...


def initial_state(engine: Engine, batch: int = 1) -> State:
    """The state of streams that have read nothing: zeros."""
    shape = (engine.layers, batch, engine.units)
    return State(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
