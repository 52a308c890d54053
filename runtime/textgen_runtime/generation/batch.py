"""``Batch``: generations of one model that advance together, one chunk at a time."""

from collections.abc import Iterator, Sequence
from operator import index
from typing import TYPE_CHECKING, NamedTuple

from textgen_runtime.engines.base import MAX_STEPS, Generated, Lane, Measurements, Stream, TextEnding

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

    Nothing of a text without the mask is returned before it has ended. So the generation stands at the start
    of the text until then. Another start, which a change of the generation gives it, begins new trials.

    Attributes:
        tokens: Maximum number of further tokens.
        finish: Whether the text is complete after the last token.
        length: The maximum number of tokens of the whole text.
        trials: The number of further texts without the mask, with the current one.
        start: The position before the first token of these texts, or None if the text is not resampled.
        trial: The position of the current one, or None if there is none.
        chunks: The chunks of the current one.
    """

    tokens: int
    finish: bool
    length: int
    trials: int = 0
    start: Stream | None = None
    trial: Stream | None = None
    chunks: tuple[BatchChunk, ...] = ()


def _target(generation: Generation, length: int, finish: bool) -> _Target:
    """Return what a lane needs for a text that begins at the position of the generation."""
    target = _Target(length, finish, length)
    if finish and generation.sampling.resample and not generation.is_complete:
        start = generation.position
        return target._replace(trials=generation.sampling.resample, start=start, trial=start)
    return target


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
            generation: A generation of the batch's model. It can be changed between chunks, for example its
                sampling, or by ``feed``. While ``resample`` draws texts without the constraint, nothing is
                returned, and the generation stands at the start of the text. A change then begins the text
                again.
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
        self._lanes[generation] = _target(generation, length, finish)

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
        count = self.model.engine.chunk_length(len(before) or 1) if steps is None else index(steps)
        chunks: dict[Generation, list[BatchChunk]] = {generation: [] for generation in self}
        try:
            # Lanes that have ended leave the batch.
            while self and count > 0:
                for chunk in self._advance(min(count, MAX_STEPS)):
                    chunks[chunk.generation].append(chunk)
                count -= MAX_STEPS
            return [_joined(parts) for parts in chunks.values()]
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
                for chunk in self.advance():
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

    def _advance(self, steps: int) -> list[BatchChunk]:
        """Continue every lane by 1 to ``MAX_STEPS`` tokens. After an error, the caller restores the lanes."""
        for generation, before in tuple(self._lanes.items()):
            target = before
            if target.trial is not None and generation.position is not target.start:
                target = self._lanes[generation] = _target(generation, target.length, target.finish)
            generation.position = (target.trial or generation.position).copy()
        results = self._generate(steps)
        chunks = []
        for generation, target in tuple(self._lanes.items()):
            chunk, self._lanes[generation] = self._accept(generation, target, results.get(generation))
            chunks.append(chunk)
            if chunk.ending is not None:
                del self._lanes[generation]
        return chunks

    def _generate(self, steps: int) -> "dict[Generation, Generated]":
        """Generate a chunk for each lane that needs tokens."""
        lanes = {
            generation: Lane(
                generation.position,
                target.tokens,
                target.finish,
                target.trial is None,
                generation.keep_logprobs,
            )
            for generation, target in self._lanes.items()
            if target.tokens and not generation.is_complete
        }
        if not lanes:
            return {}
        results = self.model.engine.generate(list(lanes.values()), steps, self.measurements)
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
            start, trials = self._return_to(generation, target.start), target.trials - 1
            trial = start if trials else None
            target = target._replace(tokens=target.length, trials=trials, start=start, trial=trial, chunks=())
            return BatchChunk(generation, 0, "", None), target
        if target.start is not None and target.trial is None and result.ending is not None:
            generation.position.mark_masked()
        ending = None if result.ending is None else generation.ending
        text = generation.text_of(result)
        if ending is not None:
            text += self._rest(generation, target)
        stop = self.model.tokenizer.decode(result.stop)
        chunk = BatchChunk(generation, result.drawn, text, ending, result.logprobs, stop)
        target = target._replace(tokens=target.tokens - result.drawn)
        if target.start is None or target.trial is None:
            return chunk, target
        chunks = (*target.chunks, chunk)
        if ending is None:
            # The text may still fail. Nothing of it is returned before it has ended.
            trial, start = generation.position, self._return_to(generation, target.start)
            return BatchChunk(generation, 0, "", None), target._replace(
                start=start, trial=trial, chunks=chunks
            )
        return _joined(chunks), target

    @staticmethod
    def _return_to(generation: "Generation", start: Stream) -> Stream:
        """Return the generation to the start of its text, with its present random numbers."""
        latest, generation.position = generation.position, start
        generation.reseed(latest.seed, latest.substream, latest.position)
        return generation.position

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
