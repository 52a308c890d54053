"""What the tokenizers of all levels share, and the simplest of them: one token for each character."""

from array import array
from collections import Counter
from collections.abc import Container, Iterable, Sequence
from typing import ClassVar

from textgen_runtime.errors import Name, PromptError

from .token_names import format_symbols
from .tokenizer import CHARACTER, NO_SPECIAL_TOKENS, OUTSIDE, REPLACEMENT, SpecialTokens, UnknownPolicy


class Vocabulary:
    """The symbols of a tokenizer. The token of a symbol is its index.

    Args:
        symbols: The symbols in the order of their tokens. The entry of each special token is ``""``.
        special: The special tokens.

    Attributes:
        symbols: The symbols in the order of their tokens.
        special: The special tokens.

    Raises:
        ValueError: If the special tokens do not fit the symbols.
    """

    level: ClassVar[str]
    decoding: ClassVar[str] = "replace"

    def __init__(self, symbols: Iterable[str], special: SpecialTokens = NO_SPECIAL_TOKENS) -> None:
        self.symbols = tuple(symbols)
        special.check(self.symbols)
        self.special = special

    @property
    def unknown(self) -> int | None:
        """The token of the unknown symbol, or None."""
        return self.special.unknown

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocabulary):
            return NotImplemented
        return (self.level, self.symbols, self.special) == (other.level, other.symbols, other.special)

    def __hash__(self) -> int:
        return hash((self.level, self.symbols, self.special))

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to text. Special tokens add no text."""
        return "".join(map(self.symbols.__getitem__, tokens))

    def decode_each(self, tokens: Iterable[int]) -> Sequence[str]:
        """Return the text of each token; U+FFFD, the replacement character, for a special token."""
        return [self.symbols[token] or REPLACEMENT for token in tokens]


def check_policy(unknown: UnknownPolicy) -> None:
    """Check the name of a policy for symbols outside the vocabulary.

    Raises:
        ValueError: If it is neither ``"error"`` nor ``"skip"``.
    """
    if unknown not in ("error", "skip"):
        raise ValueError(f"unknown must be 'error' or 'skip', not {unknown!r}")


def unknown_characters_error(characters: Counter[str], known: Container[str]) -> PromptError:
    """Return the error for characters outside the vocabulary. The message names them, and what to do.

    Args:
        characters: The characters.
        known: The characters of the vocabulary.
    """
    unknown = sorted(characters)
    message = f"not in the model's vocabulary: {format_symbols(unknown)}"
    if any("\udc80" <= character <= "\udcff" for character in unknown):
        # Python decodes bytes of arguments so if the encoding of the locale lacks them.
        return PromptError(
            f"{message}; characters from U+DC80 to U+DCFF stand for bytes that are invalid in UTF-8 or in "
            "the encoding of the locale: convert the text to UTF-8, and use a UTF-8 locale"
        )
    skip = ("skip them with ", Name("unknown", "skip"))
    lowercase = ("use ", Name("lowercase"))
    capitals = [
        character
        for character in unknown
        if character.lower() != character and all(part in known for part in character.lower())
    ]
    if capitals == unknown:
        return PromptError(f"{message}; the vocabulary has their lower case: ", *lowercase)
    if capitals:
        return PromptError(
            f"{message}; the vocabulary has the lower case of {format_symbols(capitals)}: ",
            *lowercase,
            "; remove the other characters, or ",
            *skip,
        )
    return PromptError(f"{message}; remove them, or ", *skip)


def unknown_characters_warning(characters: Counter[str], policy: UnknownPolicy) -> str:
    """Return the warning about characters of prompts that are outside the vocabulary and were accepted.

    Args:
        characters: The characters, and how often each occurs.
        policy: What was done with them, as for ``Tokenizer.encode``.
    """
    count = characters.total()
    subject, were = ("characters are", "were") if count > 1 else ("character is", "was")
    effect = "skipped" if policy == "skip" else "fed as the unknown symbol"
    names = format_symbols(sorted(characters))
    return f"{count:,} prompt {subject} outside the vocabulary and {were} {effect}: {names}"


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

    def encode_known(self, text: str) -> "array[int]":
        """Convert a text to tokens, with -1 for each character outside; see ``Tokenizer.encode_known``."""
        return array("q", [self._tokens.get(symbol, OUTSIDE) for symbol in text])

    def count_unknown(self, text: str) -> Counter[str]:
        """Count how often each character outside the vocabulary occurs in a normalized text."""
        return Counter(symbol for symbol in text if symbol not in self._tokens)

    def decode_each(self, tokens: Iterable[int]) -> str:
        """Return one character for each token; U+FFFD, the replacement character, for a special token."""
        return "".join([self.symbols[token] or REPLACEMENT for token in tokens])
