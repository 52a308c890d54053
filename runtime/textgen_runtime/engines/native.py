"""The engine that runs the whole loop in compiled code: draw, forward, draw, without the GIL."""

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from textgen_runtime.model_file.reader import ModelFile

from .base import FloatBuffer, Generated, Lane, Measurements, State, check_lanes
from .core import CoreNetwork

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from numpy.typing import NDArray

    from textgen_runtime.model_file.network import Network

# A chunk reads about this many bytes of weights: some milliseconds from a cache, not many more from memory.
CHUNK_BYTES = 2**29


class NativeEngine:
    """Runs the model files that ``textgen-train`` writes, without numpy and without onnxruntime.

    Lanes that are generated together read the weights once for all of them, and are spread over threads if
    there are several. A lane's text depends on neither.

    Args:
        content: A ``ModelFile``, or the content of one.
        threads: How many threads may generate lanes side by side; a lane alone needs one.
        kernels: The instruction set to use, or None for the best that the processor has.
        never_drawn: A token that is never drawn, or None.

    Attributes:
        core: What runs the network.
        vocabulary_size: How many logits there are.

    Raises:
        UnknownGraphError: If the graph is not one that ``textgen-train`` writes.
        ModelFileError: If the file is damaged.
        ValueError: If the processor does not have the instruction set.
    """

    def __init__(
        self,
        content: ModelFile | bytes,
        threads: int = 1,
        kernels: str | None = None,
        never_drawn: int | None = None,
    ) -> None:
        self.core = CoreNetwork(content, kernels, never_drawn)
        self.vocabulary_size: int = self.core.vocabulary_size
        self._chunk = CHUNK_BYTES // self.core.step_bytes
        self._threads = threads
        self._pools: dict[int, ThreadPoolExecutor] = {}

    @property
    def name(self) -> str:
        return f"native ({self.core.kernels})"

    @property
    def network(self) -> "Network":
        return self.core.file.network

    def chunk(self, lanes: int) -> int:
        return max(1, self._chunk * min(self._threads, lanes) // lanes)

    def initial_state(self, batch: int = 1) -> State:
        return self.core.initial_state(batch)

    def forward(
        self, tokens: "NDArray[np.int64]", state: State, *, last_only: bool = False
    ) -> "tuple[NDArray[np.float32], State]":
        import numpy as np

        arrays = {name: np.ascontiguousarray(buffer, np.float32) for name, buffer in state.buffers.items()}
        logits, after = self.core.forward(np.ascontiguousarray(tokens, np.int64), State(arrays), last_only)
        return np.asarray(logits), after

    def feed(self, tokens: Sequence[int], state: State) -> tuple[FloatBuffer, State]:
        return self.core.feed(tokens, state)

    def generate(
        self, lanes: Sequence[Lane], steps: int, measurements: Measurements | None = None
    ) -> list[Generated]:
        workers = min(self._threads, len(lanes))
        if workers <= 1:
            return self.core.generate(lanes, steps, measurements)
        check_lanes(lanes, steps)
        bounds = [len(lanes) * i // workers for i in range(workers + 1)]

        def generate_share(number: int) -> tuple[list[Generated], Measurements | None]:
            own = None
            if measurements is not None:
                own = Measurements(latencies=measurements.latencies is not None)
            return self.core.generate(lanes[bounds[number] : bounds[number + 1]], steps, own), own

        # Only here, because most programs generate one lane, and threads take milliseconds to import.
        from ._side_by_side import run_side_by_side

        shares = run_side_by_side(
            self._workers(), [partial(generate_share, number) for number in range(workers)]
        )
        for _, own in shares:
            if measurements is not None and own is not None:
                measurements.merge(own)
        return [generated for share, _ in shares for generated in share]

    def _workers(self) -> "ThreadPoolExecutor":
        """The threads, which are started when they are first needed and then kept."""
        # Only here, because most programs generate one lane, and this takes milliseconds to import.
        from concurrent.futures import ThreadPoolExecutor

        # One for each process: a forked one has its parent's pool but none of the threads. setdefault is
        # atomic and needs no lock, which a fork could leave held. A pool that loses has no threads yet.
        process = os.getpid()
        pool = self._pools.get(process)
        return pool or self._pools.setdefault(process, ThreadPoolExecutor(self._threads, "textgen"))
