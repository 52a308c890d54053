"""``Batch``: generations of one model that advance together, one chunk at a time."""

import sys
from collections.abc import Iterator, Mapping
from operator import index
from typing import TYPE_CHECKING, NamedTuple

from textgen_runtime.engines.base import Ending, Generated, Measurements

if TYPE_CHECKING:
    from .generation import Generation, Snapshot
    from .model import Model


LENGTH: Ending = "length"


class BatchChunk(NamedTuple):
    """The tokens and the text that one chunk added to one lane.

    Attributes:
        generation: The lane.
        tokens: Number of tokens added.
        text: Text added. With some tokenizers it is not one character per token.
        ending: Why the lane ended, or None if it continues. The batch removes a lane that has ended.
    """

    generation: "Generation"
    tokens: int
    text: str
    ending: Ending | None


class _Target(NamedTuple):
    """Number of tokens that a lane still needs, and whether ``finish`` is called after the last token."""

    tokens: int
    finish: bool


class _BatchSnapshot(NamedTuple):
    """The lanes of a batch and the position of each, for rollback."""

    lanes: "dict[Generation, _Target]"
    snapshots: "Mapping[Generation, Snapshot]"


class Batch:
    """Generations of one model that advance together, one chunk at a time.

    The engine reads the weights once for all lanes. The text of a lane is independent of the other lanes.
    Each lane has its own sampling, length and ending. A batch is not thread-safe.

    Args:
        model: The model of all lanes.
        measurements: Accumulates times and entropies of all lanes. None skips the measurements.
    """

    def __init__(self, model: "Model", measurements: Measurements | None = None) -> None:
        self.model = model
        self.measurements = measurements
        self._lanes: dict[Generation, _Target] = {}

    def __len__(self) -> int:
        """Return the number of active lanes."""
        return len(self._lanes)

    def __iter__(self) -> "Iterator[Generation]":
        """Iterate over the active lanes, in the order in which they were added."""
        return iter(tuple(self._lanes))

    def add(self, generation: "Generation", length: int, *, finish: bool = True) -> None:
        """Add a generation as a lane, starting with the next chunk.

        Args:
            generation: A generation of the batch's model. Its sampling can be changed between chunks.
            length: Number of tokens to generate.
            finish: Whether the text is complete after ``length`` tokens. If True, the last chunk includes the
                text that the decoder still holds back. Pass False to continue the generation later.

        Raises:
            ValueError: If ``length`` is negative, the generation belongs to another model, or it is already
                a lane of the batch.
            TypeError: If ``length`` is not an integer.
        """
        if index(length) < 0:
            raise ValueError(f"length must be 0 or more, not {length}")
        if generation in self._lanes:
            raise ValueError("the generation is already a lane of this batch")
        if generation.model != self.model:
            raise ValueError("the generation has another model than the batch")
        self._lanes[generation] = _Target(index(length), finish)

    def remove(self, generation: "Generation") -> None:
        """Remove a lane. The generation stays at the end of the last chunk and can be continued elsewhere.

        Raises:
            KeyError: If the generation is not an active lane of the batch.
        """
        del self._lanes[generation]

    def advance(self, steps: int | None = None) -> list[BatchChunk]:
        """Continue every lane by one chunk.

        An error or an interrupt leaves every lane at its position before the call.

        Args:
            steps: Maximum number of tokens per lane, 1 or more. None chooses a chunk that takes the engine a
                few milliseconds.

        Returns:
            One chunk per lane, in the order in which the lanes were added.

        Raises:
            SamplingError: If the logits contain NaN or +inf, or if the random stream of a lane is exhausted.
            ValueError: If ``steps`` is less than 1.
            TypeError: If ``steps`` is not an integer.
        """
        if steps is not None and index(steps) < 1:
            raise ValueError(f"steps must be 1 or more, not {steps}")
        before = self._snapshot()
        try:
            chunks = self._generate(steps)
            self._lanes = {
                chunk.generation: _Target(target.tokens - chunk.tokens, target.finish)
                for chunk, target in zip(chunks, before.lanes.values(), strict=True)
                if chunk.ending is None
            }
        except BaseException:
            # Interrupts too: the tokens were not returned, so they must be drawn again.
            self._restore(before)
            raise
        return chunks

    def complete(self) -> list[str]:
        """Advance until every lane has ended.

        An error or an interrupt leaves every lane at its position before the call.

        Returns:
            The text of each lane, in the order in which the lanes were added.

        Raises:
            SamplingError: As for ``advance``.
        """
        before = self._snapshot()
        texts: dict[Generation, list[str]] = {generation: [] for generation in self}
        try:
            while self:
                for chunk in self.advance():
                    texts[chunk.generation].append(chunk.text)
            return ["".join(chunks) for chunks in texts.values()]
        except BaseException:
            # The earlier chunks of this call were not returned either.
            self._restore(before)
            raise

    def _snapshot(self) -> _BatchSnapshot:
        return _BatchSnapshot(self._lanes, {generation: generation.snapshot() for generation in self._lanes})

    def _restore(self, snapshot: _BatchSnapshot) -> None:
        for generation, position in snapshot.snapshots.items():
            generation.restore(position)
        self._lanes = snapshot.lanes

    def _generate(self, steps: int | None) -> list[BatchChunk]:
        engine = self.model.engine
        running = [generation for generation, target in self._lanes.items() if target.tokens]
        generated: dict[Generation, Generated] = {}
        if running:
            results = engine.generate(
                [generation.lane(self._lanes[generation].tokens) for generation in running],
                # Engines count in 64 bits.
                engine.chunk_length(len(running)) if steps is None else min(index(steps), sys.maxsize),
                self.measurements,
            )
            generated = dict(zip(running, results, strict=True))
        chunks = []
        for generation, target in self._lanes.items():
            tokens, text = 0, ""
            ending: Ending | None = LENGTH
            if generation in generated:
                result = generated[generation]
                tokens, text, ending = len(result.tokens), generation.accept(result), result.ending
            if ending is not None and target.finish:
                text += generation.finish()
            chunks.append(BatchChunk(generation, tokens, text, ending))
        return chunks
