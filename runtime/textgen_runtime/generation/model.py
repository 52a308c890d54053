"""``Model``: a loaded model, which threads can share."""

import os
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Unpack, overload

from textgen_runtime.errors import Name, PromptError
from textgen_runtime.sampling.options import SamplingOptions
from textgen_runtime.sampling.parameters import Sampling, choose_sampling
from textgen_runtime.text.tokenizer import UnknownPolicy

from .batch import Batch
from .feeding import feed_in_chunks
from .generation import Generation
from .model_identity import ModelIdentity

if TYPE_CHECKING:
    from .completion import Completion

DEFAULT_LENGTH = 400

# The maximum length of a record, which ends by itself: most poems and tunes are shorter.
DEFAULT_RECORD_LENGTH = 10_000


def fresh_seed() -> int:
    """Return a random seed of 32 bits, short enough to type."""
    return int.from_bytes(os.urandom(4), "little")


class Model(ModelIdentity):
    """A loaded model. It is immutable, so threads can share it.

    Two models are equal if their engines, files, metadata and ``novel`` are equal. They then generate the
    same text. ``copy.copy`` and ``copy.deepcopy`` return the model itself. A pickle contains the content of
    the file, so that the process that loads it does not need the file.

    Use ``load`` to create a model.

    Args:
        engine: The engine that runs the model.
        metadata: The tokenizer, the normalization, the prompts and the provenance.
        content: The content of the model file.
        reconstructor: The value of ``__reduce__``, or None if the model cannot be pickled.
        novel: The normalized corpus that ``max_copy`` keeps texts from copying; see ``with_novel``.

    Attributes:
        engine: The engine that runs the model.
        metadata: The tokenizer, the normalization, the prompts and the provenance.
    """

    __slots__ = ()

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
            prompt: The text to continue. None chooses one of the model's ``prompts`` by ``seed`` and
                ``substream``. A model of records starts a new record, which begins with the prompt; None
                is the empty prompt.
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
        if prompt is not None and not isinstance(prompt, str):
            hint = "; generate() accepts several prompts" if _is_prompt_sequence(prompt) else ""
            raise TypeError(f"the prompt must be a str, not {type(prompt).__name__}{hint}")
        seed = fresh_seed() if seed is None else seed
        position = self.engine.new_stream(seed, substream)
        if prompt is None:
            prompt = self._default_prompt(seed + substream)
        generation = Generation(self, position, chosen, "")
        tokens = self.encode_prompt(prompt, unknown, is_start=True)
        feed_in_chunks(self.engine, position, tokens, restart=True)
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
            prompt: One prompt, or a sequence of prompts such as a list. None chooses one of the model's
                ``prompts``.
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
            SamplingError: As for ``start``, or as for ``Generation.take``. With several prompts, the message
                begins with the number of the text that failed. A ``Batch`` also returns the other texts.
            TypeError: As for ``start``, or if ``length`` is not an integer.
        """
        if prompt is None or isinstance(prompt, str):
            if sampling is not None and not isinstance(sampling, Sampling):
                raise TypeError(
                    f"for one prompt, sampling must be one Sampling, not {type(sampling).__name__}"
                )
            generation = self.start(prompt, seed=seed, unknown=unknown, sampling=sampling, **options)
            return generation.take(self.default_length if length is None else length, finish=True)
        if not _is_prompt_sequence(prompt):
            raise TypeError(
                f"the prompt must be a str or a sequence of str, such as a list, not {type(prompt).__name__}"
            )
        seed = fresh_seed() if seed is None else seed
        batch = Batch(self)
        samplings = _expand_sampling(sampling, options, len(prompt))
        for i, (text, parameters) in enumerate(zip(prompt, samplings, strict=True)):
            generation = self.start(text, seed=seed, substream=i, unknown=unknown, sampling=parameters)
            batch.add(generation, self.default_length if length is None else length)
        return batch.complete()

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

    def complete(
        self,
        prefix: str,
        count: int = 5,
        *,
        length_normalization: float = 0.0,
        unknown: UnknownPolicy = "error",
    ) -> "list[Completion]":
        """Return the likeliest ways to continue a text to the end of a word. Imports numpy.

        A word consists of letters, digits, combining marks, apostrophes and hyphens. If the text ends within
        a word, the completions end that word. Otherwise they are the next word.

        Args:
            prefix: The text to continue.
            count: Maximum number of completions, 1 or more.
            length_normalization: 0 ranks the completions by probability, which favors short words. Larger
                values, such as 0.6, favor longer words.
            unknown: As for ``start``.

        Returns:
            The best completions, the best first. Each has at least one token, at most 40, and the probability
            that the model continues with it and that the word then ends.

        Raises:
            PromptError: As for ``start``.
            ValueError: If ``count`` is less than 1, ``length_normalization`` is negative or not finite, or
                ``unknown`` is invalid.

        Source: beam search with 32 beams. A beam's score is its log-probability divided by ``((5 + length) /
        6) ** length_normalization``, from Y. Wu et al., Google's Neural Machine Translation System, 2016.
        """
        from .completion import complete

        if count < 1:
            raise ValueError(f"count must be 1 or more, not {count}")
        if not 0 <= length_normalization < float("inf"):
            raise ValueError(
                f"length_normalization must be a finite number, 0 or more, not {length_normalization}"
            )
        tokens = self.encode_prompt(prefix, unknown, is_start=True)
        return complete(self, tokens, count, length_normalization)

    @property
    def default_length(self) -> int:
        """The default of ``length``: 400 tokens, or 10,000 for a model of records, which end earlier."""
        return DEFAULT_LENGTH if self.metadata.records is None else DEFAULT_RECORD_LENGTH

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

    def _default_prompt(self, number: int) -> str:
        if self.metadata.records is not None:
            return ""
        if not self.prompts:
            raise PromptError("the model has no default prompt: pass one as ", Name("prompt"))
        return self.prompts[number % len(self.prompts)]


def _is_prompt_sequence(prompt: object) -> bool:
    """Whether the argument is a sequence other than one string."""
    return isinstance(prompt, Sequence) and not isinstance(prompt, str | bytes | bytearray)


def _expand_sampling(
    sampling: Sampling | Sequence[Sampling] | None, options: SamplingOptions, count: int
) -> Sequence[Sampling]:
    """Return one sampling per prompt."""
    if sampling is None or isinstance(sampling, Sampling) or not isinstance(sampling, Sequence):
        return [choose_sampling(sampling, options)] * count
    if len(sampling) != count:
        raise ValueError(
            f"sampling must be one Sampling, or one for each of the {count} prompts, not {len(sampling)}"
        )
    return [choose_sampling(parameters, options) for parameters in sampling]
