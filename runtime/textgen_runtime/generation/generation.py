"""``Generation``: one running text."""

import copy
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from textgen_runtime.engines.base import Generated, Measurements, State, StoredBuffer
from textgen_runtime.sampling.parameters import Sampling, check_type
from textgen_runtime.sampling.sampler import Sampler
from textgen_runtime.text.tokenizer import UnknownPolicy

from ._float_copies import copy_floats, copy_state
from ._forks import fork_sampler
from .batch import Batch
from .controls import compile_controls
from .feeding import feed_in_chunks
from .running_text import RunningText
from .text_progress import TextEnding, TextPosition

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from .model import Model
    from .next_tokens import NextToken

# Maximum number of tokens per chunk of streamed text. The native engine generates a chunk in a fraction of a
# millisecond; with any engine the output looks continuous.
STREAM_CHUNK = 64


class Generation(RunningText):
    """One running text.

    After each call, ``state`` is the state after the text so far, and ``logits`` are the logits of the next
    token. A generation is not thread-safe. ``copy`` returns an independent generation for another thread.

    Attributes:
        model: The model that generates the text.
        sampler: Draws tokens from the logits. Set ``sampling`` to change its parameters.
        prompt: The text that the generation started from, in the model's normalized form.
        measurements: Accumulates the times and entropies of ``take`` and ``stream``. None, the default, skips
            the measurements.
        keep_logprobs: Whether a ``Batch`` returns the log-probability of each drawn token.
    """

    prompt: str
    measurements: Measurements | None = None

    def __init__(
        self,
        model: "Model",
        sampler: Sampler,
        sampling: Sampling,
        prompt: str,
        unknown: UnknownPolicy = "error",
    ) -> None:
        super().__init__(model, sampler, sampling)
        self.prompt = self._feed(prompt, unknown, is_start=True)

    @classmethod
    def from_parts(  # noqa: PLR0913, PLR0917 (all are needed)
        cls,
        model: "Model",
        sampler: Sampler,
        sampling: Sampling,
        prompt: str,
        last: Generated,
        position: TextPosition,
    ) -> "Generation":
        """Recreate a generation from its parts.

        Args:
            model: The model of the original generation.
            sampler: A sampler at the position of the original one. Its parameters are set from ``sampling``.
            sampling: The sampling parameters of the original generation.
            prompt: The prompt of the original generation.
            last: The ``tail`` of the original generation as its tokens, and the logits and the state.
            position: The position of the original generation in its stop texts and its constraint.
        """
        generation = object.__new__(cls)
        RunningText.__init__(generation, model, sampler, sampling)
        generation.prompt = prompt
        generation._progress.decoder.decode(last.tokens)
        generation._progress.position = position
        generation._logits, generation._state = last.logits, last.state
        return generation

    @property
    def state(self) -> State:
        """The recurrent state: read-only float32 arrays by name, shape [layers, 1, units].

        The state can be set to a ``State`` or to a mapping of arrays by name. Setting it copies the values.

        Raises:
            ValueError: When set, if the names or shapes are not those of the model.
            TypeError: When set, if the value is not a mapping.
        """
        return self._state

    @state.setter
    def state(self, value: "Mapping[str, ArrayLike]") -> None:
        self._state = copy_state(value, self.model.engine.network.state)

    @property
    def logits(self) -> "NDArray[np.float32]":
        """The logits of the next token: a writable array, shape [vocabulary], float32.

        The logits of the unknown symbol and of the begin token are -inf, so that they are never drawn.
        Setting the logits copies the values.

        Raises:
            ValueError: When set, if the shape is different.
        """
        import numpy as np

        return np.asarray(self._logits)

    @logits.setter
    def logits(self, value: "ArrayLike") -> None:
        shape = (self.model.engine.vocabulary_size,)
        self._logits = copy_floats(value, shape, "the logits")

    @property
    def sampling(self) -> Sampling:
        """The sampling parameters. They can be set at any time and apply from the next chunk.

        The penalties and mirostat keep their state. Other stop texts begin with the next token. Another
        constraint, or other allowed or banned characters of a constraint, start a new text of the constraint.

        Raises:
            SamplingError: When set, if a parameter does not fit the model's vocabulary.
            TypeError: When set, if the value is not a ``Sampling``.
        """
        return self._sampling

    @sampling.setter
    def sampling(self, value: Sampling) -> None:
        check_type(value)
        before, controls = self._controls, compile_controls(value, self.model.metadata)
        self.sampler.configure(value, controls.logit_bias)
        self._sampling, self._controls = value, controls
        self._progress.change_controls(before, controls)

    @property
    def ending(self) -> TextEnding | None:
        """Why the latest text ended: ``"length"``, ``"stop"``, ``"end"``, ``"constraint"`` or ``"masked"``.

        None before the first text, and while a text continues. A constraint ends a text for good: later calls
        of ``take`` return no more text until ``feed`` or another constraint starts a new one. The end of a
        record, too: ``feed`` starts the next record.
        """
        return self._progress.position.ending

    def feed(self, text: str, unknown: UnknownPolicy = "error") -> str:
        """Feed text to the model, as if the model had generated it.

        After the end of a record, the text starts a new record, from the initial state. It may then be empty.

        An error or an interrupt leaves the generation at its position before the call.

        Args:
            text: The text. It is normalized as the model's training text was.
            unknown: What to do with characters outside the vocabulary, as for ``Model.start``.

        Returns:
            The normalized text without skipped characters. If the decoder held back text of earlier tokens,
            the result starts with that text.

        Raises:
            PromptError: If no characters remain to feed, or ``unknown`` is ``"error"`` and the model has no
                unknown symbol for the characters outside its vocabulary.
            ValueError: If ``unknown`` is neither ``"error"`` nor ``"skip"``.
            TypeError: If ``text`` is not a string.
        """
        return self._feed(text, unknown, is_start=self.position.at_end)

    def _feed(self, text: str, unknown: UnknownPolicy, *, is_start: bool) -> str:
        model = self.model
        tokens = model.encode_prompt(text, unknown, is_start=is_start)
        progress = self._progress.copy()
        fed = progress.feed(tokens)
        state = model.engine.initial_state() if is_start else self._state
        # Everything that can fail comes before the first change of this generation.
        self._logits, self._state = feed_in_chunks(model.engine, tokens, state)
        self._progress = progress
        return fed

    def take(self, length: int, *, finish: bool = False) -> str:
        """Generate up to ``length`` tokens and return their text.

        With a character model, a token is a character. The text ends earlier at a stop text, at the end of a
        record, or where its constraint ends it; ``ending`` is the reason. After a stop text, the next call
        continues with the text that follows it.

        Text is held back while it may become a stop text, or while the decoder needs its next tokens. A later
        call or ``finish`` returns that text. An error or an interrupt leaves the generation at its position
        before the call.

        Args:
            length: The maximum number of tokens.
            finish: Whether the text is complete after this call. Then nothing is held back, and a text with a
                constraint meets it within ``length`` tokens. ``resample`` applies only to complete texts.

        Raises:
            ValueError: If ``length`` is negative.
            TypeError: If ``length`` is not an integer.
            SamplingError: If the logits contain NaN or +inf, if the random stream is exhausted, or if no text
                of at most ``length`` tokens meets the constraint.
        """
        return self._as_batch(length, finish).complete()[0]

    def stream(self, length: int, *, finish: bool = False) -> Iterator[str]:
        """Yield the text of ``take`` in chunks of at most ``STREAM_CHUNK`` tokens, as it is generated.

        Changes between chunks, for example to ``sampling``, apply from the next chunk. An error or an
        interrupt leaves the generation at the end of the last chunk that was yielded.

        Raises:
            ValueError: If ``length`` is negative.
            TypeError: If ``length`` is not an integer.
            SamplingError: As for ``take``.
        """
        batch = self._as_batch(length, finish)
        chunk = min(STREAM_CHUNK, self.model.engine.chunk_length(1))

        def chunks() -> Iterator[str]:
            while batch:
                # The text is empty if it is all held back, or if the length is 0.
                if text := batch.advance(chunk)[0].text:
                    yield text

        return chunks()

    def finish(self) -> str:
        """Return the text that is held back."""
        return self._progress.finish()

    def _as_batch(self, length: int, finish: bool) -> Batch:
        batch = Batch(self.model, self.measurements)
        batch.add(self, length, finish=finish)
        return batch

    def top(self, count: int = 10) -> "list[NextToken]":
        """Return the likeliest next tokens. Imports numpy.

        Args:
            count: Maximum number of tokens, 1 or more.

        Returns:
            The tokens, by their probability in the next draw, and then by the probability of the model. Both
            probabilities are in the result.

        Raises:
            ValueError: If ``count`` is less than 1.
        """
        from .next_tokens import next_tokens

        if count < 1:
            raise ValueError(f"count must be 1 or more, not {count}")
        return next_tokens(self, count)

    def fork(self, count: int) -> "list[Generation]":
        """Return independent generations that continue the same text differently.

        Each continues with other random numbers, which the position of this generation determines: the same
        fork gives the same texts. This generation does not change.

        Args:
            count: The number of generations, 0 or more.

        Raises:
            ValueError: If ``count`` is negative.
        """
        if count < 0:
            raise ValueError(f"count must be 0 or more, not {count}")
        forks = [self.copy() for _ in range(count)]
        for number, fork in enumerate(forks):
            fork.sampler = fork_sampler(self.sampler, number)
        return forks

    def copy(self) -> "Generation":
        """Return an independent generation that continues exactly as this one would.

        ``copy.copy`` and ``copy.deepcopy`` do the same. Pickling copies a generation to another process.
        """
        clone = object.__new__(Generation)
        clone.__dict__.update(self.__dict__)
        clone.sampler = copy.copy(self.sampler)
        clone._progress = self._progress.copy()
        # The state is immutable and can be shared; the logits are writable.
        shape = (self.model.engine.vocabulary_size,)
        clone._logits = copy_floats(memoryview(self._logits), shape, "the logits")
        return clone

    __copy__ = copy

    def __reduce__(self) -> tuple[Any, ...]:
        last = Generated(tuple(self.tail), StoredBuffer(self._logits), self._state, None)
        names = ("measurements", "keep_logprobs")
        attributes = {name: self.__dict__[name] for name in names if name in self.__dict__}
        parts = (self.model, self.sampler, self.sampling, self.prompt, last, self.position)
        return Generation.from_parts, parts, attributes or None
