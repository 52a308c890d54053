"""``Generation``: one running text."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from textgen_runtime.engines.base import Measurements, State, Stream, TextEnding
from textgen_runtime.errors import Name, SamplingError
from textgen_runtime.sampling.parameters import Sampling, check_type
from textgen_runtime.text.tokenizer import UnknownPolicy

from .batch import Batch
from .feeding import feed_in_chunks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from .model import Model

# Maximum number of tokens per chunk of streamed text. The native engine generates a chunk in a fraction of a
# millisecond; with any engine the output looks continuous.
STREAM_CHUNK = 64


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
        measurements: Accumulates the times and entropies of ``take`` and ``stream``. None, the default, skips
            the measurements.
        keep_logprobs: Whether a ``Batch`` returns the log-probability of each drawn token.
        position: Where the text stands, for ``Batch`` and for saved generations. Each change of the
            generation replaces it by a changed copy, so that an older position can be restored.
        masked_position: The position after a text that met its constraint only with the mask.
    """

    model: "Model"
    prompt: str
    position: Stream
    measurements: Measurements | None = None
    keep_logprobs: bool = False
    masked_position: Stream | None = None

    def __init__(self, model: "Model", position: Stream, sampling: Sampling, prompt: str) -> None:
        """Continue a position, whose parameters are set from ``sampling``."""
        self.model, self.position, self.prompt = model, position, prompt
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
        position = self.position.copy()
        position.reseed(seed, substream, drawn)
        self.position = position

    @property
    def state(self) -> State:
        """The state of the network: read-only float32 arrays by name, shape [rows, 1, units].

        An LSTM has ``hidden`` and ``cell``, and a GRU ``hidden``, each with a row for each layer. A layer of
        convolutions has an array of its own, ``inputs_0`` and so on: its rows are the last inputs of the
        layer, the oldest first, and its units are the size of an input.

        The state can be set to a ``State`` or to a mapping of arrays by name. Setting it copies the values.

        Raises:
            ValueError: When set, if the names or shapes are not those of the model.
            TypeError: When set, if the value is not a mapping.
        """
        return self.position.state

    @state.setter
    def state(self, value: "Mapping[str, ArrayLike]") -> None:
        position = self.position.copy()
        position.state = _checked_state(value, self.model.engine.network.state)
        self.position = position

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

        logits = np.array(value, np.float32)
        if logits.shape != (self.model.engine.vocabulary_size,):
            shape = (self.model.engine.vocabulary_size,)
            raise ValueError(f"the logits must be of shape {shape}, not {logits.shape}")
        position = self.position.copy()
        position.logits = logits
        self.position = position

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
        position = self.position.copy()
        position.configure(value, *self.model.compile_controls(value))
        self.position, self._sampling = position, value

    @property
    def ending(self) -> TextEnding | None:
        """Why the latest text ended: ``"length"``, ``"stop"``, ``"end"``, ``"constraint"`` or ``"masked"``.

        None before the first text, and while a text continues. A constraint ends a text for good: later calls
        of ``take`` return no more text until ``feed`` or another constraint starts a new one. The end of a
        record, too: ``feed`` starts the next record.
        """
        return "masked" if self.masked_position is self.position else self.position.ending

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
        position = self.position.copy()
        position.feed(())
        self.position = position

    def check_length(self, length: int) -> None:
        """Check that the text can meet its constraint.

        Raises:
            SamplingError: If no text of at most ``length`` tokens meets the constraint.
        """
        needed = self.position.tokens_to_match
        if needed > length:
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
        feed_in_chunks(model.engine, position, tokens, restart=is_start)
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
        yielded.

        Raises:
            ValueError: If ``length`` is negative.
            TypeError: If ``length`` is not an integer.
            SamplingError: As for ``take``.
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
        position = self.position.copy()
        written = position.finish(not self.model.is_raw)
        self.position = position
        return self.model.decode(written, position.held)

    def _as_batch(self, length: int, finish: bool) -> Batch:
        batch = Batch(self.model, self.measurements)
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
        import numpy as np

        from textgen_runtime.text.token_names import token_text

        if count < 1:
            raise ValueError(f"count must be 1 or more, not {count}")
        if self.is_complete:
            return []
        of_model, of_draw = self.probabilities()
        # The sort is stable: the lowest token comes first among equals.
        order = np.lexsort((-of_model, -of_draw))[:count].tolist()
        tokenizer = self.model.tokenizer
        return [
            NextToken(token_text(tokenizer, token), token, float(of_model[token]), float(of_draw[token]))
            for token in order
        ]

    def fork(self, count: int) -> "list[Generation]":
        """Return independent generations that continue the same text differently.

        Each continues with other random numbers, which the position of this generation determines: the same
        fork gives the same texts. This generation does not change.

        Args:
            count: The number of generations, 0 or more.

        Raises:
            ValueError: If ``count`` is negative.
        """
        import hashlib

        if count < 0:
            raise ValueError(f"count must be 0 or more, not {count}")
        forks = [self.copy() for _ in range(count)]
        for number, fork in enumerate(forks):
            # A hash, so that forks of forks are independent, too. A further substream of the seed could be
            # that of another text.
            origin = f"{self.seed} {self.substream} {self.drawn} {number}"
            fork.reseed(int.from_bytes(hashlib.sha256(origin.encode()).digest()[:16], "little"))
        return forks

    def copy(self) -> "Generation":
        """Return an independent generation that continues exactly as this one would.

        Its measurements are a copy, too. ``copy.copy`` and ``copy.deepcopy`` do the same. Pickling copies a
        generation to another process.
        """
        clone = object.__new__(Generation)
        clone.__dict__.update(self.__dict__)
        clone.position = self.position.copy()
        clone.measurements = self.measurements and self.measurements.copy()
        return clone

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> "Generation":
        return self.copy()

    def move_to(self, model: "Model") -> None:
        """Continue with an equal model, which has another engine object."""
        if self.model.engine is not model.engine:
            moved = _restore(model, self.sampling, self.prompt, self.position.save(b""))
            self.model, self.position = model, moved.position

    def __reduce__(self) -> tuple[Any, ...]:
        names = ("measurements", "keep_logprobs")
        attributes = {name: self.__dict__[name] for name in names if name in self.__dict__}
        saved = self.position.save(b"")
        return _restore, (self.model, self.sampling, self.prompt, saved), attributes or None


def _restore(model: "Model", sampling: Sampling, prompt: str, saved: bytes) -> Generation:
    generation = Generation(model, model.engine.new_stream(), sampling, prompt)
    generation.position.resume(saved)
    return generation


def _checked_state(value: "Mapping[str, ArrayLike]", sizes: Mapping[str, tuple[int, int]]) -> State:
    """Return arrays by name as a state of one lane. Raises the errors of ``Generation.state``."""
    import numpy as np

    if not isinstance(value, Mapping):
        raise TypeError(
            f"the state must be a State or a mapping of arrays by name, not {type(value).__name__}"
        )
    if set(value) != set(sizes):
        raise ValueError(
            f"the state must have the arrays {', '.join(sizes)}, not {', '.join(map(str, value))}"
        )
    arrays = {name: np.ascontiguousarray(value[name], np.float32) for name in sizes}
    for name, (layers, units) in sizes.items():
        if arrays[name].shape != (layers, 1, units):
            raise ValueError(
                f"the state array {name!r} must be of shape {(layers, 1, units)}, not {arrays[name].shape}"
            )
    return State(arrays)
