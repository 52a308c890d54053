"""``ModelIdentity``: the parts of a loaded model, and its equality, hash, copies and pickles."""

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias

from textgen_runtime.engines.base import Engine
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.text.byte_tokenizer import BYTES_TO_TEXT
from textgen_runtime.text.tokenizer import BYTE, Tokenizer

from .controls import Controls, compile_controls
from .novel import Novel

# A function that recreates the model, and its arguments: the value of ``__reduce__``.
Reconstructor: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]


class ModelIdentity:
    """The immutable parts of a loaded model. ``Model`` adds the methods that generate text.

    Arguments and attributes are those of ``Model``.
    """

    __slots__ = ("__weakref__", "_content", "_novel", "_reconstructor", "_sha256", "engine", "metadata")

    engine: Engine
    metadata: Metadata
    _content: bytes
    _novel: Novel | None
    _reconstructor: Reconstructor | None
    _sha256: str

    def __init__(
        self,
        engine: Engine,
        metadata: Metadata,
        content: bytes,
        reconstructor: Reconstructor | None = None,
        novel: str | None = None,
    ) -> None:
        attributes = {
            "engine": engine,
            "metadata": metadata,
            "_content": content,
            "_novel": None if novel is None else Novel(novel, metadata.tokenizer),
            "_reconstructor": reconstructor,
        }
        for name, value in attributes.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a model is immutable: cannot set {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a model is immutable: cannot delete {name}")

    def __repr__(self) -> str:
        return f"<Model {self.sha256[:8]}, {self.engine.name}>"

    @property
    def sha256(self) -> str:
        """The SHA-256 of the model file, in hexadecimal."""
        # Computed on first use: most programs do not need it, and importing hashlib takes milliseconds.
        try:
            return self._sha256
        except AttributeError:
            import hashlib

            object.__setattr__(self, "_sha256", hashlib.sha256(self._content).hexdigest())
            return self._sha256

    def with_novel(self, corpus: str) -> Self:
        """Return a model with the same network, whose texts can be kept from copying a corpus.

        The parameter ``max_copy`` then limits how many successive characters or bytes of the corpus a text
        has; a model of words refuses it. It needs up to 20 bytes of memory for each token of the corpus,
        which all texts share. Another value of it makes another table.

        Args:
            corpus: The text, for example that which the model was trained on. It is normalized like prompts.
        """
        novel = self.metadata.normalize(corpus)
        return type(self)(self.engine, self.metadata, self._content, self._reconstructor, novel)

    @property
    def novel(self) -> str | None:
        """The normalized corpus of ``with_novel``, or None."""
        return None if self._novel is None else self._novel.text

    @property
    def novel_digest(self) -> str:
        """A hash of ``novel`` of 16 hexadecimal digits; empty if there is none. Saved generations have it."""
        return "" if self._novel is None else self._novel.digest

    def compile_controls(self, sampling: Sampling) -> Controls:
        """Convert the parameters that are characters and texts to tokens of the model.

        Raises:
            SamplingError: If they do not fit the model.
        """
        return compile_controls(sampling, self.metadata, self._novel)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ModelIdentity):
            return NotImplemented
        if self is other:
            return True
        return (self.engine.name, self.metadata, self._content, self.novel) == (
            other.engine.name,
            other.metadata,
            other._content,
            other.novel,
        )

    def __hash__(self) -> int:
        return hash((self.sha256, self.engine.name))

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> Reconstructor:
        if self._reconstructor is None:
            raise TypeError("cannot pickle a model from Model(): pickle the result of load()")
        if self._novel is None:
            return self._reconstructor
        return _restore_novel, (self._reconstructor, self._novel.text)

    @property
    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the model."""
        return self.metadata.tokenizer

    @property
    def is_raw(self) -> bool:
        """Whether texts keep bytes that are not UTF-8; see ``raw_text.py``."""
        return self.tokenizer.decoding == BYTES_TO_TEXT

    def decode(self, text: bytes, *, is_end: bool = False) -> str:
        """Return a text of the C core as a str. At its end, an incomplete character adds nothing."""
        # A byte is its token.
        is_cut = is_end and self.tokenizer.level == BYTE
        return self.tokenizer.decode(text) if is_cut else text.decode("utf-8", self.tokenizer.decoding)

    @property
    def prompts(self) -> tuple[str, ...]:
        """Excerpts from the corpus, for generation without a prompt.

        Without a prompt, ``start`` continues the excerpt with index ``(seed + substream) % len(prompts)``.
        """
        return self.metadata.prompts

    @property
    def training(self) -> Mapping[str, Any]:
        """The provenance of the model: corpus, split, loss, recipe, versions and date."""
        return self.metadata.training


def _restore_novel(reconstructor: Reconstructor, novel: str) -> ModelIdentity:
    function, arguments = reconstructor
    model: ModelIdentity = function(*arguments)
    return model.with_novel(novel)
