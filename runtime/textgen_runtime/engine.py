"""``Engine``: runs a model, one token of many texts at a time. ``NativeEngine`` is the default one.

The C core draws tokens and keeps texts, whatever engine runs the network. A draw and a forward step are one
loop in C, without the GIL.
"""

import math
import os
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ._core import MAX_STEPS, CoreModel, Stream, generate
from .results import FloatBuffer, Generated, State

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

# Bytes of weights that a chunk reads: a few milliseconds from the cache, and not many more from memory.
CHUNK_BYTES = 2**29

# The length of a chunk of several lanes, in such chunks. Lanes share the weights, so it takes 20 to 50
# milliseconds. In Python, where threads wait for each other, a chunk takes about 15 microseconds per lane. So
# 256 lanes would need about 7% more time with chunks of half this length.
BATCH_CHUNKS = 8


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


class Engine:
    """Runs one model. It keeps no text between calls, so threads may share it.

    Args:
        core: The model in the C core.
        name: The name of the engine in reports, such as ``native (avx2)``.
        threads: The maximum number of threads of ``generate``. A single lane uses one thread.

    Attributes:
        core: The model in the C core.
        name: The name of the engine in reports.
        vocabulary_size: The number of logits.
    """

    def __init__(self, core: CoreModel, name: str, threads: int = 1) -> None:
        self.core, self.name, self._threads = core, name, threads
        self.vocabulary_size: int = core.vocabulary_size
        self._pools: dict[int, ThreadPoolExecutor] = {}

    def chunk_length(self, lanes: int) -> int:
        """Return how many tokens per lane ``generate`` can generate in some milliseconds; at most MAX_STEPS.

        An interrupt waits for the end of a chunk. Shorter chunks have more overhead.
        """
        chunks = BATCH_CHUNKS * min(self._threads, lanes) if lanes > 1 else 1
        return min(max(1, chunks * (CHUNK_BYTES // self.core.step_bytes) // lanes), MAX_STEPS)

    def initial_state(self, batch: int = 1) -> State:
        """Return the state of new lanes: zeros. Imports numpy."""
        import numpy as np

        shapes = self.core.state_shapes.items()
        return {name: np.zeros((rows, batch, units), np.float32) for name, (rows, units) in shapes}

    def join_state(self, state: "Mapping[str, ArrayLike]", batch: int = 1) -> "NDArray[np.float32]":
        """Return the arrays of a state one after the other, as the core has them.

        Raises:
            ValueError: If an array is missing or has another shape than the model's.
        """
        import numpy as np

        arrays = []
        for name, (rows, units) in self.core.state_shapes.items():
            array, shape = np.asarray(state.get(name), np.float32), (rows, batch, units)
            if array.shape != shape:
                raise ValueError(f"the state array {name!r} must be of shape {shape}, not {array.shape}")
            arrays.append(array.ravel())
        return np.concatenate(arrays)

    def split_state(self, values: "FloatBuffer", batch: int = 1) -> State:
        """Return the arrays that ``join_state`` joined, by name. They share its memory."""
        import numpy as np

        shapes = [(rows, batch, units) for rows, units in self.core.state_shapes.values()]
        parts = np.split(np.asarray(values), np.cumsum([math.prod(shape) for shape in shapes])[:-1])
        named = zip(self.core.state_shapes, parts, shapes, strict=True)
        return {name: part.reshape(shape) for name, part, shape in named}

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
            ValueError: If a shape or a token is wrong.
        """
        import numpy as np

        batch = tokens.shape[-1]
        values = self.join_state(state, batch)
        logits, after = self.core.forward(np.ascontiguousarray(tokens, np.int64), values, last_only)
        return np.asarray(logits), self.split_state(after, batch)

    def new_stream(self, seed: int = 0, substream: int = 0) -> Stream:
        """Return a new text for this engine, which has not been fed. Its state is zeros.

        Raises:
            SamplingError: If the seed or the substream is out of range.
        """
        return Stream(self.core, seed, substream)

    def generate(
        self, lanes: Sequence[Lane], steps: int, latencies: list[int] | None = None
    ) -> list[Generated]:
        """Generate up to ``steps`` tokens for each lane.

        Each step draws a token of every lane from its logits and runs the network on it. A lane ends after
        ``Lane.length`` tokens, or where its stop texts, its constraint or its record end it; the others
        continue. The tokens of a lane are independent of the other lanes, and of the number of threads.

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
            latencies: Where to add the nanoseconds of each step of the first thread, or None.

        If the logits of a lane contain NaN or +inf, if no token is left to draw, or if its random stream is
        exhausted, the result of this lane has the ``error``, and the other lanes continue.

        Returns:
            One ``Generated`` per lane, in order.

        Raises:
            SamplingError: If a constraint needs more tokens than the length of its lane.
            PromptError: If a text has not been fed.
            ValueError: If there is no lane, if ``steps`` or a length is wrong, or if a stream is of another
                model.
            RuntimeError: If two lanes share a stream.
            ModelFileError: As for ``forward``. After this error, an interrupt, or, with several threads, any
                error, texts may have advanced: the caller continues with copies from before.
        """
        count = min(self._threads, len(lanes))
        if count <= 1:
            return generate(lanes, steps, latencies)
        # One share of the lanes for each thread. None is larger than that of this thread, whose time is thus
        # that of the call.
        bounds = [-(-len(lanes) * i // count) for i in range(count + 1)]
        shares = [lanes[start:end] for start, end in pairwise(bounds)]
        running: list[Future[list[Generated]]] = []
        try:
            running.extend(self._pool().submit(generate, share, steps) for share in shares[1:])
            # A thread of the pool takes a while to wake up, so this one works, too.
            results = generate(shares[0], steps, latencies)
        finally:
            # The texts are in use until the last thread has ended.
            for each in running:
                each.exception()
        for each in running:
            results += each.result()
        return results

    def _pool(self) -> "ThreadPoolExecutor":
        """Return the pool of this process. The first call creates it."""
        # Imported on use: the import takes milliseconds, and most programs generate one lane.
        from concurrent.futures import ThreadPoolExecutor

        # A forked process has a copy of the pool of its parent, but not its threads. setdefault is atomic. It
        # needs no lock, which another thread could hold during a fork. If two threads call it at the same
        # time, the pool that is discarded has no threads yet.
        process = os.getpid()
        pool = self._pools.get(process)
        return pool or self._pools.setdefault(process, ThreadPoolExecutor(self._threads - 1))


class NativeEngine(Engine):
    """Runs the LSTMs that ``textgen-train`` writes, in the C core, without numpy and onnxruntime.

    One pass over the weights serves several lanes. With several threads, each runs a share of the lanes; the
    calling thread is one of them.

    Args:
        content: The content of a model file.
        threads: The maximum number of threads of ``generate``.
        kernels: The name of an instruction set, or None for the best of this processor.

    Raises:
        UnknownGraphError: If the graph is not one that ``textgen-train`` writes for an LSTM.
        ModelFileError: If the file is damaged.
        SamplingError: If the processor does not support the instruction set.
    """

    def __init__(self, content: bytes, threads: int = 1, kernels: str | None = None) -> None:
        core = CoreModel(content, kernels)
        super().__init__(core, f"native ({core.kernels})", threads)
