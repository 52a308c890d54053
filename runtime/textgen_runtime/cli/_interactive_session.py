"""The state of an interactive session: the running text, its settings, and the way back."""

import os
import warnings
from collections import deque
from collections.abc import Iterator

from textgen_runtime.controls import checked_stops, impossible_stop_message, impossible_stops
from textgen_runtime.errors import TextgenError
from textgen_runtime.model import Generation, Model
from textgen_runtime.results import TextEnding
from textgen_runtime.sampling import Sampling
from textgen_runtime.system.interrupts import DeferredInterrupts
from textgen_runtime.tokenizer import UnknownPolicy

from ._interactive_continuation import Continuation
from ._interactive_lines import Addition, LineError, check_typed, separator
from ._interactive_positions import Position, RandomStream, Step, separator_of, unfinished
from ._text_selection import known_texts, make_selection, with_novel

# How many lines can be taken back.
MAX_STEPS = 200


class Session:
    """A running text that a person continues line by line.

    The random numbers never go back: after ``undo`` and ``reset``, the session uses those that follow. Only
    setting the seed starts them again. A session that gets the same seed and then the same lines therefore
    generates the same texts.

    Args:
        model: The model that continues the text, without a corpus; see ``novel``.
        sampling: The sampling parameters.
        seed: Random seed.

    Attributes:
        length: Maximum number of tokens of each continuation.
        count: The number of continuations of each line that a person wants to see.
        unknown: What to do with typed characters outside the vocabulary.
        position: Where the text stands.

    Raises:
        SamplingError: If the sampling parameters do not fit the model.
    """

    def __init__(self, model: Model, sampling: Sampling, seed: int) -> None:
        self.model = model
        self.length = model.default_length
        self.count = 1
        self.unknown: UnknownPolicy = "error"
        self._lowercase = False
        self._model_without_novel = model
        self._novel: str | None = None
        self._known = known_texts(model)
        self.position = Position()
        # The random numbers while there is no generation.
        self._idle = RandomStream(seed)
        self._steps: deque[Step] = deque(maxlen=MAX_STEPS)
        # Where each continuation of the latest line ends, and the index of the one where the text stands.
        self._ends: list[Position] = []
        self._picked = 0
        self._continuation: Continuation | None = None
        self.sampling = sampling

    @property
    def sampling(self) -> Sampling:
        """The sampling parameters. Setting them keeps the position in the random stream.

        Raises:
            SamplingError: When set, if they do not fit the model. The old parameters are then kept.
        """
        return self._sampling

    @sampling.setter
    def sampling(self, value: Sampling) -> None:
        for text in impossible_stops(value, self.model.metadata):
            raise LineError(impossible_stop_message(text))
        if self.position.generation is None:
            self.model.compile_controls(value)
        else:
            self.position.generation.sampling = value
        self._sampling = value

    @property
    def seed(self) -> int:
        """The random seed. Setting it starts the random numbers from their beginning."""
        return self._random_stream.seed

    @seed.setter
    def seed(self, seed: int) -> None:
        self._idle = RandomStream(seed)
        if self.position.generation is not None:
            self.position.generation.reseed(*self._idle)

    @property
    def novel(self) -> str | None:
        """The corpus in which no continuation may stand; None for no corpus.

        It is what ``corpora.corpus.read_corpus`` accepts. Setting it reads the corpus, or raises an error and
        changes nothing.

        Raises:
            CorpusError: When set, if the corpus is missing or empty, or is not available.
            TextFileError: When set, if it cannot be read, or is not UTF-8.
            SamplingError: When set to None, if a sampling parameter needs a corpus.
            KeyboardInterrupt: When set, after Ctrl-C.
        """
        return self._novel

    @novel.setter
    def novel(self, source: str | None) -> None:
        self._read_novel(source, self._lowercase)
        self._novel = source

    @property
    def lowercase(self) -> bool:
        """Whether to convert typed text and the corpus of ``novel`` to lower case.

        Setting it reads the corpus again, and raises as ``novel``.
        """
        return self._lowercase

    @lowercase.setter
    def lowercase(self, value: bool) -> None:
        if self._novel is not None and value != self._lowercase:
            self._read_novel(self._novel, value)
        self._lowercase = value

    def _read_novel(self, source: str | None, lowercase: bool) -> None:
        # A corpus can be long, or must be downloaded.
        with DeferredInterrupts() as interrupts, interrupts.immediate():
            model = with_novel(self._model_without_novel, source, lowercase=lowercase)
            known = known_texts(model)
        model.compile_controls(self._sampling)
        self.model, self._known = model, known
        if self.position.generation is not None:
            self._update(self.position.generation)

    @property
    def ending(self) -> TextEnding | None:
        """Why the latest continuation ended, or None if it was stopped."""
        return None if self._continuation is None else self._continuation.ending

    def add(self, addition: Addition) -> str:
        """Feed a line to the model. ``chunks`` then yields its continuation.

        An error leaves the session as it was.

        Returns:
            The text that was fed, as the model got it, without a line end that separates it from the text so
            far. If there was no text and nothing was typed, the text is an excerpt that the model stores.

        Raises:
            LineError: If the vocabulary lacks characters of the line.
            PromptError: If there is no text to continue.
            SamplingError: If no text of this length meets the constraint.
        """
        opening = self._begin(self.position, addition)
        self._ends, self._picked = [self.position], 0
        return opening

    def retry(self) -> str:
        """Take back the latest line, and add it again, so that it is continued with new random numbers.

        Returns and raises as ``add``; also ``LineError`` if the latest line was not continued.
        """
        if not self._steps or self._steps[-1].addition is None:
            raise LineError("there is no line to continue again: type a text first")
        self._keep_end()
        step = self._steps.pop()
        try:
            opening = self._begin(step.before, step.addition or Addition())
        except TextgenError:
            self._steps.append(step)
            raise
        self._ends.append(self.position)
        self._picked = len(self._ends) - 1
        return opening

    @property
    def alternatives(self) -> int:
        """The number of continuations of the latest line."""
        return len(self._ends)

    def pick(self, number: int) -> None:
        """Let the text stand where a continuation of the latest line ended.

        Args:
            number: The number of the continuation, from 1: ``add`` begins the first, and each ``retry`` the
                next.

        Raises:
            LineError: If there is no such continuation.
        """
        if not self._ends:
            raise LineError(
                "there is no continuation to pick: type a text first"
                if self.position.generation is None
                else "/pick has nothing to choose from: /undo and /load keep the text, but no other "
                "continuations; type a line, or press Enter, for new ones"
            )
        if number > len(self._ends):
            raise LineError(f"/pick must be {len(self._ends)} or less, not {number}")
        self._keep_end()
        self._picked = number - 1
        self._move_to(self._continued(self._ends[self._picked]))

    def _keep_end(self) -> None:
        """Keep where the text stands: it has grown since its continuation began."""
        if self._ends:
            self._ends[self._picked] = self.position

    def text_before(self, opening: str) -> str:
        """Return the end of the text before the latest line, if the line continues it directly.

        Args:
            opening: What ``add`` or ``retry`` has returned for the line.

        Returns:
            The end, with the line end that separates a new text of a constraint. Empty if the line begins a
            line or a text.
        """
        addition = self._steps[-1].addition
        if addition is None or not addition.continues:
            return ""
        tail = self.position.tail
        return tail[: max(0, len(tail) - len(opening))]

    def chunks(self) -> Iterator[str]:
        """Yield the continuation of the latest line, as it is generated. Chunks may be empty.

        A caller that does not want the rest calls ``stop``.
        """
        continuation = self._continuation
        if continuation is not None:
            for chunk in continuation.chunks():
                self._extend_tail(chunk)
                yield chunk
            if self.position.generation and self.position.generation.ended_record:
                self._extend_tail(separator_of(self.model.metadata))
            # The model has read the stop text, which is not part of the text.
            if continuation.ending == "stop" and not self._sampling.keep_stop:
                self._extend_tail("\n" * all(stop.endswith("\n") for stop in self._sampling.stop))

    def stop(self) -> str:
        """End the continuation here. What was yielded remains part of the text.

        Returns:
            Text that was generated and not yielded. It also remains.
        """
        rest = self._continuation.stop() if self._continuation else ""
        self._extend_tail(rest)
        return rest

    def undo(self) -> None:
        """Return to the position before the latest line.

        Raises:
            LineError: If no line can be taken back.
        """
        if not self._steps:
            raise LineError("there is nothing to take back")
        self._move_to(self._continued(self._steps.pop().before))
        self._ends = []

    def reset(self) -> None:
        """Begin a new text. ``undo`` returns to the old one."""
        self._steps.append(Step(self.position, None))
        self._move_to(Position())
        self._ends = []

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the generation in a file.

        Raises:
            LineError: If there is no text.
            OutputError: If the file cannot be written.
        """
        # The module imports numpy, which takes longer than the start of a session.
        from textgen_runtime.saved import save

        if self.position.generation is None:
            raise LineError("there is no text yet: type the beginning of one")
        save(self.position.generation, path, end_of_text=self.position.tail)

    def load(self, path: str | os.PathLike[str]) -> list[str]:
        """Continue from a saved generation, with its sampling parameters and random numbers.

        ``undo`` returns to the old text, but not to the old parameters.

        Returns:
            Warnings about stop texts. The session does not have those that the vocabulary cannot produce.

        Raises:
            SavedGenerationError: If the file is not a saved generation of this model.
        """
        from textgen_runtime.saved import resume_with_end

        with warnings.catch_warnings(action="ignore"):
            generation, end = resume_with_end(self.model, path)
        generation.sampling, stop_warnings = checked_stops(generation.sampling, self.model.metadata)
        self._steps.append(Step(self.position, None))
        self._move_to(Position(generation, is_cut=not end and not generation.ended_record))
        self._extend_tail(end)
        self._ends = []
        self._sampling = generation.sampling
        return stop_warnings

    @property
    def _random_stream(self) -> RandomStream:
        generation = self.position.generation
        if generation is None:
            return self._idle
        return RandomStream(generation.seed, generation.substream, generation.drawn)

    def _begin(self, before: Position, addition: Addition) -> str:
        """Add a line at a position. Returns and raises as ``add``."""
        text = addition.text
        if text is not None:
            text = text.lower() if self.lowercase else text
            check_typed(self.model, text, self.unknown)
        generation, tail, _ = self._continued(before)
        if generation is None:
            generation = self.model.start(text, seed=self.seed, sampling=self._sampling, unknown=self.unknown)
            generation.reseed(*self._random_stream)
            fed = shown = generation.prompt
        elif generation.ended_record:
            # The next record begins.
            fed = shown = generation.feed(text or "", self.unknown)
        else:
            # A complete text of a constraint is not continued: another one begins.
            is_new_line = not addition.joined if text is not None else generation.is_complete
            between = separator(self.model.tokenizer, tail) if is_new_line else ""
            added = between + (text or "")
            fed = generation.feed(added, self.unknown) if added else ""
            shown = fed.removeprefix(between)
        max_copy = self._sampling.max_copy
        selection = make_selection(self.model, self._known, unique=False, max_copy=max_copy)
        is_known = bool(tail + fed) or not before.is_cut
        beginning = unfinished(tail + fed, self.model.metadata) if is_known else None
        self._continuation = Continuation(generation, addition.length or self.length, beginning, selection)
        self._steps.append(Step(before, addition))
        self._move_to(before._replace(generation=generation))
        self._extend_tail(fed)
        return shown

    def _continued(self, position: Position) -> Position:
        """Return an independent position with the current sampling parameters and random numbers."""
        generation = position.generation and position.generation.copy()
        if generation is not None:
            self._update(generation)
            generation.reseed(*self._random_stream)
        return position._replace(generation=generation)

    def _update(self, generation: Generation) -> None:
        """Let a generation continue with the current corpus and sampling parameters."""
        generation.model = self.model
        generation.sampling = self._sampling

    def _move_to(self, position: Position) -> None:
        self._idle = self._random_stream
        self.position = position

    def _extend_tail(self, text: str) -> None:
        self.position = self.position.extended(text, self.model.metadata)
