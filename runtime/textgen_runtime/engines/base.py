"""What an engine does: tokens and a state in, logits and the next state out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeAlias

from textgen_runtime.sampling.sampler import Sampler

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from textgen_runtime.model_file.network import Network

# What has the buffer protocol, float32 and contiguous: a numpy array, a memoryview of format "f", or what the
# native engine makes.
FloatBuffer: TypeAlias = Any

# Why a lane's text ended; None while it goes on.
Ending: TypeAlias = Literal["length"]


class State(Mapping[str, "NDArray[np.float32]"]):
    """All that a model remembers of the text so far: named arrays, read-only.

    The model file declares them. An LSTM has ``hidden`` and ``cell``, each of shape [layers, batch, units],
    float32. The native engine makes them without numpy; an item is a numpy array, which imports numpy.

    Args:
        buffers: By name, of shape [layers, batch, units], float32, contiguous. They are not copied, and must
            not be changed later: generations, their copies and saved ones share them.

    Attributes:
        buffers: The same, for code that does not need numpy.
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

    # A mapping would compare the arrays, of which numpy makes no single truth.
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __copy__(self) -> "State":
        return self

    def __reduce__(self) -> "tuple[type[State], tuple[dict[str, StoredBuffer]]]":
        return State, ({name: StoredBuffer(buffer) for name, buffer in self.buffers.items()},)


class StoredBuffer:
    """Stands for a buffer in a pickle, which cannot hold a memoryview; it comes out as a memoryview.

    Args:
        buffer: Of float32, contiguous.
    """

    __slots__ = ("_buffer",)

    def __init__(self, buffer: FloatBuffer) -> None:
        self._buffer = memoryview(buffer)

    def __reduce__(self) -> tuple[Callable[..., FloatBuffer], tuple[bytes, tuple[int, ...]]]:
        return float_buffer, (self._buffer.tobytes(), tuple(self._buffer.shape or ()))


def float_buffer(content: bytes, shape: Sequence[int]) -> FloatBuffer:
    """Memory of its own that holds float32 values in the processor's byte order.

    Args:
        content: The values.
        shape: How they are arranged.
    """
    # The type stub takes lists alone.
    return memoryview(bytearray(content)).cast("f", list(shape))


class Measurements:
    """Adds up what generation took, and how uncertain the model was.

    Attributes:
        tokens: How many were drawn.
        model_seconds: Spent in forward steps.
        sampler_seconds: Spent in draws.
        entropy_bits: Sum of the entropies of the distributions they were drawn from, in bits.
        latencies: Nanoseconds of each draw and step, or None to keep only their sums.
    """

    def __init__(self, *, latencies: bool = False) -> None:
        self.tokens = 0
        self.model_seconds = self.sampler_seconds = self.entropy_bits = 0.0
        self.latencies: list[int] | None = [] if latencies else None

    def add(self, tokens: int, model_seconds: float, sampler_seconds: float, entropy_bits: float) -> None:
        """Add another chunk."""
        self.tokens += tokens
        self.model_seconds += model_seconds
        self.sampler_seconds += sampler_seconds
        self.entropy_bits += entropy_bits

    def merge(self, other: "Measurements") -> None:
        """Add what was measured apart, such as by another thread."""
        self.add(other.tokens, other.model_seconds, other.sampler_seconds, other.entropy_bits)
        if self.latencies is not None:
            self.latencies += other.latencies or []


class Lane(NamedTuple):
    """One running text of a call of ``Engine.generate``.

    Attributes:
        sampler: What draws; its random numbers are taken.
        logits: Of the next token, shape [vocabulary], float32.
        state: What was read before, of batch 1.
        length: How many tokens are wanted of it, 1 or more.
    """

    sampler: Sampler
    logits: FloatBuffer
    state: State
    length: int


class Generated(NamedTuple):
    """What ``Engine.generate`` made of one lane.

    Attributes:
        tokens: What was drawn.
        logits: Of what comes next, shape [vocabulary], float32.
        state: After the last token, of batch 1.
        ending: Why the lane ended, or None if it has not.
    """

    tokens: Sequence[int]
    logits: FloatBuffer
    state: State
    ending: Ending | None


def check_lanes(lanes: Sequence[Lane], steps: int) -> None:
    """See that a call of ``Engine.generate`` makes sense.

    Raises:
        ValueError: If it does not.
    """
    if steps < 0 or not lanes or len({id(lane.sampler) for lane in lanes}) != len(lanes):
        raise ValueError("steps must be 0 or more, and lanes 1 or more, each with another sampler")
    if any(lane.length < 1 for lane in lanes):
        raise ValueError("the length of a lane must be 1 or more")


class Engine(Protocol):
    """Runs one model. It holds no text and no stream, so any number of threads may share it."""

    @property
    def name(self) -> str:
        """What runs the model, for people to read."""
        ...

    @property
    def network(self) -> "Network":
        """The layers and the state."""
        ...

    @property
    def vocabulary_size(self) -> int:
        """How many logits there are."""
        ...

    def chunk(self, lanes: int) -> int:
        """How many tokens of each of so many lanes ``generate`` makes in some milliseconds.

        Longer chunks would keep an interrupt waiting, shorter ones cost more than they do.
        """
        ...

    def initial_state(self, batch: int = 1) -> State:
        """The state of lanes that have read nothing: zeros."""
        ...

    def forward(
        self, tokens: "NDArray[np.int64]", state: State, *, last_only: bool = False
    ) -> "tuple[NDArray[np.float32], State]":
        """Read tokens and say what may follow each of them. It imports numpy.

        Args:
            tokens: Shape [time, batch], int64, each in [0, vocabulary_size).
            state: What was read before, of the same batch.
            last_only: Whether to compute logits after the last token only, which is all that a prompt needs
                and, with a large vocabulary, much less work.

        Returns:
            Logits of shape [time, batch, vocabulary_size], or [1, batch, vocabulary_size] with
            ``last_only``, float32, and the state after the last token.
        """
        ...

    def feed(self, tokens: Sequence[int], state: State) -> tuple[FloatBuffer, State]:
        """Let one lane read tokens. The native engine does so without numpy.

        Args:
            tokens: At least one, each in [0, vocabulary_size).
            state: What was read before, of batch 1.

        Returns:
            Logits after the last token, shape [vocabulary_size], float32, in memory of their own; that of the
            token that is never drawn is minus infinity. And the state after it.
        """
        ...

    def generate(
        self, lanes: Sequence[Lane], steps: int, measurements: Measurements | None = None
    ) -> list[Generated]:
        """Draw a token for each lane and read it, up to ``steps`` times over.

        What a lane draws does not depend on the lanes beside it. A lane ends when it has its length; the
        others go on without it.

        Args:
            lanes: Each with another sampler.
            steps: How many tokens of each lane at most.
            measurements: Where to add up what it took, or None to save the effort.

        Raises:
            SamplingError: If a lane's logits are not finite, or its random numbers are used up. What the
                samplers drew stays drawn: the caller puts their positions back.
            ValueError: If a shape is not as stated, or a sampler is there twice.
        """
        ...
