"""Text to tokens and back.

``textgen.level`` in a model file says which tokenizer it was trained with. All code but this module works
with tokens, and does not assume that a token is one character.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal, Protocol, Self, TypeAlias

from textgen_runtime.errors import PromptError

UnknownPolicy: TypeAlias = Literal["error", "skip"]

UNKNOWN_LISTED = 10

REPLACEMENT = "\ufffd"

CHARACTER = "character"


class TextDecoder(Protocol):
    """Decodes the tokens of one text as they come.

    What it has returned never changes: where the text of a token depends on the tokens after it, such as a
    byte of a character, the decoder holds it back.
    """

    @property
    def tail(self) -> Sequence[int]:
        """The last tokens, as many as a new decoder must read to go on as this one would.

        They are what a saved generation keeps of its decoder. What the new decoder returns for them was
        returned before.
        """
        ...

    def decode(self, tokens: Iterable[int]) -> str:
        """The text that these tokens add; it may hold the end back."""
        ...

    def finish(self) -> str:
        """What is held back, where a text ends; tokens that are decoded after it go on behind it."""
        ...

    def copy(self) -> Self:
        """A decoder that goes on from here, and apart from this one."""
        ...


class Tokenizer(Protocol):
    """Text to tokens and back. Immutable; two that encode alike are equal."""

    @property
    def level(self) -> str:
        """What a token is, such as "character": the ``textgen.level`` of model files."""
        ...

    @property
    def symbols(self) -> tuple[str, ...]:
        """The texts of the tokens, by token; that of the unknown symbol is ``""``."""
        ...

    @property
    def unknown(self) -> int | None:
        """The token of the unknown symbol, or None."""
        ...

    @classmethod
    def is_symbol(cls, text: str) -> bool:
        """Whether a text, which is not empty, can be a symbol."""
        ...

    def __len__(self) -> int:
        """How many tokens there are."""
        ...

    def knows(self, text: str) -> bool:
        """Whether a text, already normalised, can be encoded without the unknown symbol."""
        ...

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Tokens of a text.

        Args:
            text: Any text, already normalised.
            unknown: What to do about what the model does not know: ``"error"`` or ``"skip"``. A tokenizer
                with an unknown symbol reads it as that symbol in place of an error.

        Returns:
            The tokens, of type code ``q`` (int64); ``np.asarray`` takes them without copying.

        Raises:
            PromptError: If something is unknown and is not to be skipped; it says what.
            ValueError: If ``unknown`` is neither of the two.
        """
        ...

    def unknown_in(self, text: str) -> Counter[str]:
        """How often each part that the model does not know is in a text, already normalised."""
        ...

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens, each in [0, len(self)); the unknown symbol has none."""
        ...

    def decode_each(self, tokens: Iterable[int]) -> Sequence[str]:
        """The text of each token on its own: U+FFFD, "replacement", for the unknown symbol."""
        ...

    def decoder(self) -> TextDecoder:
        """A decoder for one text, from its start."""
        ...


class CharacterTokenizer:
    """The characters that a model knows; a character's place among them is its token.

    Args:
        symbols: The characters; the entry of the unknown symbol is ``""``.
        unknown: The token that stands for every character that is not among the symbols, or None if there is
            no such token. It is read and scored like any other, and never drawn.

    Attributes:
        symbols: The characters, by token.
        unknown: The token of the unknown symbol, or None.

    Raises:
        ValueError: If ``unknown`` is not a token.
    """

    level = CHARACTER

    def __init__(self, symbols: Iterable[str], unknown: int | None = None) -> None:
        self.symbols = tuple(symbols)
        if unknown is not None and not 0 <= unknown < len(self.symbols):
            raise ValueError(f"unknown must be a token, one of {len(self.symbols)}, not {unknown}")
        self.unknown = unknown
        self._ids = {symbol: token for token, symbol in enumerate(self.symbols) if token != unknown}

    @classmethod
    def is_symbol(cls, text: str) -> bool:
        """Whether it is one character."""
        return len(text) == 1

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CharacterTokenizer):
            return NotImplemented
        return (self.symbols, self.unknown) == (other.symbols, other.unknown)

    def __hash__(self) -> int:
        return hash((self.symbols, self.unknown))

    def knows(self, text: str) -> bool:
        """Whether all characters of a text are in the vocabulary."""
        return all(symbol in self._ids for symbol in text)

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Tokens of a text, one for each character; the rest is as ``Tokenizer`` states."""
        if unknown not in ("error", "skip"):
            raise ValueError(f"unknown must be 'error' or 'skip', not {unknown!r}")
        stranger = self.unknown if unknown == "error" else None
        found = [self._ids.get(symbol, stranger) for symbol in text]
        if unknown == "error" and None in found:
            raise PromptError(self._refusal(sorted(self.unknown_in(text))))
        return array("q", [token for token in found if token is not None])

    def unknown_in(self, text: str) -> Counter[str]:
        """How often each character that the model does not know is in a text, already normalised."""
        return Counter(symbol for symbol in text if symbol not in self._ids)

    def _refusal(self, unknown: list[str]) -> str:
        """What the model does not know, and what to do about it."""
        capitals = [symbol for symbol in unknown if self._knows_in_lower_case(symbol)]
        lowercase = "prompt.lower(), on the command line --lowercase"
        if capitals == unknown:
            return (
                f"the model does not know {describe(unknown)}, but it knows the lower case: use {lowercase}"
            )
        known, rest = "", "them"
        if capitals:
            known, rest = f"; it knows the lower case of {describe(capitals)}: use {lowercase}", "the others"
        return (
            f"the model does not know {describe(unknown)}{known}; leave {rest} out, or have them skipped "
            '(unknown="skip", on the command line --unknown skip)'
        )

    def _knows_in_lower_case(self, symbol: str) -> bool:
        return symbol.lower() != symbol and not self.unknown_in(symbol.lower())

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens, each in [0, len(self)); the unknown symbol has none."""
        return "".join([self.symbols[token] for token in tokens])

    def decode_each(self, tokens: Iterable[int]) -> str:
        """A text of one character for each token: U+FFFD, "replacement", for the unknown symbol."""
        return "".join([self.symbols[token] or REPLACEMENT for token in tokens])

    def decoder(self) -> "CharacterDecoder":
        """A decoder for one text."""
        return CharacterDecoder(self)


class CharacterDecoder:
    """Holds nothing back, since each token is a character. It has no state, so that a copy is itself."""

    tail = ()

    def __init__(self, tokenizer: CharacterTokenizer) -> None:
        self.decode = tokenizer.decode

    def finish(self) -> str:
        """Nothing."""
        return ""

    def copy(self) -> Self:
        """The same."""
        return self


# By textgen.level. Each takes the symbols, and the token of the unknown symbol or None.
TOKENIZERS: dict[str, Any] = {CHARACTER: CharacterTokenizer}


def unit_of(tokenizer: Tokenizer) -> str:
    """What to call a token in a report: a character, where each is one."""
    return CHARACTER if tokenizer.level == CHARACTER else "token"


def describe(symbols: list[str]) -> str:
    """Name symbols so that they can be told apart: 'é' (U+00E9), ..."""
    named = [f"{symbol!r} ({code_points(symbol)})" for symbol in symbols[:UNKNOWN_LISTED]]
    more = len(symbols) - len(named)
    return ", ".join(named) + (f" and {more} more" if more else "")


def code_points(symbol: str) -> str:
    """The code points of a text, such as U+00E9."""
    return " ".join([f"U+{ord(character):04X}" for character in symbol])
