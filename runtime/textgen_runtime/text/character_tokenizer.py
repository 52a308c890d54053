"""The character-level tokenizer: one token for each character."""

from array import array
from collections import Counter
from collections.abc import Iterable
from typing import Self

from textgen_runtime.errors import PromptError

from .symbols import format_symbols
from .tokenizer import UnknownPolicy

CHARACTER = "character"

REPLACEMENT = "\ufffd"


class CharacterTokenizer:
    """A tokenizer whose tokens are characters. The token of a character is its index in the vocabulary.

    Args:
        symbols: The characters in the order of their tokens. The unknown symbol is ``""``.
        unknown: The token of the unknown symbol, or None for a vocabulary without one. Characters outside the
            vocabulary are encoded as this token. The token is scored like any other, but never drawn.

    Attributes:
        symbols: The characters in the order of their tokens.
        unknown: The token of the unknown symbol, or None.

    Raises:
        ValueError: If ``unknown`` is not a token.
    """

    level = CHARACTER

    def __init__(self, symbols: Iterable[str], unknown: int | None = None) -> None:
        self.symbols = tuple(symbols)
        if unknown is not None and not 0 <= unknown < len(self.symbols):
            raise ValueError(f"unknown must be a token in [0, {len(self.symbols)}), not {unknown}")
        self.unknown = unknown
        self._tokens = {symbol: token for token, symbol in enumerate(self.symbols) if token != unknown}

    @classmethod
    def is_symbol(cls, text: str) -> bool:
        """Return whether a text is one character."""
        return len(text) == 1

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, CharacterTokenizer):
            return NotImplemented
        return (self.symbols, self.unknown) == (other.symbols, other.unknown)

    def __hash__(self) -> int:
        return hash((self.symbols, self.unknown))

    def can_encode(self, text: str) -> bool:
        """Return whether all characters of a text are in the vocabulary."""
        return all(symbol in self._tokens for symbol in text)

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Convert a text to tokens, one for each character; see ``Tokenizer.encode``."""
        if unknown not in ("error", "skip"):
            raise ValueError(f"unknown must be 'error' or 'skip', not {unknown!r}")
        default = self.unknown if unknown == "error" else None
        tokens = [self._tokens.get(symbol, default) for symbol in text]
        if unknown == "error" and None in tokens:
            raise PromptError(self._unknown_message(sorted(self.count_unknown(text))))
        return array("q", [token for token in tokens if token is not None])

    def count_unknown(self, text: str) -> Counter[str]:
        """Count how often each character outside the vocabulary occurs in a normalized text."""
        return Counter(symbol for symbol in text if symbol not in self._tokens)

    def _unknown_message(self, unknown: list[str]) -> str:
        message = f"not in the model's vocabulary: {format_symbols(unknown)}"
        lowercase = "use prompt.lower() (command line: --lowercase)"
        skip = 'skip them with unknown="skip" (command line: --unknown skip)'
        capitals = [symbol for symbol in unknown if self._is_capital_of_known(symbol)]
        if capitals == unknown:
            return f"{message}; the vocabulary has their lower case: {lowercase}"
        if capitals:
            return (
                f"{message}; the vocabulary has the lower case of {format_symbols(capitals)}: {lowercase}; "
                f"remove the other characters, or {skip}"
            )
        return f"{message}; remove them, or {skip}"

    def _is_capital_of_known(self, symbol: str) -> bool:
        return symbol.lower() != symbol and self.can_encode(symbol.lower())

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to text. The unknown symbol adds no text."""
        return "".join([self.symbols[token] for token in tokens])

    def decode_each(self, tokens: Iterable[int]) -> str:
        """Return one character for each token; U+FFFD, the replacement character, for the unknown symbol."""
        return "".join([self.symbols[token] or REPLACEMENT for token in tokens])

    def decoder(self) -> "CharacterDecoder":
        """Return a decoder for one text."""
        return CharacterDecoder(self)


class CharacterDecoder:
    """A decoder without state: the text of a character token does not depend on other tokens."""

    tail = ()

    def __init__(self, tokenizer: CharacterTokenizer) -> None:
        self.decode = tokenizer.decode

    def finish(self) -> str:
        """Return an empty string, because no text is held back."""
        return ""

    def copy(self) -> Self:
        """Return the decoder itself, because it has no state."""
        return self
