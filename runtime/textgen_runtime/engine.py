"""What runs a model: tokens and a state in, logits and the next state out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ._sampler import Sampler


class State(NamedTuple):
    """All that a model remembers of the text so far; a plain value, never changed in place.

    Attributes:
        hidden: Shape [layers, batch, units], float32.
        cell: Shape [layers, batch, units], float32.
    """

    hidden: NDArray[np.float32]
    cell: NDArray[np.float32]


class Decoded(NamedTuple):
    """What ``Engine.decode`` returns.

    Attributes:
        tokens: What was drawn, shape [length, batch], int64.
        logits: Of what comes next, shape [batch, vocabulary], float32.
        state: After the last token.
    """

    tokens: NDArray[np.int64]
    logits: NDArray[np.float32]
    state: State


@dataclass
class Measurements:
    """Adds up what decoding took, and how uncertain the model was.

    Attributes:
        characters: How many were drawn.
        model_seconds: Spent in steps.
        sampler_seconds: Spent in draws.
        entropy_bits: Sum of the entropies of the distributions they were drawn from, in bits.
        latencies: Arrays of the nanoseconds that each draw and step took, or None to keep only their sums.
    """

    characters: int = 0
    model_seconds: float = 0.0
    sampler_seconds: float = 0.0
    entropy_bits: float = 0.0
    latencies: list[NDArray[np.int64]] | None = None

    def add(self, characters: int, model_seconds: float, sampler_seconds: float, entropy_bits: float) -> None:
        """Add another piece of decoding."""
        self.characters += characters
        self.model_seconds += model_seconds
        self.sampler_seconds += sampler_seconds
        self.entropy_bits += entropy_bits

    def merge(self, other: "Measurements") -> None:
        """Add what was measured apart, such as by another thread."""
        self.add(other.characters, other.model_seconds, other.sampler_seconds, other.entropy_bits)
        if self.latencies is not None:
            self.latencies += other.latencies or []


class Engine(Protocol):
    """Runs one model. It holds no text and no stream, so any number of threads may share it."""

    @property
    def name(self) -> str:
        """What runs the model, for people to read."""
        ...

    @property
    def layers(self) -> int: ...

    @property
    def units(self) -> int: ...

    @property
    def vocabulary_size(self) -> int: ...

    def piece(self, streams: int) -> int:
        """How many characters of each of so many streams ``decode`` makes in some milliseconds.

        Longer pieces would keep an interrupt waiting, shorter ones cost more than they do.
        """
        ...

    def step(
        self, tokens: NDArray[np.int64], state: State, *, last_only: bool = False
    ) -> tuple[NDArray[np.float32], State]:
        """Read tokens and say what may follow each of them.

        Args:
            tokens: Shape [time, batch], int64, each in [0, vocabulary_size).
            state: What was read before; shapes [layers, batch, units].
            last_only: Whether to compute logits after the last token only, which is all that a prompt needs
                and, with a large vocabulary, much less work.

        Returns:
            Logits of shape [time, batch, vocabulary_size], or [1, batch, vocabulary_size] with
            ``last_only``, float32, and the state after the last token.
        """
        ...

    def decode(
        self,
        samplers: Sequence[Sampler],
        logits: NDArray[np.float32],
        state: State,
        length: int,
        measurements: Measurements | None = None,
    ) -> Decoded:
        """Draw a token for each stream and read it, ``length`` times over.

        What a stream draws does not depend on the streams beside it.

        Args:
            samplers: One for each stream, each another.
            logits: Of the first token, shape [batch, vocabulary_size], float32.
            state: What was read before; shapes [layers, batch, units].
            length: How many tokens of each stream.
            measurements: Where to add up what it took, or None to save the effort.

        Raises:
            SamplingError: If the logits are not finite.
            ValueError: If a shape is not as stated, or a sampler is there twice.
        """
        ...


def initial_state(engine: Engine, batch: int = 1) -> State:
    """The state of streams that have read nothing: zeros."""
    shape = (engine.layers, batch, engine.units)
    return State(np.zeros(shape, np.float32), np.zeros(shape, np.float32))


def join_states(states: Sequence[State]) -> State:
    """One state of several streams from the states of each."""
    return State(
        np.concatenate([state.hidden for state in states], axis=1),
        np.concatenate([state.cell for state in states], axis=1),
    )


def select_streams(state: State, streams: slice) -> State:
    """The state of some of the streams."""
    return State(state.hidden[:, streams], state.cell[:, streams])
