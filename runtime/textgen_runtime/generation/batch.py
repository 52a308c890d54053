"""``Batch``: generations of one model that advance together, one chunk at a time."""

import sys
from collections.abc import Iterator, Sequence
from operator import index
from typing import TYPE_CHECKING, NamedTuple

from textgen_runtime.engines.base import Generated, Lane, Measurements, Stream, TextEnding

if TYPE_CHECKING:
    from .generation import Generation
    from .model import Model
else:
    # Strings as annotations would be compiled by NamedTuple.
    Generation = object


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

    With ``Sampling.resample``, texts are drawn without the mask of the constraint: rejection sampling. A text
    that breaks the constraint is rejected, and the lane starts again with the next random numbers. A text
    that is taken is therefore a sample of the model's own distribution, given that the text meets the
    constraint. After the last rejected text, the lane continues with the mask.

    Attributes:
        tokens: Maximum number of further tokens.
        finish: Whether the text is complete after the last token.
        start: The position before the first token of a text without the mask, or None.
        length: The maximum number of tokens of such a text.
        trials: The number of further texts without the mask, with the current one.
        chunks: The chunks of the current one. None is returned before it has ended.
    """

    tokens: int
    finish: bool
    start: Stream | None = None
    length: int = 0
    trials: int = 0
    chunks: tuple[BatchChunk, ...] = ()


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
        length = index(length)
        if length < 0:
            raise ValueError(f"length must be 0 or more, not {length}")
        if generation in self._lanes:
            raise ValueError("the generation is already a lane of this batch")
        if generation.model != self.model:
            raise ValueError("the generation has another model than the batch")
        if finish:
            generation.check_length(length)
        target = _Target(length, finish)
        if finish and generation.sampling.resample and not generation.is_complete:
            trials = generation.sampling.resample
            target = target._replace(start=generation.position, length=length, trials=trials)
        self._lanes[generation] = target

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
        before = self._positions()
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
        before = self._positions()
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

    def _positions(self) -> list[tuple[Generation, _Target, Stream]]:
        """Return where all lanes stand. Each chunk continues copies of these positions."""
        return [(generation, target, generation.position) for generation, target in self._lanes.items()]

    def _restore(self, positions: list[tuple[Generation, _Target, Stream]]) -> None:
        self._lanes = {generation: target for generation, target, _ in positions}
        for generation, _, position in positions:
            generation.position = position

    def _advance(self, steps: int | None = None) -> list[BatchChunk]:
        """Continue every lane by one chunk. After an error, the caller restores the lanes."""
        for generation in self._lanes:
            generation.position = generation.position.copy()
        results = self._generate(steps)
        chunks = []
        for generation, target in tuple(self._lanes.items()):
            chunk, self._lanes[generation] = self._accept(generation, target, results.get(generation))
            chunks.append(chunk)
            if chunk.ending is not None:
                del self._lanes[generation]
        return chunks

    def _generate(self, steps: int | None) -> "dict[Generation, Generated]":
        """Generate a chunk for each lane that needs tokens."""
        engine = self.model.engine
        lanes = {
            generation: Lane(
                generation.position,
                target.tokens,
                target.finish,
                target.start is None or not target.trials,
                generation.keep_logprobs,
            )
            for generation, target in self._lanes.items()
            if target.tokens and not generation.is_complete
        }
        if not lanes:
            return {}
        # Engines count in 64 bits.
        count = engine.chunk_length(len(lanes)) if steps is None else min(index(steps), sys.maxsize)
        results = engine.generate(list(lanes.values()), count, self.measurements)
        return dict(zip(lanes, results, strict=True))

    def _accept(
        self, generation: "Generation", target: _Target, result: Generated | None
    ) -> tuple[BatchChunk, _Target]:
        """Continue one lane with its result. Return the chunk that is now certain, and the new target."""
        if result is None:
            # The lane was complete before this chunk.
            ending = generation.ending if generation.is_complete else "length"
            return BatchChunk(generation, 0, self._rest(generation, target), ending), target
        if result.ending == "mismatch" and target.start is not None:
            return BatchChunk(generation, 0, "", None), self._restart(generation, target, target.start)
        if target.start is not None and not target.trials and result.ending is not None:
            generation.position.mark_masked()
        ending = None if result.ending is None else generation.ending
        text = generation.text_of(result)
        if ending is not None:
            text += self._rest(generation, target)
        stop = self.model.tokenizer.decode(result.stop)
        chunk = BatchChunk(generation, result.drawn, text, ending, result.logprobs, stop)
        target = target._replace(tokens=target.tokens - result.drawn)
        if not target.trials:
            return chunk, target
        if ending is None:
            # The text may still fail. Nothing of it is returned before it has ended.
            return BatchChunk(generation, 0, "", None), target._replace(chunks=(*target.chunks, chunk))
        return _joined((*target.chunks, chunk)), target

    @staticmethod
    def _restart(generation: "Generation", target: _Target, start: Stream) -> _Target:
        """Reject the current text, and return the generation to the start of the text."""
        rejected = generation.position
        generation.position = start.copy()
        generation.reseed(rejected.seed, rejected.substream, rejected.position)
        return target._replace(tokens=target.length, trials=target.trials - 1, chunks=())

    @staticmethod
    def _rest(generation: "Generation", target: _Target) -> str:
        return generation.finish() if target.finish else ""


def _joined(chunks: Sequence[BatchChunk]) -> BatchChunk:
    """Return the chunks of a text as one."""
    last = chunks[-1]
    logprobs = None
    if last.logprobs is not None:
        logprobs = [value for chunk in chunks for value in chunk.logprobs or ()]
    tokens = sum(chunk.tokens for chunk in chunks)
    text = "".join([chunk.text for chunk in chunks])
    return last._replace(tokens=tokens, text=text, logprobs=logprobs)
