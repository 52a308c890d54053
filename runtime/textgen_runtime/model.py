"""``load``, and the classes that generate texts: ``Model``, ``Generation`` and ``Batch``.

A model is immutable. A generation is one running text: a position in the C core, with the parameters that
continue it. A batch continues several generations at once; ``take``, ``stream`` and ``generate`` are batches,
too.
"""

import os
from array import array
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import index
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeAlias, Unpack, overload

from ._core import MAX_STEPS, Stream
from .controls import Controls, Novel, compile_controls
from .engine import Engine, Lane, NativeEngine
from .errors import (
    ModelFileError,
    Name,
    PromptError,
    SamplingError,
    TextgenError,
    UnknownGraphError,
    first_line,
)
from .model_file import Metadata, ModelSource, name_source, read_model
from .options import SamplingOptions
from .results import Generated, State, TextEnding
from .sampling import Sampling, check_type, choose_sampling
from .tokenizer import BYTE, BYTES_TO_TEXT, Tokenizer, UnknownPolicy, token_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

DEFAULT_LENGTH = 400

# The maximum length of a record, which ends by itself: most poems and tunes are shorter.
DEFAULT_RECORD_LENGTH = 10_000

# Maximum number of tokens per chunk of streamed text. The native engine generates a chunk in a fraction of a
# millisecond; with any engine the output looks continuous.
STREAM_CHUNK = 64

# Maximum number of prompt tokens per call of the core, so that an interrupt takes effect between the calls.
PROMPT_CHUNK = 1024

EngineName: TypeAlias = Literal["native", "onnxruntime"]


def fresh_seed() -> int:
    """Return a random seed of 32 bits, short enough to type."""
    return int.from_bytes(os.urandom(4), "little")


def feed_in_chunks(
    engine: Engine,
    position: Stream,
    tokens: Sequence[int],
    *,
    restart: bool = False,
    most: int = PROMPT_CHUNK,
) -> Iterator[bool]:
    """Feed tokens to a text, and yield after each chunk whether it was the last one.

    Args:
        engine: The engine of the model.
        position: The text.
        tokens: One or more tokens.
        restart: Whether the text begins from the initial state.
        most: The maximum number of tokens of a chunk. An interrupt takes effect between two chunks.
    """
    chunk = min(most, engine.chunk_length(1))
    # The core feeds the begin token of a record itself.
    first = int(restart and tokens[0] == position.model.special[1])
    for start in range(0, len(tokens), chunk):
        end = start + chunk
        position.feed(tokens[start or first : end], restart=restart and not start)
        yield end >= len(tokens)


class NextToken(NamedTuple):
    r"""A candidate for the next token.

    Attributes:
        text: The text of the token; ``<end>`` for the end of a record. A byte that is not ASCII has a name
            such as ``\xc3``.
        token: The token.
        probability: The probability that the model gives to the token.
        draw_probability: The probability that the next draw gives to the token, with the constraint,
            ``min_length``, ``max_copy``, the filters and the temperature. 0 if they exclude it.
    """

    text: str
    token: int
    probability: float
    draw_probability: float


