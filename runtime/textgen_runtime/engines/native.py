"""The default engine: draws and forward steps run in one loop of the C core, without the GIL."""

import os
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from textgen_runtime._core import CoreModel, Lanes

from .base import MAX_STEPS, Generated, Lane, Measurements, State, Stream, has_no_error

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np
    from numpy.typing import NDArray

    from textgen_runtime.model_file.network import Network

# Bytes of weights that a chunk reads: a few milliseconds from the cache, and not many more from memory.
CHUNK_BYTES = 2**29

# The length of a chunk of several lanes, in such chunks. Lanes share the weights, so it takes 20 to 50
# milliseconds. In Python, where threads wait for each other, a chunk takes about 15 microseconds per lane. So
# 256 lanes would need about 7% more time with chunks of half this length.
BATCH_CHUNKS = 8


class NativeEngine:
    """Runs the model files that ``textgen-train`` writes, without numpy and onnxruntime.

    One pass over the weights serves several lanes. With several threads, each runs a share of the lanes; the
    calling thread is one of them. The tokens of a lane are independent of the number of lanes and of threads.

    Args:
        content: The content of a model file.
        threads: The maximum number of threads of ``generate``. A single lane uses one thread.
        kernels: The name of an instruction set, or None for the best of this processor.

    Attributes:
        core: The model in the C core.
        vocabulary_size: The number of logits.

    Raises:
        UnknownGraphError: If the graph is not one that ``textgen-train`` writes for an LSTM.
        ModelFileError: If the file is damaged.
        SamplingError: If the processor does not support the instruction set.
    """

    def __init__(self, content: bytes, threads: int = 1, kernels: str | None = None) -> None:
        self.core = CoreModel(content, kernels)
        self.vocabulary_size: int = self.core.vocabulary_size
        self._chunk_steps = CHUNK_BYTES // self.core.step_bytes
        self._threads = threads
        self._pools: dict[int, ThreadPoolExecutor] = {}

    @property
    def name(self) -> str:
        return f"native ({self.core.kernels})"

    @property
    def network(self) -> "Network":
        # Import on use: the import takes milliseconds, and most programs need no description.
        from textgen_runtime.model_file.network import lstm_network

        return lstm_network(self.core)

    def chunk_length(self, lanes: int) -> int:
        chunks = BATCH_CHUNKS if lanes > 1 else 1
        steps = chunks * self._chunk_steps * min(self._threads, lanes) // lanes
        return min(max(1, steps), MAX_STEPS)

    def initial_state(self, batch: int = 1) -> State:
        return self.core.initial_state(batch)

    def forward(
        self, tokens: "NDArray[np.int64]", state: State, *, last_only: bool = False
    ) -> "tuple[NDArray[np.float32], State]":
        import numpy as np

        arrays = {name: np.ascontiguousarray(buffer, np.float32) for name, buffer in state.buffers.items()}
        logits, next_state = self.core.forward(
            np.ascontiguousarray(tokens, np.int64), State(arrays), last_only
        )
        return np.asarray(logits), next_state

    def new_stream(self, seed: int = 0, substream: int = 0) -> Stream:
        return Stream(self.core, seed, substream)

    def generate(
        self, lanes: Sequence[Lane], steps: int, measurements: Measurements | None = None
    ) -> list[Generated]:
        # One share of the lanes for each thread. All lanes are checked before any of them draws.
        share_count = min(self._threads, len(lanes)) or 1
        bounds = [len(lanes) * i // share_count for i in range(share_count + 1)]
        measured = [
            None if measurements is None else Measurements(latencies=measurements.latencies is not None)
            for _ in range(share_count)
        ]
        call = Lanes(lanes, steps)
        try:
            shares = [
                partial(call.run, bounds[i], bounds[i + 1] - bounds[i], measured[i])
                for i in range(share_count)
            ]
            if share_count == 1:
                shares[0]()
            else:
                # Import on use: the import takes milliseconds, and most programs generate one lane.
                from ._parallel import run_parallel

                run_parallel(self._thread_pool(), shares)
        finally:
            call.release()
        results = call.results()
        for share in measured:
            if measurements is not None and share is not None and has_no_error(results):
                measurements.merge(share)
        return results

    def _thread_pool(self) -> "ThreadPoolExecutor":
        """Return the pool of this process. The first call creates it."""
        # Import on use, as above.
        from concurrent.futures import ThreadPoolExecutor

        # One pool per process: a forked process has a copy of the pool of its parent, but not its threads.
        # setdefault is atomic. It needs no lock, which another thread could hold during a fork. If two
        # threads call it at the same time, the pool that is discarded has no threads yet.
        process = os.getpid()
        pool = self._pools.get(process)
        return pool or self._pools.setdefault(process, ThreadPoolExecutor(self._threads - 1, "textgen"))
