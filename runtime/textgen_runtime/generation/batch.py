"""``Batch``: generations of one model that advance together, one chunk at a time."""

from collections.abc import Iterator, Sequence
from operator import index
from typing import TYPE_CHECKING, NamedTuple

from textgen_runtime.engines.base import MAX_STEPS, Generated, Lane, Measurements, Stream, TextEnding
from textgen_runtime.errors import SamplingError

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
        error: Why the lane cannot continue after these tokens, or None: its logits contain NaN or +inf, no
            token is left to draw, its random stream is exhausted, or no text of its length meets its new
            constraint. The batch removes the lane. The other lanes continue.
    """

    generation: Generation
    tokens: int
    text: str
    ending: TextEnding | None
    logprobs: Sequence[float] | None = None
    stop: str = ""
    error: SamplingError | None = None


class _Trials(NamedTuple):
    """The texts without the mask that ``Sampling.resample`` asks for.

    This is rejection sampling. A text is drawn as if it had no constraint: a trial. If it breaks the
    constraint, it is rejected, and the next trial starts where the text starts, with the next random numbers.
    The first trial that meets the constraint is the text. So it is a sample of the model's own distribution,
    given that the text meets the constraint. If all trials fail, the text is drawn with the mask.

    Nothing of a trial is returned before it has met the constraint, because it may still fail. Until then,
    the generation stands at the start of the text. So that no random number is used twice, it has those that
    follow the trial. A change of the generation, which replaces its position, begins the trials again.

    Attributes:
        left: The number of trials that may follow, with the current one. 0 if all have failed.
        start: The position of the generation during the trials.
        current: The position of the current trial.
        chunks: The chunks of the current trial.
    """

    left: int
    start: Stream
    current: Stream
    chunks: tuple[BatchChunk, ...] = ()

    def rejected(self, generation: Generation) -> "_Trials":
        """Return the trials after the current one has failed, and move the generation to the start."""
        start = self._return_to_start(generation)
        return _Trials(self.left - 1, start, start)

    def continued(self, generation: Generation, chunk: BatchChunk) -> "_Trials":
        """Return the trials after a chunk of the current one, and move the generation to the start."""
        current = generation.position
        start = self._return_to_start(generation)
        return _Trials(self.left, start, current, (*self.chunks, chunk))

    def _return_to_start(self, generation: Generation) -> Stream:
        """Move the generation from the end of the trial to the start of the text, and return the start."""
        latest, generation.position = generation.position, self.start
        generation.reseed(latest.seed, latest.substream, latest.drawn)
        return generation.position


class _Target(NamedTuple):
    """What a lane still needs.

    Attributes:
        tokens: Maximum number of further tokens.
        length: The maximum number of tokens of the whole text.
        finish: Whether the text is complete after the last token.
        trials: The trials of a text that is resampled, or None.
    """

    tokens: int
    length: int
    finish: bool
    trials: _Trials | None

    @classmethod
    def of(cls, generation: Generation, length: int, finish: bool) -> "_Target":
        """Return what a lane needs for a text that begins at the position of the generation."""
        trials = None
        if finish and generation.sampling.resample and not generation.is_complete:
            trials = _Trials(generation.sampling.resample, generation.position, generation.position)
        return cls(length, length, finish, trials)

    @property
    def running_trials(self) -> _Trials | None:
        """The trials if one is running, or None if the lane draws with its mask."""
        return self.trials if self.trials is not None and self.trials.left else None


class Batch:
    """Generations of one model that advance together, one chunk at a time.

    The engine reads the weights once for all lanes. The text of a lane is independent of the other lanes.
    Each lane has its own sampling, length and ending. A batch is not thread-safe.

    Args:
        model: The model of all lanes.
        measurements: Accumulates times and entropies of all lanes. None skips the measurements.

    Attributes:
        model: The model of all lanes.
        measurements: The times and entropies of all lanes, or None.
        drawn: The number of tokens that all lanes have drawn, with those of texts that ``resample`` rejected.
    """

    def __init__(self, model: "Model", measurements: Measurements | None = None) -> None:
        self.model = model
        self.measurements = measurements
        self.drawn = 0
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
        # Of an equal model that another process has loaded.
        generation.move_to(self.model)
        if finish:
            generation.check_length(length)
        self._lanes[generation] = _Target.of(generation, length, finish)

    def remove(self, generation: "Generation") -> None:
        """Remove a lane. The generation stays at the end of the last chunk and can be continued elsewhere.

        Raises:
            KeyError: If the generation is not an active lane of the batch.
        """
        del self._lanes[generation]

    def advance(self, steps: int | None = None) -> list[BatchChunk]:
        """Continue every lane by one chunk.

        A lane that cannot continue has the ``error`` in its chunk. An exception or an interrupt leaves every
        lane at its position before the call.

        Args:
            steps: Maximum number of tokens per lane, 1 or more. None chooses a chunk that takes the engine
                some milliseconds, at most a few tens of them with a small model.

        Returns:
            One chunk per lane, in the order in which the lanes were added.

        Raises:
            ValueError: If ``steps`` is less than 1.
            TypeError: If ``steps`` is not an integer.
        """
        if steps is not None and index(steps) < 1:
            raise ValueError(f"steps must be 1 or more, not {steps}")
        before = self._positions()
        count = self.model.engine.chunk_length(len(before) or 1) if steps is None else index(steps)
        chunks: dict[Generation, list[BatchChunk]] = {generation: [] for generation in self}
        try:
            # Lanes that have ended or failed leave the batch.
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
            SamplingError: If a lane cannot continue; see ``BatchChunk.error``. With several lanes, the
                message begins with the number of the text. ``advance`` goes on with the others.
        """
        before = self._positions()
        texts: dict[Generation, list[str]] = {generation: [] for generation in self}
        try:
            while self:
                for chunk in self.advance():
                    texts[chunk.generation].append(chunk.text)
                    _check(chunk, [*texts])
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
        """Continue every lane by 1 to ``MAX_STEPS`` tokens. After an exception, the caller restores them."""
        before = self._positions()
        for generation, target, position in before:
            trials = target.running_trials
            if trials is not None and position is not trials.start:
                self._lanes[generation] = _Target.of(generation, target.length, target.finish)
                trials = None
            generation.position = (trials.current if trials else position).copy()
        results = self._generate(steps)
        chunks = []
        for generation, _, position in before:
            result = results.get(generation)
            chunk, self._lanes[generation] = self._accept(generation, self._lanes[generation], result)
            if chunk.error is not None and self._lanes[generation].running_trials is not None:
                # Nothing of a trial is returned.
                generation.position = position
                chunk = BatchChunk(generation, 0, "", None, error=chunk.error)
            chunks.append(chunk)
            if chunk.ending is not None or chunk.error is not None:
                del self._lanes[generation]
        return chunks

    def _generate(self, steps: int) -> "dict[Generation, Generated]":
        """Generate a chunk for each lane that needs tokens."""
        lanes: dict[Generation, Lane] = {}
        results: dict[Generation, Generated] = {}
        for generation, target in self._lanes.items():
            if not target.tokens or generation.is_complete:
                continue
            try:
                if target.finish:
                    generation.check_length(target.tokens)
            except SamplingError as error:
                # The constraint has changed since the lane was added.
                results[generation] = Generated(0, b"", None, error=error)
                continue
            is_masked, keeps = target.running_trials is None, generation.keep_logprobs
            lanes[generation] = Lane(generation.position, target.tokens, target.finish, is_masked, keeps)
        if lanes:
            generated = self.model.engine.generate(list(lanes.values()), steps, self.measurements)
            results.update(zip(lanes, generated, strict=True))
            self.drawn += sum(result.generated for result in generated)
        return results

    def _accept(
        self, generation: "Generation", target: _Target, result: Generated | None
    ) -> tuple[BatchChunk, _Target]:
        """Continue one lane with its result. Return the chunk that is now certain, and the new target."""
        if result is None:
            # The lane was complete before this chunk.
            ending = generation.ending if generation.is_complete else "length"
            return BatchChunk(generation, 0, self._rest(generation, target), ending), target
        undecided = BatchChunk(generation, 0, "", None)
        trials = target.running_trials
        if trials is not None and result.ending == "mismatch":
            return undecided, target._replace(tokens=target.length, trials=trials.rejected(generation))
        chunk = self._chunk(generation, target, result)
        if target.trials is not None and trials is None and chunk.ending is not None:
            generation.masked_position = generation.position
            chunk = chunk._replace(ending="masked")
        target = target._replace(tokens=target.tokens - result.generated)
        if trials is None:
            return chunk, target
        if chunk.ending is None and chunk.error is None:
            return undecided, target._replace(trials=trials.continued(generation, chunk))
        return _joined((*trials.chunks, chunk)), target

    def _chunk(self, generation: "Generation", target: _Target, result: Generated) -> BatchChunk:
        """Return a result as a chunk, with the text that is held back if the lane has ended or failed."""
        ending = None if result.ending is None else generation.ending
        is_end = ending is not None and not generation.position.held
        text = self.model.decode(result.text, is_end=is_end)
        if ending is not None or result.error is not None:
            text += self._rest(generation, target)
        stop = self.model.tokenizer.decode(result.stop)
        return BatchChunk(generation, result.generated, text, ending, result.logprobs, stop, result.error)

    @staticmethod
    def _rest(generation: "Generation", target: _Target) -> str:
        return generation.finish() if target.finish else ""


def _joined(chunks: Sequence[BatchChunk]) -> BatchChunk:
    """Return the chunks of a text as one."""
    last = chunks[-1]
    logprobs = None
    if last.generation.keep_logprobs:
        logprobs = [value for chunk in chunks for value in chunk.logprobs or ()]
    tokens = sum(chunk.tokens for chunk in chunks)
    text = "".join([chunk.text for chunk in chunks])
    return last._replace(tokens=tokens, text=text, logprobs=logprobs)


def _check(chunk: BatchChunk, lanes: Sequence[Generation]) -> None:
    """Raise the error of a chunk, if there is one. The message numbers one of several lanes."""
    error = chunk.error
    if error is None:
        return
    if len(lanes) == 1:
        raise error
    place = f"text {lanes.index(chunk.generation) + 1} of {len(lanes)}: "
    raise type(error)(place, *error.args, parameter=error.parameter)
