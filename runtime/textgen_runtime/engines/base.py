"""The interface of an engine, and the values that engines exchange with their callers.

To write an engine, implement ``Engine`` and add it to ``opening.py``. An engine must:

- run the network over tokens and a state (``forward``, ``feed``);
- generate tokens for many lanes, so that each lane is independent of the others (``generate``);
- never change an array that a caller passed in;
- keep no state between calls, so that threads may share it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from textgen_runtime.sampling.sampler import Sampler

from .state import FloatBuffer, State, StoredBuffer, float_buffer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textgen_runtime.model_file.network import Network
    from textgen_runtime.sampling.automata import Constraint, Stops
else:
    # Importing the automata takes half a millisecond, and most texts need none. Strings as annotations would
    # take as long, because NamedTuple compiles them.
    Constraint = Stops = object

# With the names of state.py, for other rooms to import from here.
__all__ = [
    "Ending",
    "Engine",
    "FloatBuffer",
    "Generated",
    "Guide",
    "Lane",
    "Measurements",
    "State",
    "StoredBuffer",
    "float_buffer",
]

# Why a lane ended.
# - "length": it has as many tokens as it may have;
# - "stop": its last tokens are a stop text;
# - "constraint": its text matches the constraint, and ends there;
# - "end": its last token is the end token of a record;
# - "mismatch": its text cannot match the constraint. Only a lane that draws unmasked ends so.
Ending: TypeAlias = Literal["length", "stop", "end", "constraint", "mismatch"]


class Measurements:
    """Sums of times and entropies over generated tokens.

    Attributes:
        draws: Number of tokens drawn, with those that a constraint forbade and that are part of no text.
        model_seconds: Time in forward steps.
        sampler_seconds: Time in draws.
        entropy_bits: Sum of the entropies of the distributions of all draws, in bits.
        latencies: Nanoseconds of each draw and forward step together, or None if they are not kept.
    """

    def __init__(self, *, latencies: bool = False) -> None:
        self.draws = 0
        self.model_seconds = self.sampler_seconds = self.entropy_bits = 0.0
        self.latencies: list[int] | None = [] if latencies else None

    def add(self, draws: int, model_seconds: float, sampler_seconds: float, entropy_bits: float) -> None:
        """Add the measurements of another chunk."""
        self.draws += draws
        self.model_seconds += model_seconds
        self.sampler_seconds += sampler_seconds
        self.entropy_bits += entropy_bits

    def merge(self, other: "Measurements") -> None:
        """Add the sums of another object, such as that of another thread."""
        self.add(other.draws, other.model_seconds, other.sampler_seconds, other.entropy_bits)
        if self.latencies is not None:
            self.latencies += other.latencies or []


class Guide(NamedTuple):
    """The stop texts, the constraint and the minimum length of a lane, and how far its text has advanced.

    To continue a lane in another call, pass the guide of its ``Generated``.

    Attributes:
        stops: The stop texts, or None. The lane ends after the first one.
        stop_state: The state of ``stops`` before the next token. 0 is the state of a new text, and of a text
            that a stop text has just ended.
        constraint: What the text must match, or None.
        constraint_state: The state of ``constraint`` before the next token. 0 is the state of a new text.
        must_end: Whether the text must match by the end of ``Lane.length``. If False, the length can cut a
            text that does not match yet.
        masked: Whether tokens that the constraint forbids are never drawn before the text matches. If False,
            the lane draws as if it had no constraint, and ends with ``"mismatch"`` before the first token
            after which no text can match.
        min_length: The number of tokens before which the end token is not drawn, 0 or more.
    """

    stops: Stops | None = None
    stop_state: int = 0
    constraint: Constraint | None = None
    constraint_state: int = 0
    must_end: bool = False
    masked: bool = True
    min_length: int = 0


class Lane(NamedTuple):
    """The input of ``Engine.generate`` for one text.

    Attributes:
        sampler: The sampler that draws. Its position advances by one per draw.
        logits: Logits of the next token: float32 of shape [vocabulary_size].
        state: The state before the next token, of batch size 1.
        length: The number of tokens until the lane ends, 1 or more.
        guide: The stop texts, the constraint and the minimum length, or None without any.
        logprobs: Whether to return the log-probability of each token.
    """

    sampler: Sampler
    logits: FloatBuffer
    state: State
    length: int
    guide: Guide | None = None
    logprobs: bool = False


class Generated(NamedTuple):
    """The output of ``Engine.generate`` for one lane.

    Attributes:
        tokens: The drawn tokens, with those of a stop text that ended the lane.
        logits: Logits of the next token: float32 of shape [vocabulary_size].
        state: The state after the last token, of batch size 1.
        ending: Why the lane ended, or None if it has not ended.
        guide: The guide of the lane with its new states, or None if the lane has none.
        logprobs: The natural logarithm of the probability of each token, or None if the lane does not ask
            for it. The probability is that of the model: at temperature 1, before the constraint and the
            filters of the sampler.
        stop_length: The number of tokens of the stop text that ended the lane, or 0. They can begin in an
            earlier call.
    """

    tokens: Sequence[int]
    logits: FloatBuffer
    state: State
    ending: Ending | None
    guide: Guide | None = None
    logprobs: Sequence[float] | None = None
    stop_length: int = 0


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
        """Return how many tokens per lane ``generate`` can generate in some milliseconds.

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

    def feed(self, tokens: Sequence[int], state: State) -> tuple[FloatBuffer, State]:
        """Run the network over the tokens of one lane. The native engine does not import numpy.

        Args:
            tokens: 1 or more tokens, each in [0, vocabulary_size).
            state: The state before the first token, of batch size 1.

        Returns:
            The float32 logits after the last token, of shape [vocabulary_size], in new memory; and the state
            after it. The logit of a token that is never drawn is -inf.

        Raises:
            ModelFileError: As for ``forward``.
        """
        ...

    def generate(
        self, lanes: Sequence[Lane], steps: int, measurements: Measurements | None = None
    ) -> list[Generated]:
        """Generate up to ``steps`` tokens for each lane.

        Each step draws a token of every lane from its logits and runs the network on it. A lane ends after
        ``Lane.length`` tokens, or where its ``Guide`` ends it; the others continue. The tokens of a lane are
        independent of the other lanes.

        If one token gives several reasons to end, the stop text comes first, then the end token, then the
        constraint, then the length. A constraint forbids the end token until the text matches. The end token
        is one of the drawn tokens, but the filters do not count it.

        A text that matches its constraint and that no token may follow ends at once. Any other text
        that matches ends before the first drawn token that the constraint forbids, and so does a text that
        does not match, if it draws unmasked. That token is dropped: the position of the sampler advances, but
        the tokens, the state and the filters do not contain it.

        Args:
            lanes: 1 or more lanes, each with a separate sampler.
            steps: The maximum number of tokens per lane, 0 or more.
            measurements: Where to add the measurements, or None to measure nothing.

        Returns:
            One ``Generated`` per lane, in order.

        Raises:
            SamplingError: If the logits contain NaN or +inf, if no token is left to draw, if a random stream
                has too few numbers left, or if a constraint needs more tokens than the length of its lane.
                The samplers may have advanced: the caller must reset their positions and filter states.
            ValueError: If a shape or ``steps`` is wrong, if two lanes share a sampler, or if a guide has
                another vocabulary size than the model, or a state that does not exist.
            TypeError: If a guide is not a ``Guide``.
            ModelFileError: As for ``forward``.
        """
        ...
