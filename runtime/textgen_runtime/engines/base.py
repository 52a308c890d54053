"""The interface of an engine, and the values that engines exchange with their callers.

To write an engine, implement ``Engine`` and add it to ``opening.py``. An engine must:

- run the network over tokens and a state (``forward``, ``feed``);
- generate tokens for many lanes, so that each lane is independent of the others (``generate``);
- never change an array that a caller passed in;
- keep no state between calls, so that threads may share it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

from textgen_runtime.sampling.sampler import Sampler

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textgen_runtime.model_file.network import Network

# A contiguous float32 object with the buffer protocol: a numpy array, a memoryview of format "f", or an array
# of the native engine.
FloatBuffer: TypeAlias = Any

# The reason why a lane ended; None if it has not ended.
Ending: TypeAlias = Literal["length"]

NO_LANES_ERROR = "lanes must not be empty"
SHARED_SAMPLER_ERROR = "each lane must have its own sampler"


class State(Mapping[str, "NDArray[np.float32]"]):
    """The recurrent state of a model: read-only arrays by name.

    The model file declares the arrays. An LSTM has ``hidden`` and ``cell``. Each item is a float32 numpy
    array of shape [layers, batch, units]. Reading an item imports numpy. Reading ``buffers`` does not.

    Args:
        buffers: Contiguous float32 buffers of shape [layers, batch, units], by name. They are not copied and
            must not change later: generations and their copies share them.

    Attributes:
        buffers: The buffers by name.
    """

    __slots__ = ("buffers",)

    def __init__(self, buffers: Mapping[str, FloatBuffer]) -> None:
        self.buffers = dict(buffers)

    def __getitem__(self, name: str) -> "NDArray[np.float32]":
        import numpy as np

        return np.asarray(memoryview(self.buffers[name]).toreadonly())

    def __iter__(self) -> Iterator[str]:
        return iter(self.buffers)

    def __len__(self) -> int:
        return len(self.buffers)

    def __repr__(self) -> str:
        return f"State({', '.join(self.buffers)})"

    # Mapping.__eq__ would compare numpy arrays, whose truth value is ambiguous.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __copy__(self) -> "State":
        return self

    def __reduce__(self) -> "tuple[type[State], tuple[dict[str, StoredBuffer]]]":
        return State, ({name: StoredBuffer(buffer) for name, buffer in self.buffers.items()},)


class StoredBuffer:
    """A buffer in a form that pickle can store. It is unpickled as a memoryview.

    Args:
        buffer: A contiguous float32 buffer.
    """

    __slots__ = ("_buffer",)

    def __init__(self, buffer: FloatBuffer) -> None:
        self._buffer = memoryview(buffer)

    def __reduce__(self) -> tuple[Callable[..., FloatBuffer], tuple[bytes, tuple[int, ...]]]:
        return float_buffer, (self._buffer.tobytes(), tuple(self._buffer.shape or ()))


def float_buffer(content: bytes, shape: Sequence[int]) -> FloatBuffer:
    """Return a new float32 memoryview.

    Args:
        content: The values, as float32 in native byte order.
        shape: The shape.
    """
    # The type stub of cast accepts only a list.
    return memoryview(bytearray(content)).cast("f", list(shape))


class Measurements:
    """Sums of times and entropies over generated tokens.

    Attributes:
        tokens: Number of tokens drawn.
        model_seconds: Time in forward steps.
        sampler_seconds: Time in draws.
        entropy_bits: Sum of the entropies of the distributions that the tokens were drawn from.
        latencies: Nanoseconds of each draw and forward step together, or None if they are not kept.
    """

    def __init__(self, *, latencies: bool = False) -> None:
        self.tokens = 0
        self.model_seconds = self.sampler_seconds = self.entropy_bits = 0.0
        self.latencies: list[int] | None = [] if latencies else None

    def add(self, tokens: int, model_seconds: float, sampler_seconds: float, entropy_bits: float) -> None:
        """Add the measurements of another chunk."""
        self.tokens += tokens
        self.model_seconds += model_seconds
        self.sampler_seconds += sampler_seconds
        self.entropy_bits += entropy_bits

    def merge(self, other: "Measurements") -> None:
        """Add the sums of another object, such as that of another thread."""
        self.add(other.tokens, other.model_seconds, other.sampler_seconds, other.entropy_bits)
        if self.latencies is not None:
            self.latencies += other.latencies or []


class Lane(NamedTuple):
    """The input of ``Engine.generate`` for one text.

    Attributes:
        sampler: The sampler that draws. Its position advances by one per token.
        logits: Logits of the next token: float32 of shape [vocabulary_size].
        state: The state before the next token, of batch size 1.
        length: The number of tokens until the lane ends, 1 or more.
    """

    sampler: Sampler
    logits: FloatBuffer
    state: State
    length: int


class Generated(NamedTuple):
    """The output of ``Engine.generate`` for one lane.

    Attributes:
        tokens: The drawn tokens.
        logits: Logits of the next token: float32 of shape [vocabulary_size].
        state: The state after the last token, of batch size 1.
        ending: Why the lane ended, or None if it has not ended.
    """

    tokens: Sequence[int]
    logits: FloatBuffer
    state: State
    ending: Ending | None


def check_lanes(lanes: Sequence[Lane], steps: int) -> None:
    """Check the lanes and the steps of a call of ``Engine.generate``.

    Raises:
        ValueError: If one is invalid.
    """
    if steps < 0:
        raise ValueError(f"steps must be 0 or more, not {steps}")
    if not lanes:
        raise ValueError(NO_LANES_ERROR)
    if len({id(lane.sampler) for lane in lanes}) != len(lanes):
        raise ValueError(SHARED_SAMPLER_ERROR)
    for lane in lanes:
        if lane.length < 1:
            raise ValueError(f"the length of a lane must be 1 or more, not {lane.length}")


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
        """Return how many tokens per lane ``generate`` can generate in a few milliseconds.

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
        ``Lane.length`` tokens; the others continue. The tokens of a lane are independent of the other lanes.

        Args:
            lanes: 1 or more lanes, each with a separate sampler.
            steps: The maximum number of tokens per lane, 0 or more.
            measurements: Where to add the measurements, or None to measure nothing.

        Returns:
            One ``Generated`` per lane, in order.

        Raises:
            SamplingError: If the logits contain NaN or +inf, or if a random stream has too few numbers left.
                The samplers may have advanced: the caller must reset their positions.
            ValueError: If a shape or ``steps`` is wrong, or if two lanes share a sampler.
            ModelFileError: As for ``forward``.
        """
        ...
