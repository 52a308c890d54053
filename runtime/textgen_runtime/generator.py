"""Text from a model: ``Model``, which is shared, and ``Generation``, which is one running stream."""

import copy
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from ._sampler import Sampler
from .batch import stream_together
from .contract import Contract
from .engine import Engine, Measurements, State, initial_state
from .errors import PromptError
from .vocabulary import UnknownPolicy, Vocabulary

DEFAULT_TEMPERATURE = 0.5
DEFAULT_LENGTH = 400

# A prompt is read in pieces of at most this many characters, so that an interrupt need not wait for its end.
PROMPT_PIECE = 1024

# Text that is streamed comes in pieces of at most this many characters: a fraction of a millisecond with the
# native engine, and alive to the eye with any.
STREAM_PIECE = 64


def fresh_seed() -> int:
    """A new random seed, short enough to be typed again."""
    return secrets.randbits(32)


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded model. Immutable: any number of threads may generate from one at the same time.

    Two models are equal if the same engine runs the same file: they give the same text. A copy is the model
    itself. A pickle holds the content of the file and is opened again as the model was, so that another
    process needs no file.

    Attributes:
        engine: What runs it.
        contract: Its vocabulary, normalisation, prompts and provenance.
        sha256: Of the model file, in hexadecimal: tells models apart.
    """

    engine: Engine
    contract: Contract
    sha256: str
    # What opens it again, for a pickle. dataclasses.replace leaves it out: what that makes is of no file.
    _reopen: "tuple[Callable[..., Model], tuple[Any, ...]] | None" = field(
        default=None, init=False, repr=False
    )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Model):
            return NotImplemented
        return (self.sha256, self.engine.name, self.contract) == (
            other.sha256,
            other.engine.name,
            other.contract,
        )

    def __hash__(self) -> int:
        return hash((self.sha256, self.engine.name))

    def __copy__(self) -> "Model":
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> "Model":
        return self

    def __reduce__(self) -> "tuple[Callable[..., Model], tuple[Any, ...]]":
        if self._reopen is None:
            raise TypeError("cannot pickle a model that was not loaded from a file: use load()")
        return self._reopen

    @property
    def vocabulary(self) -> Vocabulary:
        return self.contract.vocabulary

    @property
    def prompts(self) -> tuple[str, ...]:
        """Snippets of the corpus; without a prompt, seed s starts from number s modulo their count."""
        return self.contract.prompts

    @property
    def training(self) -> Mapping[str, Any]:
        """Where the model comes from: corpus, split, loss, recipe, versions, date."""
        return self.contract.training

    def start(
        self,
        prompt: str | None = None,
        *,
        temperature: float = DEFAULT_TEMPERATURE,
        seed: int | None = None,
        substream: int = 0,
        unknown: UnknownPolicy = "error",
    ) -> "Generation":
        """Read a prompt and be ready to continue it.

        Args:
            prompt: The text to continue; None takes one of the model's own snippets, chosen by
                ``seed`` and ``substream``.
            temperature: 0 or more; low is repetitive and safe, high is surprising, 0 always takes the
                most likely character.
            seed: The same seed gives the same text; None draws a fresh one.
            substream: Which of several texts of the same seed this is; each is independent.
            unknown: What to do about characters outside the vocabulary: ``"skip"`` leaves them out;
                ``"error"`` reads them as the model's unknown symbol, and is an error only where the model
                has none.

        Raises:
            PromptError: If the prompt is empty, or holds unknown characters that are neither skipped nor
                read as the unknown symbol.
            SamplingError: If the temperature, seed or substream is not as stated.
            TypeError: If the prompt is not a string; ``generate`` takes several.
        """
        if prompt is not None and not isinstance(prompt, str):
            hint = "; generate() takes several" if _is_several(prompt) else ""
            raise TypeError(f"the prompt must be a str, not {type(prompt).__name__}{hint}")
        seed = fresh_seed() if seed is None else seed
        sampler = Sampler(temperature, seed, substream)
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
        temperature: float = ...,
        seed: int | None = ...,
        unknown: UnknownPolicy = ...,
    ) -> str: ...

    @overload
    def generate(
        self,
        prompt: Sequence[str],
        *,
        length: int = ...,
        temperature: float = ...,
        seed: int | None = ...,
        unknown: UnknownPolicy = ...,
    ) -> list[str]: ...

    def generate(
        self,
        prompt: str | Sequence[str] | None = None,
        *,
        length: int = DEFAULT_LENGTH,
        temperature: float = DEFAULT_TEMPERATURE,
        seed: int | None = None,
        unknown: UnknownPolicy = "error",
    ) -> str | list[str]:
        """Continue a prompt by ``length`` characters and return them, without the prompt.

        A sequence of prompts, such as a list or a tuple, gives a list of texts. They are continued together,
        which with the native engine takes far less than one after another; number i is substream i of the
        seed, and its text does not depend on the others. The other arguments and the errors are those of
        ``start``.
        """
        if prompt is None or isinstance(prompt, str):
            return self.start(prompt, temperature=temperature, seed=seed, unknown=unknown).take(length)
        if not _is_several(prompt):
            raise TypeError(
                f"the prompt must be a str or a sequence of str, such as a list, not {type(prompt).__name__}"
            )
        seed = fresh_seed() if seed is None else seed
        generations = [
            self.start(each, temperature=temperature, seed=seed, substream=i, unknown=unknown)
            for i, each in enumerate(prompt)
        ]
        if not generations:
            return []
        pieces = stream_together(generations, length, self.engine.piece(len(generations)))
        return ["".join(text) for text in zip(*pieces, strict=True)] or [""] * len(generations)

    def stream(
        self,
        prompt: str | None = None,
        *,
        length: int = DEFAULT_LENGTH,
        temperature: float = DEFAULT_TEMPERATURE,
        seed: int | None = None,
        unknown: UnknownPolicy = "error",
    ) -> Iterator[str]:
        """Yield what ``generate`` would return, piece by piece as it is made.

        The prompt is read, and errors are raised, by the call itself and not by the first piece.
        """
        return self.start(prompt, temperature=temperature, seed=seed, unknown=unknown).stream(length)

    def _own_prompt(self, number: int) -> str:
        if not self.prompts:
            raise PromptError("the model brings no prompts of its own: give one")
        return self.prompts[number % len(self.prompts)]


def read_prompt(engine: Engine, tokens: NDArray[np.int64], state: State) -> tuple[NDArray[np.float32], State]:
    """Let one stream read tokens, in pieces that an interrupt can wait for.

    Args:
        engine: Runs the model.
        tokens: Shape [tokens], int64; at least one.
        state: Of the stream.

    Returns:
        The logits after the last token, shape [vocabulary], float32, and the state there.
    """
    piece = min(PROMPT_PIECE, engine.piece(1))
    for start in range(0, len(tokens), piece):
        part = tokens[start : start + piece, np.newaxis]
        logits, state = engine.step(part, state, last_only=True)
    return logits[-1, 0], state


def _is_several(prompt: object) -> bool:
    """Whether it is a sequence that may be of prompts."""
    return isinstance(prompt, Sequence) and not isinstance(prompt, str | bytes | bytearray)


class Generation:
    """One running stream of text.

    After each call the state has read all the text so far, and the logits say what may come next.
    Not to be shared between threads; ``copy`` gives another one its own.

    Attributes:
        model: The model that writes it.
        sampler: What draws from the logits; its temperature may be set at any time.
        prompt: The text it started from, in the model's normalised form.
        state: What the model remembers; shapes [layers, 1, units].
        logits: Of the next character; shape [vocabulary], float32. That of the unknown symbol, if the model
            has one, is minus infinity: it is never drawn.
        measurements: Where to add up what decoding takes; None, which saves the effort, unless set.
    """

    model: Model
    sampler: Sampler
    prompt: str
    state: State
    logits: NDArray[np.float32]
    measurements: Measurements | None = None

    def __init__(self, model: Model, sampler: Sampler, prompt: str, unknown: UnknownPolicy = "error") -> None:
        self.model = model
        self.sampler = sampler
        self.state = initial_state(model.engine)
        self.prompt = self.feed(prompt, unknown)

    def feed(self, text: str, unknown: UnknownPolicy = "error") -> str:
        """Let the model read a text, as if it had written it.

        Args:
            text: What to read.
            unknown: What to do about characters outside the vocabulary, as for ``Model.start``.

        Returns:
            What it read: the text in the model's normalised form, without the unknown characters, which were
            skipped or read as the unknown symbol.

        Raises:
            PromptError: If there is nothing to read, or characters are unknown and neither skipped nor read
                as the unknown symbol.
        """
        vocabulary = self.model.vocabulary
        tokens = vocabulary.encode(self.model.contract.normalization.apply(text), unknown)
        if not len(tokens):
            reason = "none of its characters is known to the model" if text else "it is empty"
            raise PromptError(f"the prompt gives the model nothing to read: {reason}")
        logits, self.state = read_prompt(self.model.engine, tokens, self.state)
        self.logits = logits.copy()
        if vocabulary.unknown is not None:
            self.logits[vocabulary.unknown] = -np.inf
        return vocabulary.decode(tokens)

    def take(self, length: int) -> str:
        """The next ``length`` characters.

        Raises:
            ValueError: If ``length`` is negative.
            SamplingError: If the model's logits are not finite.
        """
        return "".join(self._pieces(length, self.model.engine.piece(1)))

    def stream(self, length: int) -> Iterator[str]:
        """Yield the next ``length`` characters as they are made, in pieces of at most ``STREAM_PIECE``.

        What changes in between, such as the sampler's temperature, takes effect with the next piece.

        Raises:
            ValueError: If ``length`` is negative.
            SamplingError: If the model's logits are not finite.
        """
        return self._pieces(length, min(STREAM_PIECE, self.model.engine.piece(1)))

    def _pieces(self, length: int, piece: int) -> Iterator[str]:
        return (texts[0] for texts in stream_together([self], length, piece))

    def copy(self) -> "Generation":
        """A stream that goes on from here exactly as this one would, and apart from it.

        ``copy.copy`` and ``copy.deepcopy`` do the same, and a pickle does so in another process.
        """
        twin = object.__new__(Generation)
        twin.__dict__.update(self.__dict__)
        twin.sampler = copy.copy(self.sampler)
        return twin

    __copy__ = copy
