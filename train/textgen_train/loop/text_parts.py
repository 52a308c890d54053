"""A pass of a model over a text, in parts that run at the same time.

One pass over the weights serves all parts. Each part starts from the state after the last tokens before it.
Earlier tokens hardly matter to this state. Where they do, the part runs again.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.results import State
from textgen_runtime.score import MAX_LOGITS

from textgen_train.data.tokens import RELEASE_INTERVAL, Tokens, release_pages

# Maximum number of parts of a text. More are not faster.
MAX_PARTS = 32
# Number of tokens before a part from which its first state is computed. In trained models, 128 are sufficient
# for the state of a single pass, apart from rounding errors.
CONTEXT = 256
# Minimum number of tokens of a part, so that the contexts take at most a fifth of the time.
MIN_PART = 1024
# Maximum difference of a value of these states.
MAX_STATE_DIFFERENCE = 1e-3

# Maximum number of steps of a forward call.
CHUNK = 256

# The arrays of a state by name. The second dimension of each is the part.
Arrays: TypeAlias = dict[str, NDArray[np.float32]]

# Receives the results of a forward call, on any thread: the position of the first token of each part that is
# predicted, int64; the number of these tokens, int64, which may be below 1; and the rows, shape [time, parts,
# vocabulary], of which each part has as many as tokens. A part that runs again gives its tokens again, at the
# same positions. The last rows count.
Sink: TypeAlias = Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]], None]


class Predictor(Protocol):
    """What predicts the tokens: an engine, or several. It keeps no state between calls."""

    @property
    def vocabulary_size(self) -> int:
        """The length of a row."""
        ...

    def initial_state(self, batch: int = 1) -> State:
        """Return the state before the first token."""
        ...

    def forward(
        self, tokens: NDArray[np.int64], state: State, *, last_only: bool = False
    ) -> tuple[NDArray[np.float32], State]:
        """Return a row for each token, and the state after them; see ``Engine.forward``."""
        ...


class TextParts(NamedTuple):
    """Parts of a text.

    Attributes:
        predictor: Predicts each token of a part from the tokens before it.
        before: The token before the text; with ``end``, before each part.
        tokens: The tokens of the text.
        starts: The positions of the first token of each part, int64.
        counts: The number of tokens of each part, int64.
        threads: Maximum number of threads. Each runs some of the parts.
        end: The last token of each part if the parts are records; None for a continuous text.
    """

    predictor: Predictor
    before: int
    tokens: Tokens
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]
    threads: int
    end: int | None = None

    @classmethod
    def of(cls, predictor: Predictor, before: int, tokens: Tokens, threads: int) -> "TextParts":
        """Divide a continuous text of at least one token."""
        parts = min(MAX_PARTS, -(-len(tokens) // MIN_PART))
        size = -(-len(tokens) // parts)
        starts = np.arange(0, len(tokens), size)
        return cls(predictor, before, tokens, starts, np.minimum(size, len(tokens) - starts), threads)

    def run(self, sink: Sink) -> None:
        """Run over a continuous text, with the state of a single pass."""
        parts = np.arange(len(self.starts))
        begins = self._on_threads(self._states_before, parts)
        ends = self.run_from(begins, sink, parts)
        # The first part starts from the right state. In order, each part that started from another state than
        # that in which the part before it ends runs again, at most once.
        for part in range(1, len(parts)):
            previous, began = _selected(ends, [part - 1]), _selected(begins, [part])
            if any(np.abs(previous[name] - began[name]).max() > MAX_STATE_DIFFERENCE for name in ends):
                again = self.run_from(previous, sink, parts[[part]])
                for name, array in ends.items():
                    array[:, [part]] = again[name]
        release_pages(self.tokens)

    def initial_states(self, parts: int) -> Arrays:
        """Return the state before a text, for this number of parts."""
        return _arrays(self.predictor.initial_state(parts))

    def run_from(self, states: Arrays, sink: Sink, parts: NDArray[np.int64]) -> Arrays:
        """Run over the parts of these numbers from some states, on several threads; return the last states.

        The calls of the sink do not depend on the chosen parts.
        """
        # The rows of all threads together are limited.
        steps = max(1, min(CHUNK, MAX_LOGITS // (len(self.starts) * self.predictor.vocabulary_size)))
        return self._on_threads(
            lambda share: self._run_share(_selected(states, share), sink, parts[share], steps),
            np.arange(len(parts)),
        )

    def _on_threads(self, call: Callable[[NDArray[np.int64]], Arrays], indices: NDArray[np.int64]) -> Arrays:
        """Return the joined results of a function of some of the indices, called on several threads."""
        shares = np.array_split(indices, min(self.threads, len(indices)))
        with ThreadPoolExecutor(len(shares), "textgen-scoring") as pool:
            return _joined(list(pool.map(call, shares)))

    def _states_before(self, parts: NDArray[np.int64]) -> Arrays:
        """Return the states after the contexts of some parts. Before the text, it is the initial state."""
        starts = self.starts[parts]
        context = self._tokens_at(starts - CONTEXT - 1, CONTEXT)
        states = _arrays(
            self.predictor.forward(context, self.predictor.initial_state(len(parts)), last_only=True)[1]
        )
        for array in states.values():
            array[:, starts == 0] = 0
        return states

    def _run_share(self, states: Arrays, sink: Sink, parts: NDArray[np.int64], steps: int) -> Arrays:
        """Run over parts on this thread, in calls of at most ``steps`` steps."""
        starts, counts, state = self.starts[parts], self.counts[parts], states
        size = int(counts.max())
        for index, offset in enumerate(range(0, size, steps)):
            if index % RELEASE_INTERVAL == 0:
                release_pages(self.tokens)
            count = min(steps, size - offset)
            rows, state = self.predictor.forward(self._tokens_at(starts + offset - 1, count), state)
            sink(starts + offset, np.minimum(count, counts - offset), rows)
        return _arrays(state)

    def _tokens_at(self, positions: NDArray[np.int64], count: int) -> NDArray[np.int64]:
        """Return the tokens from some positions on, shape [count, positions]. -1 is that before the text.

        After the end of the text, the last token is repeated. ``before`` replaces the ends of records.
        """
        rows = positions + np.arange(count)[:, np.newaxis]
        found: NDArray[np.int64] = self.tokens[rows.clip(0, len(self.tokens) - 1)].astype(np.int64)
        found[(rows < 0) if self.end is None else (rows < 0) | (found == self.end)] = self.before
        return found


def _arrays(state: State) -> Arrays:
    """Return a copy of the arrays of a state, which an engine may have as other buffers."""
    return {name: np.array(buffer, np.float32) for name, buffer in state.items()}


def _selected(states: Arrays, parts: NDArray[np.int64] | list[int]) -> Arrays:
    """Return a contiguous copy of the states of some parts."""
    return {name: np.ascontiguousarray(array[:, parts]) for name, array in states.items()}


def _joined(states: Sequence[Arrays]) -> Arrays:
    """Return the states of several groups of parts as one."""
    return {name: np.concatenate([state[name] for state in states], axis=1) for name in states[0]}
