"""A loaded model, which is shared: ``Model``."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias, Unpack, overload

from textgen_runtime.engines.base import Engine
from textgen_runtime.errors import PromptError
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.sampling.parameters import Sampling, SamplingOptions, choose_sampling, make_sampler
from textgen_runtime.text.tokenizer import Tokenizer, UnknownPolicy

from .batch import Batch
from .generation import Generation

DEFAULT_LENGTH = 400

# What makes a model again, and its arguments: for a pickle.
Reopening: TypeAlias = "tuple[Callable[..., Model], tuple[Any, ...]]"


def fresh_seed() -> int:
    """A new random seed, short enough to be typed again."""
    return int.from_bytes(os.urandom(4), "little")


class Model:
    """A loaded model. Immutable: any number of threads may generate from one at the same time.

    Two models are equal if the same engine runs the same file: they give the same text. A copy is the model
    itself. A pickle holds the content of the file and is opened again as the model was, so that another
    process needs no file.

    Args:
        engine: What runs it.
        metadata: Its tokenizer, normalisation, prompts and provenance.
        content: Of the model file.
        reopening: What makes it again from a pickle; None for a model that is not that of its file.

    Attributes:
        engine: What runs it.
        metadata: Its tokenizer, normalisation, prompts and provenance.
    """

    __slots__ = ("__weakref__", "_content", "_reopening", "_sha256", "engine", "metadata")

    engine: Engine
    metadata: Metadata
    _content: bytes
    _reopening: "Reopening | None"
    _sha256: str

    def __init__(
        self, engine: Engine, metadata: Metadata, content: bytes, reopening: "Reopening | None" = None
    ) -> None:
        given = {"engine": engine, "metadata": metadata, "_content": content, "_reopening": reopening}
        for name, value in given.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a model is immutable: its {name} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a model is immutable: it keeps its {name}")

    def __repr__(self) -> str:
        return f"<Model {self.sha256[:8]}, {self.engine.name}>"

    @property
    def sha256(self) -> str:
        """Of the model file, in hexadecimal: tells models apart."""
        # Worked out when it is first asked for, because most programs never do.
        try:
            return self._sha256
        except AttributeError:
            import hashlib

            object.__setattr__(self, "_sha256", hashlib.sha256(self._content).hexdigest())
            return self._sha256

    def with_metadata(self, metadata: Metadata) -> "Model":
        """The same network with other metadata, for example other prompts; it cannot be pickled."""
        return Model(self.engine, metadata, self._content)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Model):
            return NotImplemented
        if self is other:
            return True
        return (self.engine.name, self.metadata, self._content) == (
            other.engine.name,
            other.metadata,
            other._content,
        )

    def __hash__(self) -> int:
        return hash((self.sha256, self.engine.name))

    def __copy__(self) -> "Model":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Model":
        return self

    def __reduce__(self) -> "Reopening":
        if self._reopening is None:
            raise TypeError("cannot pickle a model that was not loaded from a file: use load()")
        return self._reopening

    @property
    def tokenizer(self) -> Tokenizer:
        """Text to tokens and back."""
        return self.metadata.tokenizer

    @property
    def prompts(self) -> tuple[str, ...]:
        """Snippets of the corpus; without a prompt, seed s starts from number s modulo their count."""
        return self.metadata.prompts

    @property
    def training(self) -> Mapping[str, Any]:
        """Where the model comes from: corpus, split, loss, recipe, versions, date."""
        return self.metadata.training

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
        """Read a prompt and be ready to continue it.

        Args:
            prompt: The text to continue; None takes one of the model's own snippets, chosen by
                ``seed`` and ``substream``.
            seed: The same seed gives the same text; None draws a fresh one.
            substream: Which of several texts of the same seed this is; each is independent.
            unknown: What to do about characters outside the vocabulary: ``"skip"`` leaves them out;
                ``"error"`` reads them as the model's unknown symbol, and is an error only where the model
                has none.
            sampling: How tokens are drawn.
            options: The same by its parameters, such as ``temperature=0.5``; see ``Sampling``.

        Raises:
            PromptError: If the prompt is empty, or holds unknown characters that are neither skipped nor
                read as the unknown symbol.
            SamplingError: If the sampling, seed or substream is not as stated.
            TypeError: If the prompt is not a string (``generate`` takes several), or if both ``sampling`` and
                its parameters are given.
        """
        chosen = choose_sampling(sampling, options)
        if prompt is not None and not isinstance(prompt, str):
            hint = "; generate() takes several" if _is_several(prompt) else ""
            raise TypeError(f"the prompt must be a str, not {type(prompt).__name__}{hint}")
        seed = fresh_seed() if seed is None else seed
        sampler = make_sampler(chosen, seed, substream)
        if prompt is None:
            prompt = self._own_prompt(seed + substream)
        return Generation(self, sampler, prompt, unknown)

    # A str is a sequence of str as well; it is one prompt.
    @overload
    def generate(  # type: ignore[overload-overlap]
        self,
        prompt: str | None = None,
        *,
        length: int = ...,
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
        length: int = ...,
        seed: int | None = ...,
        unknown: UnknownPolicy = ...,
        sampling: Sampling | Sequence[Sampling] | None = ...,
        **options: Unpack[SamplingOptions],
    ) -> list[str]: ...

    def generate(
        self,
        prompt: str | Sequence[str] | None = None,
        *,
        length: int = DEFAULT_LENGTH,
        seed: int | None = None,
        unknown: UnknownPolicy = "error",
        sampling: Sampling | Sequence[Sampling] | None = None,
        **options: Unpack[SamplingOptions],
    ) -> str | list[str]:
        """Continue a prompt by ``length`` tokens and return their text, without the prompt.

        A token is a character where the model's level is that. A sequence of prompts, such as a list or a
        tuple, gives a list of texts. They are continued together, which with the native engine takes far
        less than one after another; number i is substream i of the seed, and its text does not depend on
        the others. ``sampling`` may then be a sequence as well, of one for each prompt. The other arguments
        and the errors are those of ``start``.

        Raises:
            ValueError: If ``length`` is negative, or there are not as many samplings as prompts.
        """
        if prompt is None or isinstance(prompt, str):
            if sampling is not None and not isinstance(sampling, Sampling):
                raise TypeError(f"one prompt takes one sampling, not {type(sampling).__name__}")
            generation = self.start(prompt, seed=seed, unknown=unknown, sampling=sampling, **options)
            return generation.take(length) + generation.finish()
        if not _is_several(prompt):
            raise TypeError(
                f"the prompt must be a str or a sequence of str, such as a list, not {type(prompt).__name__}"
            )
        seed = fresh_seed() if seed is None else seed
        batch = Batch(self)
        for i, (each, own) in enumerate(zip(prompt, _each(sampling, options, len(prompt)), strict=True)):
            generation = self.start(each, seed=seed, substream=i, unknown=unknown, sampling=own)
            batch.add(generation, length)
        return batch.complete()

    def stream(
        self,
        prompt: str | None = None,
        *,
        length: int = DEFAULT_LENGTH,
        seed: int | None = None,
        unknown: UnknownPolicy = "error",
        sampling: Sampling | None = None,
        **options: Unpack[SamplingOptions],
    ) -> Iterator[str]:
        """Yield what ``generate`` would return, chunk by chunk as it is made.

        The prompt is read, and errors are raised, by the call itself and not by the first chunk.
        """
        generation = self.start(prompt, seed=seed, unknown=unknown, sampling=sampling, **options)
        return _whole(generation, generation.stream(length))

    def _own_prompt(self, number: int) -> str:
        if not self.prompts:
            raise PromptError("the model brings no prompts of its own: give one")
        return self.prompts[number % len(self.prompts)]


def _whole(generation: Generation, chunks: Iterator[str]) -> Iterator[str]:
    """The chunks, and what the tokenizer holds back at the end of them."""
    yield from chunks
    if rest := generation.finish():
        yield rest


def _is_several(prompt: object) -> bool:
    """Whether it is a sequence that may be of prompts."""
    return isinstance(prompt, Sequence) and not isinstance(prompt, str | bytes | bytearray)


def _each(
    sampling: Sampling | Sequence[Sampling] | None, options: SamplingOptions, count: int
) -> Sequence[Sampling]:
    """A sampling for each of so many prompts."""
    if sampling is None or isinstance(sampling, Sampling) or not isinstance(sampling, Sequence):
        return [choose_sampling(sampling, options)] * count
    if len(sampling) != count:
        raise ValueError(f"{len(sampling)} samplings are given for {count} prompts")
    return [choose_sampling(each, options) for each in sampling]
