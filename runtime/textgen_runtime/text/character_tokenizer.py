"""The character-level tokenizer: one token for each character."""

from array import array
from collections import Counter
from collections.abc import Iterable

from .levels import CHARACTER
from .special_tokens import NO_SPECIAL_TOKENS, SpecialTokens
from .tokenizer import UnknownPolicy
from .vocabulary import REPLACEMENT, Vocabulary, check_policy, unknown_characters_error


class CharacterTokenizer(Vocabulary):
    """A tokenizer whose tokens are characters. The token of a character is its index in the vocabulary.

    Characters outside the vocabulary are encoded as the unknown symbol if there is one.
    """

    level = CHARACTER

    def __init__(self, symbols: Iterable[str], special: SpecialTokens = NO_SPECIAL_TOKENS) -> None:
        super().__init__(symbols, special)
        self._tokens = {symbol: token for token, symbol in enumerate(self.symbols) if symbol}

    def can_encode(self, text: str) -> bool:
        """Return whether all characters of a text are in the vocabulary."""
        return all(symbol in self._tokens for symbol in text)

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Convert a text to tokens, one for each character; see ``Tokenizer.encode``."""
        check_policy(unknown)
        default = self.unknown if unknown == "error" else None
        tokens = [self._tokens.get(symbol, default) for symbol in text]
        if unknown == "error" and None in tokens:
            raise unknown_characters_error(self.count_unknown(text), self._tokens)
        return array("q", [token for token in tokens if token is not None])

    def count_unknown(self, text: str) -> Counter[str]:
        """Count how often each character outside the vocabulary occurs in a normalized text."""
        return Counter(symbol for symbol in text if symbol not in self._tokens)

    def decode_each(self, tokens: Iterable[int]) -> str:
        """Return one character for each token; U+FFFD, the replacement character, for a special token."""
        return "".join([self.symbols[token] or REPLACEMENT for token in tokens])
