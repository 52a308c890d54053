"""The interface of an engine, and the values that engines exchange with their callers.

To write an engine, implement ``Engine`` and add it to ``opening.py``. An engine must:

- run the network over tokens and a state (``forward``);
- generate tokens for many texts, so that each is independent of the others (``generate``);
- never change an array that a caller passed in;
- keep no state between calls, so that threads may share it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from textgen_runtime._core import MAX_STEPS, Stream
from textgen_runtime.results import (
    Ending,
    FloatBuffer,
    Generated,
    Measurements,
    State,
    TextEnding,
    has_no_error,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textgen_runtime.model_file.network import Network

# With the names of results.py, for other rooms to import from here.
__all__ = [
    "MAX_STEPS",
    "Ending",
    "Engine",
    "FloatBuffer",
    "Generated",
    "Lane",
    "Measurements",
    "State",
    "Stream",
    "TextEnding",
    "has_no_error",
]


class Lane(NamedTuple):
    """The input of ``Engine.generate`` for one text.

    Attributes:
        stream: The text. It advances.
        length: The number of tokens until the lane ends, 1 or more.
        must_end: Whether the text must match its constraint within ``length`` tokens. If False, the length
            can cut a text that does not match yet.
        masked: Whether tokens that the constraint forbids are never drawn before the text matches. If False,
            the lane draws as if it had no constraint, and ends with ``"mismatch"`` before the first token
            after which no text can match.
        logprobs: Whether to return the log-probability of each token.
    """

    stream: Stream
    length: int
    must_end: bool = False
    masked: bool = True
    logprobs: bool = False


class Engine(Protocol):
    """Runs one model. It keeps no state between calls, so threads may share it."""

    @property
    def name(self) -> str:
        """The name of the engine in reports, such as ``native (avx2)``."""
        ...

    @property
    def network(self) -> "Network":
        """The layers and the state arrays of the network."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """The number of logits."""
        ...

    def chunk_length(self, lanes: int) -> int:
        """Return how many tokens per lane ``generate`` can generate in some milliseconds; at most MAX_STEPS.

        An interrupt waits for the end of a chunk. Shorter chunks have more overhead.
        """
        ...

    def initial_state(self, batch: int = 1) -> State:
        """Return the state of new lanes: zeros."""
        ...

    def forward(
        self, tokens: "NDArray[np.int64]", state: State, *, last_only: bool = False
    ) -> "tuple[NDArray[np.float32], State]":
        """Run the network over a batch of token sequences. Imports numpy.

        Args:
            tokens: An int64 array of shape [time, batch], each token in [0, vocabulary_size).
            state: The state before the first token, of the same batch size.
            last_only: Whether to compute only the logits after the last token. A prompt needs no others, and
                with a large vocabulary this takes much less time.

        Returns:
            The float32 logits of shape [time, batch, vocabulary_size], or [1, batch, vocabulary_size] if
            ``last_only``; and the state after the last token.

        Raises:
            ModelFileError: If the graph fails, or if an output has the wrong shape (onnxruntime only).
        """
        ...

    def new_stream(self, seed: int = 0, substream: int = 0) -> Stream:
        """Return a new text for this engine, which has not been fed. Its state is zeros.

        Raises:
            SamplingError: If the seed or the substream is out of range.
        """
        ...

    def generate(
        self, lanes: Sequence[Lane], steps: int, measurements: Measurements | None = None
    ) -> list[Generated]:
        """Generate up to ``steps`` tokens for each lane.

        Each step draws a token of every lane from its logits and runs the network on it. A lane ends after
        ``Lane.length`` tokens, or where its stop texts, its constraint or its record end it; the others
        continue. The tokens of a lane are independent of the other lanes.

        If one token gives several reasons to end, the stop text comes first, then the end token, then the
        constraint, then the length. A constraint forbids the end token until the text matches. The end token
        is one of the drawn tokens, but the filters do not count it.

        A text that matches its constraint and that no token may follow ends at once. Any other text
        that matches ends before the first drawn token that the constraint forbids, and so does a text that
        does not match, if it draws unmasked. That token is dropped: the random stream advances, but the text
        does not contain it.

        Args:
            lanes: 1 or more lanes, each with another stream.
            steps: The maximum number of tokens per lane, from 1 to ``MAX_STEPS``.
            measurements: Where to add the measurements, or None to measure nothing.

        If the logits of a lane contain NaN or +inf, if no token is left to draw, or if its random stream is
        exhausted, the result of this lane has the ``error``, and the other lanes continue. Such a call
        measures nothing.

        Returns:
            One ``Generated`` per lane, in order.

        Raises:
            SamplingError: If a constraint needs more tokens than the length of its lane. As with PromptError
                and ValueError, no text has then advanced.
            PromptError: If a text has not been fed.
            ValueError: If there is no lane, if ``steps`` or a length is wrong, if two lanes share a stream,
                or if a stream is of another model.
            ModelFileError: As for ``forward``. The texts may have advanced: the caller continues with copies
                from before.
        """
        ...