class Generation:
    """One running text: a model, a position, and sampling parameters.

    After each call, ``state`` is the state after the text so far, and ``logits`` are the logits of the next
    token. A generation is not thread-safe. ``copy`` returns an independent generation for another thread.

    Attributes:
        model: The model that generates the text.
        prompt: The text that the generation started from, in the model's normalized form.
        latencies: A list to which ``take`` and ``stream`` add the nanoseconds of each token, or None. A copy
            has none.
        keep_logprobs: Whether a ``Batch`` returns the log-probability of each drawn token.
        position: Where the text stands, for ``Batch`` and for saved generations. A chunk and ``feed`` replace
            it by a copy, so that an older position can be restored. All else changes it in place.
    """

    def __init__(self, model: "Model", position: Stream, sampling: Sampling, prompt: str) -> None:
        """Continue a position, whose parameters are set from ``sampling``."""
        self.model, self.position, self.prompt = model, position, prompt
        self.latencies: list[int] | None = None
        self.keep_logprobs = False
        self._sampling = sampling
        position.configure(sampling, *model.compile_controls(sampling))

    @property
    def seed(self) -> int:
        """The seed of the random numbers."""
        return self.position.seed

    @property
    def substream(self) -> int:
        """The index of the random stream of the seed."""
        return self.position.substream

    @property
    def drawn(self) -> int:
        """The number of random numbers drawn so far: one for each draw."""
        return self.position.drawn

    def reseed(self, seed: int, substream: int = 0, drawn: int = 0) -> None:
        """Draw other random numbers from now on: those of a seed and a substream, after ``drawn`` numbers.

        Raises:
            SamplingError: If an argument is out of range.
        """
        self.position.reseed(seed, substream, drawn)

    @property
    def state(self) -> State:
        """The state of the network: copies of its float32 arrays by name, shape [rows, 1, units].

        An LSTM has ``hidden`` and ``cell``, and a GRU ``hidden``, each with a row for each layer. A layer of
        convolutions has an array of its own, ``inputs_0`` and so on: its rows are the last inputs of the
        layer, the oldest first, and its units are the size of an input.

        The state can be set to a mapping of arrays by name. Setting it copies the values.

        Raises:
            ValueError: When set, if an array is missing or has another shape than the model's.
        """
        return self.model.engine.split_state(self.position.state)

    @state.setter
    def state(self, value: "Mapping[str, ArrayLike]") -> None:
        self.position.state = self.model.engine.join_state(value)

    @property
    def logits(self) -> "NDArray[np.float32]":
        """The logits of the next token: a writable array, shape [vocabulary], float32.

        The array shows the logits of this position. The logits of the unknown symbol and of the begin token
        are -inf, so that they are never drawn. Setting the logits copies the values.

        Raises:
            ValueError: When set, if the shape is different.
        """
        import numpy as np

        return np.asarray(self.position.logits)

    @logits.setter
    def logits(self, value: "ArrayLike") -> None:
        import numpy as np

        self.position.logits = np.ascontiguousarray(value, np.float32)

    @property
    def sampling(self) -> Sampling:
        """The sampling parameters. They can be set at any time and apply from the next chunk.

        The penalties and mirostat keep their state. Other stop texts begin with what is held back. Another
        constraint, or other allowed or banned characters of a constraint, start a new text of the constraint.

        Raises:
            SamplingError: When set, if a parameter does not fit the model's vocabulary.
            TypeError: When set, if the value is not a ``Sampling``.
        """
        return self._sampling

    @sampling.setter
    def sampling(self, value: Sampling) -> None:
        check_type(value)
        self.position.configure(value, *self.model.compile_controls(value))
        self._sampling = value

    @property
    def ending(self) -> TextEnding | None:
        """Why the latest text ended: ``"length"``, ``"stop"``, ``"end"`` or ``"constraint"``.

        None before the first text, and while a text continues. A constraint ends a text for good: later calls
        of ``take`` return no more text until ``feed`` or another constraint starts a new one. The end of a
        record, too: ``feed`` starts the next record.
        """
        return self.position.ending

    @property
    def is_complete(self) -> bool:
        """Whether the constraint or the end of the record has ended the text, so that no token may follow."""
        return self.position.is_complete

    @property
    def ended_record(self) -> bool:
        """Whether the last token is the end of a record, so that ``feed`` starts the next one."""
        return self.position.at_end

    def begin_constraint(self) -> None:
        """Let the next token begin another text of the constraint."""
        self.position.feed(())

    def check_length(self, length: int, *, finish: bool = True) -> None:
        """Check the length of a text, and with ``finish``, that the text can meet its constraint.

        Raises:
            SamplingError: If no text of at most ``length`` tokens meets the constraint.
            ValueError: If ``length`` is negative.
            TypeError: If ``length`` is not an integer.
        """
        if index(length) < 0:
            raise ValueError(f"length must be 0 or more, not {length}")
        needed = self.position.tokens_to_match
        if finish and needed > length:
            raise SamplingError(
                f"the constraint needs a text of at least {needed:,} tokens, but the length is {length:,}: "
                "use a greater ",
                Name("length"),
            )

    def feed(self, text: str, unknown: UnknownPolicy = "error") -> str:
        """Feed text to the model, as if the model had generated it.

        After the end of a record, the text starts a new record, from the initial state. It may then be empty.

        An error or an interrupt leaves the generation at its position before the call.

        Args:
            text: The text. It is normalized as the model's training text was.
            unknown: What to do with characters outside the vocabulary, as for ``Model.start``.

        Returns:
            The normalized text without skipped characters. If text was held back, the result starts with it.

        Raises:
            PromptError: If no characters remain to feed, or ``unknown`` is ``"error"`` and the model has no
                unknown symbol for the characters outside its vocabulary.
            ValueError: If ``unknown`` is neither ``"error"`` nor ``"skip"``.
            TypeError: If ``text`` is not a string.
        """
        model, position = self.model, self.position.copy()
        is_start = position.at_end
        tokens = model.encode_prompt(text, unknown, is_start=is_start)
        fed = model.tokenizer.decode([*position.held, *tokens])
        for _ in feed_in_chunks(model.engine, position, tokens, restart=is_start):
            pass
        # Everything that can fail comes before the change of this generation.
        self.position = position
        return fed

    def take(self, length: int, *, finish: bool = False) -> str:
        """Generate up to ``length`` tokens and return their text.

        With a character model, a token is a character. The text ends earlier at a stop text, at the end of a
        record, or where its constraint ends it; ``ending`` is the reason. After a stop text, the next call
        continues with the text that follows it.

        Text is held back while it may become a stop text, or while the other bytes of a character are
        missing. A later call or ``finish`` returns that text. An error or an interrupt leaves the generation
        at its position before the call.

        Args:
            length: The maximum number of tokens.
            finish: Whether the text is complete after this call. Then nothing is held back, and a text with a
                constraint meets it within ``length`` tokens. ``resample`` applies only to complete texts.

        Raises:
            ValueError: If ``length`` is negative.
            TypeError: If ``length`` is not an integer.
            SamplingError: If the logits contain NaN or +inf, if no token is left to draw, if the random
                stream is exhausted, or if no text of at most ``length`` tokens meets the constraint.
        """
        return self._as_batch(length, finish).complete()[0]

    def stream(self, length: int, *, finish: bool = False) -> Iterator[str]:
        """Yield the text of ``take`` in chunks of at most ``STREAM_CHUNK`` tokens, as it is generated.

        Changes between chunks, for example to ``sampling``, apply from the next chunk. The text before an
        error is yielded first. An interrupt leaves the generation at the end of the last chunk that was
        yielded, or within the text that ``resample`` tries. The errors are those of ``take``.
        """
        batch = self._as_batch(length, finish)
        steps = min(STREAM_CHUNK, self.model.engine.chunk_length(1))

        def chunks() -> Iterator[str]:
            while batch:
                (chunk,) = batch.advance(steps)
                # The text is empty if it is all held back, or if the length is 0.
                if chunk.text:
                    yield chunk.text
                if chunk.error is not None:
                    raise chunk.error

        return chunks()

    def finish(self) -> str:
        """Return the text that is held back. Bytes of an incomplete character have none, and stay."""
        written = self.position.finish(not self.model.is_raw)
        return self.model.decode(written, self.position.held)

    def _as_batch(self, length: int, finish: bool) -> "Batch":
        batch = Batch(self.model, self.latencies)
        batch.add(self, length, finish=finish)
        return batch

    def probabilities(self) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
        """Return the probabilities of the next token: of the model, and of the next draw. Imports numpy.

        Those of the next draw are with the constraint, ``min_length``, ``max_copy``, the filters and the
        temperature.

        Returns:
            Two float64 arrays of shape [vocabulary] with sum 1.

        Raises:
            SamplingError: If the logits are invalid, or if no token is left to draw.
        """
        import numpy as np

        position = self.position
        return np.frombuffer(position.probabilities(False)), np.frombuffer(position.probabilities(True))

    def top(self, count: int = 10) -> list[NextToken]:
        """Return the likeliest next tokens. Imports numpy.

        Args:
            count: Maximum number of tokens, 1 or more.

        Returns:
            The tokens, by their probability in the next draw, and then by the probability of the model. Both
            probabilities are in the result. The list is empty if the text is complete, because no token may
            then follow.

        Raises:
            ValueError: If ``count`` is less than 1.
        """
        if count < 1:
            raise ValueError(f"count must be 1 or more, not {count}")
        if self.is_complete:
            return []
        of_model, of_draw = (values.tolist() for values in self.probabilities())
        # The sort is stable: the lowest token comes first among equals.
        order = sorted(range(len(of_draw)), key=lambda token: (-of_draw[token], -of_model[token]))
        name = self.model.tokenizer
        return [NextToken(token_text(name, i), i, of_model[i], of_draw[i]) for i in order[:count]]

    def copy(self) -> "Generation":
        """Return an independent generation that continues exactly as this one would."""
        clone = object.__new__(Generation)
        clone.__dict__.update(self.__dict__)
        clone.position = self.position.copy()
        clone.latencies = None
        return clone


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


