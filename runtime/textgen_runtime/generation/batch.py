"""``Batch``: generations of one model that advance together, one chunk at a time."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from operator import index
from typing import TYPE_CHECKING, NamedTuple

from textgen_runtime.engines.base import Generated, Measurements

from ._trials import Trial
from .text_progress import TextEnding, text_ending

if TYPE_CHECKING:
    from .generation import Generation
    from .model import Model
    from .running_text import Snapshot
else:
    # The modules import this one. Strings would be compiled; see engines/base.py.
    Generation = Snapshot = object


class BatchChunk(NamedTuple):
    """The tokens and the text that one chunk added to one lane.

    Attributes:
        generation: The lane.
        tokens: Number of tokens added.
        text: Text added. It may be shorter than the tokens, if text is held back.
        ending: Why the lane ended, or None if it continues. The batch removes a lane that has ended.
        logprobs: The natural logarithm of the model's probability of each added token, if the generation
            has ``keep_logprobs``; otherwise None. Filters and constraints do not change it.
        stop: The stop text that ended the lane, whether or not it is part of the text; empty if there is
            none.
    """

    generation: Generation
    tokens: int
    text: str
    ending: TextEnding | None
    logprobs: Sequence[float] | None = None
    stop: str = ""


class _Target(NamedTuple):
    """What a lane still needs.

    Attributes:
        tokens: Maximum number of further tokens.
        finish: Whether the text is complete after the last token.
        trial: The text that is drawn without the mask of its constraint, or None.
    """

    tokens: int
    finish: bool
    trial: Trial | None = None


class _BatchSnapshot(NamedTuple):
    """The lanes of a batch and the position of each, for rollback."""

    lanes: dict[Generation, _Target]
    snapshots: Mapping[Generation, Snapshot]


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
            length: Maximum number of tokens to generate.
            finish: Whether the text is complete after ``length`` tokens. If True, the last chunk includes the
                text that is held back, and a text with a constraint meets it within ``length`` tokens. Pass
                False to continue the generation later.

        Raises:
            SamplingError: If no text of at most ``length`` tokens meets the constraint of the generation.
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
        if finish:
            generation.check_length(index(length))
        self._lanes[generation] = _Target(
            index(length), finish, Trial.start(generation, index(length), finish)
        )

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
            steps: Maximum number of tokens per lane, 1 or more. None chooses a chunk that takes the engine
                some milliseconds, at most a few tens of them with a small model.

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
            return self._advance(steps)
        except BaseException:
            # Interrupts too: the tokens were not returned, so they must be drawn again.
            self._restore(before)
            raise

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
                for chunk in self._advance():
                    texts[chunk.generation].append(chunk.text)
            return ["".join(chunks) for chunks in texts.values()]
        except BaseException:
            # The earlier chunks of this call were not returned either.
            self._restore(before)
            raise

    def _advance(self, steps: int | None = None) -> list[BatchChunk]:
        """Continue every lane by one chunk. After an error, the caller restores the lanes."""
        results = self._generate(steps)
        chunks = []
        for generation, target in tuple(self._lanes.items()):
            chunk, self._lanes[generation] = self._accept(generation, target, results.get(generation))
            chunks.append(chunk)
            if chunk.ending is not None:
                del self._lanes[generation]
        return chunks

    def _snapshot(self) -> _BatchSnapshot:
        return _BatchSnapshot(
            dict(self._lanes), {generation: generation.snapshot() for generation in self._lanes}
        )

    def _restore(self, snapshot: _BatchSnapshot) -> None:
        for generation, position in snapshot.snapshots.items():
            generation.restore(position)
        self._lanes = snapshot.lanes

    def _generate(self, steps: int | None) -> "dict[Generation, Generated]":
        """Generate a chunk for each lane that needs tokens."""
        engine = self.model.engine
        running = {
            generation: target
            for generation, target in self._lanes.items()
            if target.tokens and not generation.is_complete
        }
        if not running:
            return {}
        results = engine.generate(
            [
                generation.lane(
                    target.tokens, must_end=target.finish, masked=target.trial is None or target.trial.masked
                )
                for generation, target in running.items()
            ],
            # Engines count in 64 bits.
            engine.chunk_length(len(running)) if steps is None else min(index(steps), sys.maxsize),
            self.measurements,
        )
        return dict(zip(running, results, strict=True))

    def _accept(
        self, generation: "Generation", target: _Target, result: Generated | None
    ) -> tuple[BatchChunk, _Target]:
        """Continue one lane with its result. Return the chunk that is now certain, and the new target."""
        if result is None:
            # The lane was complete before this chunk.
            ending = generation.ending if generation.is_complete else "length"
            return BatchChunk(generation, 0, self._rest(generation, target), ending), target
        if result.ending == "mismatch" and target.trial is not None:
            trial = target.trial.restart()
            return BatchChunk(generation, 0, "", None), _Target(trial.length, target.finish, trial)
        tried = target.trial is not None and target.trial.masked
        ending = text_ending(result, masked_after_trials=tried)
        stop = generation.stop_text(result)
        text = generation.accept(result, ending)
        if ending is not None:
            text += self._rest(generation, target)
        chunk = BatchChunk(generation, len(result.tokens), text, ending, result.logprobs, stop)
        left = _Target(target.tokens - len(result.tokens), target.finish, target.trial)
        if target.trial is None or target.trial.masked:
            return chunk, left
        if ending is None:
            # The text may still fail. Nothing of it is returned before it has ended.
            return BatchChunk(generation, 0, "", None), left._replace(trial=target.trial.extend(chunk))
        return target.trial.complete(chunk), left

    @staticmethod
    def _rest(generation: "Generation", target: _Target) -> str:
        return generation.finish() if target.finish else ""
