"""The engine that runs the whole loop in compiled code: step, reweight, draw, next step."""

import os
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ._decoder import Decoder
from ._sampler import Sampler
from .contract import Contract, check_format
from .engine import Decoded, Measurements, State, join_states, select_streams
from .native_graph import match_graph
from .native_weights import PackedWeights, check_sizes, pack
from .onnx_file import parse

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

# A piece reads about this many bytes of weights: some milliseconds from a cache, not many more from memory.
PIECE_BYTES = 2**29


class NativeEngine:
    """Runs the model files that ``textgen-train`` writes, without onnxruntime.

    Streams that are decoded together read the weights once for all of them, and are spread over threads
    if there are several. A stream's text depends on neither.

    Args:
        packed: The model's weights.
        threads: How many threads may decode streams side by side; a stream alone needs one.
        kernels: The instruction set to use, or None for the best that the processor has.
        never_drawn: A token that is never drawn, or None.

    Raises:
        ValueError: If the processor does not have the instruction set.
    """

    def __init__(
        self,
        packed: PackedWeights,
        threads: int = 1,
        kernels: str | None = None,
        never_drawn: int | None = None,
    ) -> None:
        self.decoder = Decoder(packed, kernels, never_drawn)
        self.layers, self.units = len(packed.weights), packed.units
        self.vocabulary_size = packed.vocabulary
        self._piece = PIECE_BYTES // packed.step_bytes
        self._threads = threads
        self._pools: dict[int, ThreadPoolExecutor] = {}

    @property
    def name(self) -> str:
        return f"native ({self.decoder.kernels})"

    def piece(self, streams: int) -> int:
        return max(1, self._piece * min(self._threads, streams) // streams)

    def step(
        self, tokens: NDArray[np.int64], state: State, *, last_only: bool = False
    ) -> tuple[NDArray[np.float32], State]:
        logits, hidden, cell = self.decoder.read(tokens, *state, last_only)
        return logits, State(hidden, cell)

    def decode(
        self,
        samplers: Sequence[Sampler],
        logits: NDArray[np.float32],
        state: State,
        length: int,
        measurements: Measurements | None = None,
    ) -> Decoded:
        workers = min(self._threads, len(samplers))
        if workers <= 1:
            tokens, logits, hidden, cell = self.decoder.decode(samplers, logits, *state, length, measurements)
            return Decoded(tokens, logits, State(hidden, cell))
        bounds = [len(samplers) * i // workers for i in range(workers + 1)]
        shares = [slice(start, end) for start, end in pairwise(bounds)]

        def decode_share(share: slice) -> tuple[Decoded, Measurements]:
            own = Measurements(
                latencies=None if measurements is None or measurements.latencies is None else []
            )
            own_state = select_streams(state, share)
            tokens, after, hidden, cell = self.decoder.decode(
                samplers[share], logits[share], *own_state, length, own if measurements else None
            )
            return Decoded(tokens, after, State(hidden, cell)), own

        from concurrent.futures import wait

        pool = self._workers()
        futures = [pool.submit(decode_share, share) for share in shares]
        # All of them, before any failure is told: a share that still runs would move its samplers on behind
        # the back of whoever puts them back.
        try:
            wait(futures)
        except BaseException:
            # An interrupt: what has not begun never will.
            for future in futures:
                future.cancel()
            wait(futures)
            raise
        decoded = [future.result() for future in futures]
        for _, own in decoded:
            if measurements is not None:
                measurements.merge(own)
        return Decoded(
            np.concatenate([part.tokens for part, _ in decoded], axis=1),
            np.concatenate([part.logits for part, _ in decoded]),
            join_states([part.state for part, _ in decoded]),
        )

    def _workers(self) -> "ThreadPoolExecutor":
        """The threads, which are started when they are first needed and then kept."""
        # Only here, because most programs decode one stream, and this takes milliseconds to import.
        from concurrent.futures import ThreadPoolExecutor

        # One for each process: a forked one has its parent's pool but none of the threads. setdefault is
        # atomic and needs no lock, which a fork could leave held. A pool that loses has no threads yet.
        process = os.getpid()
        pool = self._pools.get(process)
        return pool or self._pools.setdefault(process, ThreadPoolExecutor(self._threads, "textgen"))


def open_native(model: bytes, threads: int = 1) -> tuple[NativeEngine, Contract]:
    """Open a model file's content with the native engine.

    Its size and its metadata are checked before its weights are read.

    Raises:
        UnknownGraphError: If its graph is not one that this project writes.
        TooLargeError: If it is, but this engine's tables would be too large.
        ModelFileError: If it is damaged, or not a text generator of this project's contract.
    """
    parsed = parse(model)
    metadata = {entry.key: entry.value for entry in parsed.metadata_props}
    check_format(metadata)
    known = match_graph(parsed)
    contract = Contract.from_metadata(metadata, known.vocabulary)
    check_sizes(known.units, known.vocabulary, len(known.lstms))
    engine = NativeEngine(pack(known.weights()), threads, never_drawn=contract.vocabulary.unknown)
    return engine, contract