class _Trial(NamedTuple):
    """A text with ``resample``, which its lane tries to draw as if it had no constraint.

    Attributes:
        left: The number of trials that may follow, with this one. 0 if the text is drawn with its mask.
        start: The position at the beginning of the text.
        length: The maximum number of tokens.
        chunks: What this trial has drawn.
    """

    left: int
    start: Stream
    length: int
    chunks: "tuple[BatchChunk, ...]" = ()


class _Target(NamedTuple):
    """What a lane still needs.

    Attributes:
        tokens: Maximum number of further tokens.
        finish: Whether the text is complete after the last token.
        trial: The trial of a text with ``resample``, or None.
    """

    tokens: int
    finish: bool
    trial: _Trial | None


class Batch:
    """Generations of one model that advance together, one chunk at a time.

    The engine reads the weights once for all lanes. The text of a lane is independent of the other lanes.
    Each lane has its own sampling, length and ending. A batch is not thread-safe.

    A complete text with ``resample`` is drawn by rejection sampling: as if it had no constraint, in a trial.
    If it breaks the constraint, it is rejected, and the next trial begins where the text begins, with
    the next random numbers. The first trial that meets the constraint is the text. So it is a sample of the
    model's own distribution, given that the text meets the constraint. If all trials fail, the text is drawn
    with its mask, and its ending is ``"masked"``. Nothing of a trial is returned before its end, because it
    may still fail: until then its chunks are empty, and its generation must not be changed.

    Args:
        model: The model of all lanes.
        latencies: A list to which the nanoseconds of each step are added, or None.

    Attributes:
        model: The model of all lanes.
        drawn: The number of tokens that all lanes have drawn.
    """

    def __init__(self, model: "Model", latencies: list[int] | None = None) -> None:
        self.model = model
        self._latencies = latencies
        self.drawn = 0
        self._lanes: dict[Generation, _Target] = {}

    def __len__(self) -> int:
        """Return the number of active lanes."""
        return len(self._lanes)

    def __iter__(self) -> Iterator[Generation]:
        """Iterate over the active lanes, in the order in which they were added."""
        return iter(tuple(self._lanes))

    def add(self, generation: Generation, length: int, *, finish: bool = True) -> None:
        """Add a generation as a lane, starting with the next chunk.

        Args:
            generation: A generation of the batch's model. It can be changed between chunks, for example its
                sampling, or by ``feed``.
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
        if generation in self._lanes:
            raise ValueError("the generation is already a lane of this batch")
        if generation.model.engine is not self.model.engine:
            raise ValueError("the generation has another model than the batch")
        generation.check_length(length, finish=finish)
        trials = generation.sampling.resample if finish else 0
        trial = _Trial(trials, generation.position, length) if trials else None
        self._lanes[generation] = _Target(index(length), finish, trial)

    def remove(self, generation: Generation) -> None:
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
            steps: Maximum number of tokens per lane, 1 or more; a chunk has at most ``MAX_STEPS``. None
                chooses a chunk that takes the engine some milliseconds, at most a few tens of them with a
                small model.

        Returns:
            One chunk per lane, in the order in which the lanes were added.

        Raises:
            ValueError: If ``steps`` is less than 1.
            TypeError: If ``steps`` is not an integer.
        """
        if steps is None:
            steps = self.model.engine.chunk_length(len(self) or 1)
        elif index(steps) < 1:
            raise ValueError(f"steps must be 1 or more, not {steps}")
        lanes: dict[Generation, Lane] = {}
        results: dict[Generation, Generated] = {}
        before = self._positions()
        try:
            for generation, (tokens, finish, trial) in self._lanes.items():
                position = generation.position = generation.position.copy()
                if not tokens or position.is_complete:
                    continue
                try:
                    generation.check_length(tokens, finish=finish)
                except SamplingError as error:
                    # The constraint has changed since the lane was added.
                    results[generation] = Generated(0, b"", None, error=error)
                else:
                    masked = trial is None or not trial.left
                    lanes[generation] = Lane(position, tokens, finish, masked, generation.keep_logprobs)
            if lanes:
                steps = min(index(steps), MAX_STEPS)
                generated = self.model.engine.generate(list(lanes.values()), steps, self._latencies)
                results.update(zip(lanes, generated, strict=True))
                self.drawn += sum(result.generated for result in generated)
            return [self._accept(generation, results.get(generation)) for generation in self]
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
            SamplingError: If a lane cannot continue; see ``BatchChunk.error``. ``advance`` goes on with the
                others.
        """
        before = self._positions()
        texts: dict[Generation, list[str]] = {generation: [] for generation in self}
        try:
            while self:
                for chunk in self.advance():
                    texts[chunk.generation].append(chunk.text)
                    if chunk.error is not None:
                        raise chunk.error  # noqa: TRY301 (the positions are restored below)
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

    def _accept(self, generation: Generation, result: Generated | None) -> BatchChunk:
        """Return a result as a chunk, with the text that is held back if the lane has ended or failed.

        The lane then leaves the batch. One that was complete before this chunk has no result.
        """
        target = self._lanes[generation]
        if result is None:
            result = Generated(0, b"", generation.ending if generation.is_complete else "length")
        text = self.model.decode(result.text, generation.position.held)
        # A lane with another trial stays at its place.
        is_rejected = target.trial is not None and result.ending == "mismatch"
        if is_rejected or (result.ending is None and result.error is None):
            self._lanes[generation] = target._replace(tokens=target.tokens - result.generated)
        else:
            del self._lanes[generation]
            text += generation.finish() if target.finish else ""
        chunk = BatchChunk(
            generation,
            result.generated,
            text,
            result.ending,
            result.logprobs,
            self.model.tokenizer.decode(result.stop),
            result.error,
        )
        return chunk if target.trial is None else self._try(target.trial, chunk)

    def _try(self, trial: _Trial, chunk: BatchChunk) -> BatchChunk:
        """Return what is certain after a chunk of a trial. After a rejected one, begin the next trial."""
        generation, undecided = chunk.generation, BatchChunk(chunk.generation, 0, "", None)
        if chunk.ending == "mismatch":
            rejected, generation.position = generation.position, trial.start.copy()
            generation.reseed(rejected.seed, rejected.substream, rejected.drawn)
            following = trial._replace(left=trial.left - 1, chunks=())
            self._lanes[generation] = _Target(trial.length, finish=True, trial=following)
            return undecided
        if not trial.left:
            return chunk if chunk.ending is None else chunk._replace(ending="masked")
        chunks = (*trial.chunks, chunk)
        if generation in self._lanes:
            self._lanes[generation] = self._lanes[generation]._replace(trial=trial._replace(chunks=chunks))
            return undecided
        return chunk._replace(
            tokens=sum(part.tokens for part in chunks),
            text="".join([part.text for part in chunks]),
            logprobs=[*chain(*(p.logprobs or () for p in chunks))] if generation.keep_logprobs else None,
        )


class Model:
    """A loaded model. Nothing changes it, so threads can share it. ``load`` creates one.

    Args:
        engine: The engine that runs the model.
        metadata: The tokenizer, the normalization, the prompts and the provenance.
        content: The content of the model file.
        novel: The corpus of ``with_novel``, or None.

    Attributes:
        engine: The engine that runs the model.
        metadata: The tokenizer, the normalization, the prompts and the provenance.
    """

    def __init__(
        self, engine: Engine, metadata: Metadata, content: bytes, novel: Novel | None = None
    ) -> None:
        self.engine, self.metadata, self._content, self._novel = engine, metadata, content, novel

    def __repr__(self) -> str:
        return f"<Model {self.sha256[:8]}, {self.engine.name}>"

    @property
    def sha256(self) -> str:
        """The SHA-256 of the model file, in hexadecimal."""
        # Imported on use: importing hashlib takes milliseconds.
        from hashlib import sha256

        return sha256(self._content).hexdigest()

    def with_novel(self, corpus: str) -> Self:
        """Return a model with the same network, whose texts can be kept from copying a corpus.

        The parameter ``max_copy`` then limits how many successive characters or bytes of the corpus a text
        has; a model of words refuses it. It needs up to 20 bytes of memory for each token of the corpus,
        which all texts share. Another value of it makes another table.

        Args:
            corpus: The text, for example that which the model was trained on. It is normalized like prompts.
        """
        novel = Novel(self.metadata.normalize(corpus), self.tokenizer)
        return type(self)(self.engine, self.metadata, self._content, novel)

    @property
    def novel(self) -> str | None:
        """The normalized corpus of ``with_novel``, or None."""
        return None if self._novel is None else self._novel.text

    @property
    def novel_digest(self) -> str:
        """A hash of the corpus of ``with_novel``, in hexadecimal; empty without a corpus."""
        return "" if self._novel is None else self._novel.digest

    def compile_controls(self, sampling: Sampling) -> Controls:
        """Convert the characters and texts of a ``Sampling`` to tokens; see ``controls.compile_controls``."""
        return compile_controls(sampling, self.metadata, self._novel)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the model."""
        return self.metadata.tokenizer

    @property
    def is_raw(self) -> bool:
        """Whether texts keep bytes that are not UTF-8; see ``keep_bytes``."""
        return self.tokenizer.decoding == BYTES_TO_TEXT

    def keep_bytes(self) -> Self:
        """Return a model of bytes whose texts keep bytes that are not UTF-8, as U+DC80 to U+DCFF.

        ``str.encode("utf-8", "surrogateescape")`` returns the bytes of such a text. Finish the last part of
        a text: without that, the bytes of an incomplete character at its end are missing.
        """
        metadata = self.metadata._replace(tokenizer=self.tokenizer.raw())
        return type(self)(self.engine, metadata, self._content, self._novel)

    def decode(self, text: bytes, held: Sequence[int]) -> str:
        """Return a text of the C core as a str.

        Args:
            text: The text.
            held: The tokens after it that are held back. They can show that its last bytes are no character.
        """
        if self.tokenizer.level != BYTE:
            return text.decode()
        # A byte is its token.
        decoded = self.tokenizer.decode([*text, *held])
        return decoded[: len(decoded) - len(self.tokenizer.decode(held))]

    @property
    def prompts(self) -> tuple[str, ...]:
        """Excerpts from the corpus, for generation without a prompt; see ``default_prompt``."""
        return self.metadata.prompts

    @property
    def training(self) -> Mapping[str, Any]:
        """The provenance of the model: corpus, split, loss, recipe, versions and date."""
        return self.metadata.training

    @property
    def default_length(self) -> int:
        """The default of ``length``: 400 tokens, or 10,000 for a model of records, which end earlier."""
        return DEFAULT_LENGTH if self.metadata.records is None else DEFAULT_RECORD_LENGTH

    def default_prompt(self, seed: int, substream: int = 0) -> str:
        """Return the prompt of a text that has none.

        It is the excerpt ``prompts[(seed + substream) % len(prompts)]``; for a model of records, it is empty.

        Raises:
            PromptError: If the model has no excerpt.
        """
        if self.metadata.records is not None:
            return ""
        prompts = self.metadata.prompts
        if not prompts:
            raise PromptError("the model has no default prompt: pass one as ", Name("prompt"))
        return prompts[(seed + substream) % len(prompts)]

    def encode_prompt(
        self, text: str, unknown: UnknownPolicy = "error", *, is_start: bool = False
    ) -> "array[int]":
        """Normalize a text and convert it to tokens.

        Args:
            text: The text.
            unknown: As for ``start``.
            is_start: Whether the text is fed to the initial state. With a model of records, the first token
                is then ``begin``, and the text may be empty.

        Raises:
            PromptError: If no characters remain, or if the text has characters outside the vocabulary that
                ``unknown`` does not permit.
            ValueError: If ``unknown`` is neither ``"error"`` nor ``"skip"``.
            TypeError: If the text is not a string.
        """
        tokens = self.tokenizer.encode(self.metadata.normalize(text), unknown)
        begin = self.tokenizer.special.begin
        if is_start and begin is not None and (len(tokens) or not text):
            return array("q", [begin, *tokens])
        if not len(tokens):
            reason = "none of its characters is in the vocabulary" if text else "it is empty"
            raise PromptError(f"there is no text to continue: {reason}")
        return tokens

    def start(
        self,
        prompt: str | None = None,
        *,
        seed: int | None = None,
        substream: int = 0,
        unknown: UnknownPolicy = "error",
        sampling: Sampling | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Generation:
        """Feed a prompt and return a generation that continues it.

        Args:
            prompt: The text to continue. None is the ``default_prompt``. A model of records starts a new
                record, which begins with the prompt.
            seed: Random seed, 0 or more. The same seed reproduces the text. None chooses a random seed.
            substream: Index of an independent random stream of the seed, for several texts of one seed.
            unknown: What to do with characters outside the vocabulary. ``"error"`` encodes them as the
                model's unknown symbol, or raises ``PromptError`` if the model has none. ``"skip"`` removes
                them.
            sampling: The sampling parameters. None uses ``options``.
            options: The sampling parameters as keywords, such as ``temperature=0.5``; see ``Sampling``.

        Returns:
            A generation that has read the prompt and has generated nothing.

        Raises:
            PromptError: If no characters remain to feed, if the prompt has characters outside the vocabulary
                that ``unknown`` does not permit, or if there is neither a prompt nor a default prompt.
            SamplingError: If a sampling parameter, the seed or the substream is out of range, or if no text
                of the vocabulary can meet the sampling parameters.
            ValueError: If ``unknown`` is neither ``"error"`` nor ``"skip"``.
            TypeError: If the prompt is not a string, or both ``sampling`` and sampling keywords are passed.
        """
        chosen = choose_sampling(sampling, options)
        seed = fresh_seed() if seed is None else seed
        position = self.engine.new_stream(seed, substream)
        if prompt is None:
            prompt = self.default_prompt(seed, substream)
        generation = Generation(self, position, chosen, "")
        tokens = self.encode_prompt(prompt, unknown, is_start=True)
        for _ in feed_in_chunks(self.engine, position, tokens, restart=True):
            pass
        generation.prompt = self.tokenizer.decode(tokens)
        return generation

    # The overloads overlap because a str is also a Sequence[str]. It is one prompt.
    @overload
    def generate(  # type: ignore[overload-overlap]
        self,
        prompt: str | None = None,
        *,
        length: int | None = ...,
        seed: int | None = ...,
        unknown: UnknownPolicy = ...,
        sampling: Sampling | None = ...,
        **options: Unpack[SamplingOptions],
    ) -> str: ...

    @overload
    def generate(
        self,
        prompt: Sequence[str],
        *,
        length: int | None = ...,
        seed: int | None = ...,
        unknown: UnknownPolicy = ...,
        sampling: Sampling | Sequence[Sampling] | None = ...,
        **options: Unpack[SamplingOptions],
    ) -> list[str]: ...

    def generate(
        self,
        prompt: str | Sequence[str] | None = None,
        *,
        length: int | None = None,
        seed: int | None = None,
        unknown: UnknownPolicy = "error",
        sampling: Sampling | Sequence[Sampling] | None = None,
        **options: Unpack[SamplingOptions],
    ) -> str | list[str]:
        """Generate text that continues a prompt.

        The texts of several prompts are generated as one batch, which is much faster with the native engine.
        Prompt ``i`` uses substream ``i`` of the seed, so its text is independent of the other prompts.

        Args:
            prompt: One prompt, or a sequence of prompts such as a list. None is the ``default_prompt``.
            length: Maximum number of tokens to generate per prompt. With a character model, a token is a
                character. A stop text, a constraint or the end of a record can end a text earlier. None is
                ``default_length``.
            seed: As for ``start``.
            unknown: As for ``start``.
            sampling: The sampling parameters. For a sequence of prompts, either one ``Sampling`` for all
                prompts, or a sequence with one ``Sampling`` per prompt.
            options: As for ``start``.

        Returns:
            The generated text without the prompt, or a list of texts for a sequence of prompts.

        Raises:
            ValueError: As for ``start``, if ``length`` is negative, or if the number of samplings is not the
                number of prompts.
            PromptError: As for ``start``.
            SamplingError: As for ``start``, or as for ``Generation.take``. A ``Batch`` also returns the texts
                of the other prompts.
            TypeError: As for ``start``, or if ``length`` is not an integer.
        """
        prompts = [prompt] if prompt is None or isinstance(prompt, str) else prompt
        if sampling is None or isinstance(sampling, Sampling):
            samplings = [choose_sampling(sampling, options)] * len(prompts)
        else:
            samplings = [choose_sampling(one, options) for one in sampling]
        seed = fresh_seed() if seed is None else seed
        batch = Batch(self)
        for i, (text, one) in enumerate(zip(prompts, samplings, strict=True)):
            generation = self.start(text, seed=seed, substream=i, unknown=unknown, sampling=one)
            batch.add(generation, self.default_length if length is None else length)
        texts = batch.complete()
        return texts if prompts is prompt else texts[0]

    def stream(
        self,
        prompt: str | None = None,
        *,
        length: int | None = None,
        seed: int | None = None,
        unknown: UnknownPolicy = "error",
        sampling: Sampling | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Iterator[str]:
        """Yield the text of ``generate`` in chunks, as it is generated.

        Arguments and errors are those of ``generate`` with one prompt. The call feeds the prompt and checks
        the arguments before it returns the iterator.
        """
        generation = self.start(prompt, seed=seed, unknown=unknown, sampling=sampling, **options)
        return generation.stream(self.default_length if length is None else length, finish=True)


def load(
    source: ModelSource, *, engine: EngineName = "native", threads: int = 1, novel: str | None = None
) -> Model:
    """Load a model.

    Args:
        source: The path of a model file, the path of a folder that contains ``model.onnx``, or the name of a
            bundled model (see ``bundled_models``). It can also be the content of a model file, as bytes or as
            a binary file object, which is read to its end. Bytes are never interpreted as a path.
        engine: The engine that runs the model. ``"native"`` is much faster, but runs only LSTMs that
            ``textgen-train`` wrote. ``"onnxruntime"`` runs any graph with the documented inputs and outputs.
            Use it only for files that you trust, because a graph can take unlimited time and memory.
        threads: Maximum number of threads, 1 or more. The native engine distributes the lanes of a batch over
            threads. onnxruntime uses threads within one step.
        novel: A corpus, as text, that ``max_copy`` keeps texts from copying; see ``Model.with_novel``.

    Returns:
        The model.

    Raises:
        ModelFileError: If the file is missing, damaged, or not a text generator, or if the engine does not
            support its graph.
        ValueError: If ``engine`` is not one of these names, or ``threads`` is less than 1.
        TypeError: If ``source`` is of an unsupported type, or ``threads`` is not an integer.
        TextgenError: If the engine is onnxruntime, which is not installed.
    """
    content = read_model(source)
    try:
        model = open_model(content, engine, threads)
    except ModelFileError as error:
        raise ModelFileError(f"{name_source(source)}: ", *error.args) from error
    return model if novel is None else model.with_novel(novel)


def open_model(content: bytes, engine: EngineName = "native", threads: int = 1) -> Model:
    """Load a model from the content of its file. Arguments and errors are those of ``load``."""
    if index(threads) < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    if engine not in ("native", "onnxruntime"):
        raise ValueError(f"engine must be 'native' or 'onnxruntime', not {engine!r}")
    opened: Engine
    if engine == "onnxruntime":
        opened = _open_onnxruntime(content, threads)
    else:
        try:
            opened = NativeEngine(content, threads)
        except UnknownGraphError as error:
            raise UnknownGraphError(
                f"the native engine cannot run it: {error}; if you trust the file, use ",
                Name("engine", "onnxruntime"),
            ) from error
    return Model(opened, Metadata.read(opened.core), content)


def _open_onnxruntime(content: bytes, threads: int) -> Engine:
    # Imported on use: the import takes longer than the generation of a short text.
    try:
        from .onnxruntime import OnnxEngine
    except ImportError as error:
        raise TextgenError(
            f"cannot import onnxruntime ({first_line(error)}): pip install numpy onnxruntime, or omit ",
            Name("engine", "onnxruntime"),
        ) from None
    return OnnxEngine(content, threads)
