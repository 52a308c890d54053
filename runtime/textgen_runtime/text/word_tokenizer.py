"""The word-level tokenizer: one token for each frequent word, and one for each character of other words."""

import re
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache, cached_property

from .tokenizer import NO_SPECIAL_TOKENS, OUTSIDE, WORD, SpecialTokens, UnknownPolicy
from .vocabulary import Vocabulary, check_policy, unknown_characters_error

# The maximum number of characters of a symbol. Encoding takes time in proportion to it.
MAX_SYMBOL_LENGTH = 64

# What a symbol of several characters may contain. The class does not depend on the version of Unicode, so
# that all versions of Python, and the C core, accept the same vocabularies and find the same tokens.
_WORD_CHARACTERS = r"0-9A-Za-z_\u0080-\U0010ffff"
_WORD = re.compile(rf" ?[{_WORD_CHARACTERS}]+")
_CHUNK = re.compile(rf"{_WORD.pattern}|[^{_WORD_CHARACTERS}]")

# The tokens of chunks are kept for the next occurrence. The limits bound the memory to about 50 MB.
MAX_CACHED_CHUNKS = 2**18
MAX_CACHED_LENGTH = 32


class WordTokenizer(Vocabulary):
    """A tokenizer whose tokens are words, each with the space before it, and single characters.

    A text is encoded from left to right, each time as the longest symbol that matches. A text decodes to
    itself, because its tokens are consecutive parts of it. Characters outside the vocabulary are encoded as
    the unknown symbol if there is one.

    Args:
        symbols: Single characters, and words of up to 64 characters; see ``is_symbol``.
        special: The special tokens.
    """

    level = WORD

    def __init__(self, symbols: Iterable[str], special: SpecialTokens = NO_SPECIAL_TOKENS) -> None:
        super().__init__(symbols, special)
        self._tokens = {symbol: token for token, symbol in enumerate(self.symbols) if symbol}
        self._max_length = max(map(len, self.symbols), default=1)
        self._chunks = _ChunkCache(self._match)

    @classmethod
    def is_symbol(cls, text: str) -> bool:
        """Return whether a text is one character, or a word of at most 64 characters.

        A word consists of letters, digits, underscores and characters outside ASCII. One space may precede
        it.
        """
        return len(text) == 1 or (len(text) <= MAX_SYMBOL_LENGTH and _WORD.fullmatch(text) is not None)

    def can_encode(self, text: str) -> bool:
        """Return whether a normalized text can be encoded without the unknown symbol."""
        return OUTSIDE not in self.encode_known(text)

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Convert a text to tokens, each time the longest symbol that matches; see ``Tokenizer.encode``."""
        check_policy(unknown)
        tokens = self.encode_known(text)
        if OUTSIDE not in tokens:
            return tokens
        if unknown == "skip":
            return array("q", [token for token in tokens if token != OUTSIDE])
        if self.unknown is None:
            raise unknown_characters_error(self.count_unknown(text), self._tokens)
        return array("q", [self.unknown if token == OUTSIDE else token for token in tokens])

    def count_unknown(self, text: str) -> Counter[str]:
        """Count how often each character that cannot be encoded occurs in a normalized text."""
        counts: Counter[str] = Counter()
        position = 0
        for token in self.encode_known(text):
            if token == OUTSIDE:
                counts[text[position]] += 1
            position += 1 if token == OUTSIDE else len(self.symbols[token])
        return counts

    def encode_known(self, text: str) -> "array[int]":
        """Convert a text to tokens, with -1 for each character outside; see ``Tokenizer.encode_known``."""
        tokens = array("q")
        tokens.frombytes(b"".join(map(self._chunks.__getitem__, _CHUNK.findall(text))))
        return tokens

    def _match(self, chunk: str) -> "array[int]":
        """Return the tokens of a chunk. No symbol crosses the border of a chunk.

        A stored prompt may have a million characters. Whatever symbols a file has, each token takes two
        binary searches.
        """
        symbols, lengths = self._sorted_symbols
        tokens = array("q")
        position = 0
        while position < len(chunk):
            rest = chunk[position : position + self._max_length]
            found = _prefix_lengths(symbols, lengths, bisect_right(symbols, rest), rest)
            length = max(1, found.bit_length() - 1)
            tokens.append(self._tokens.get(rest[:length], OUTSIDE))
            position += length
        return tokens

    @cached_property
    def _sorted_symbols(self) -> tuple[list[str], list[int]]:
        """The sorted symbols, and for each the lengths of the symbols that are prefixes of it, as bits."""
        symbols = sorted(self._tokens)
        lengths: list[int] = []
        for count, symbol in enumerate(symbols):
            lengths.append(_prefix_lengths(symbols, lengths, count, symbol) | 1 << len(symbol))
        return symbols, lengths


def _prefix_lengths(symbols: list[str], lengths: list[int], count: int, text: str) -> int:
    """Return the lengths of the symbols that are prefixes of a text, as bits.

    Args:
        symbols: The sorted symbols.
        lengths: The lengths for each of the first ``count`` symbols.
        count: Number of symbols that are not greater than the text. Each prefix of the text among the symbols
            is also a prefix of the last of them.
        text: A text of at most ``MAX_SYMBOL_LENGTH`` characters.
    """
    if not count:
        return 0
    return lengths[count - 1] & (2 << _common_length(symbols[count - 1], text)) - 1


def _common_length(a: str, b: str) -> int:
    """Return the length of the common prefix of two texts."""
    if b.startswith(a):
        return len(a)
    shortest, longest = 0, min(len(a), len(b))
    while shortest < longest:
        middle = (shortest + longest + 1) // 2
        if a[:middle] == b[:middle]:
            shortest = middle
        else:
            longest = middle - 1
    return shortest


@cache
def piece_pattern() -> re.Pattern[str]:
    """Return the expression of the pieces of a text that can become symbols of a vocabulary.

    It cuts a text into words, each with the space before it, and other characters. A symbol of a vocabulary
    that is made of pieces never matches across the border of a piece, so a text may be cut there before
    encoding. Only training needs it, and its table takes time, so the first call makes it.
    """
    from unicodedata import category

    # Combining marks and the two joiners continue a word: most words in Hindi have some.
    marks = "".join(chr(code) for code in range(0x300, 0x1F000) if category(chr(code))[0] == "M")
    # The first alternative matches the same words as the second, in a third of the time.
    return re.compile(rf" ?[0-9A-Za-z_]++(?![^\x00-\x7f])| ?\w+(?:[{marks}\u200c\u200d]+\w*)*|.", re.DOTALL)


class _ChunkCache(dict[str, bytes]):
    """The tokens of chunks, as the bytes of an array. A missing chunk is matched."""

    def __init__(self, match: "Callable[[str], array[int]]") -> None:
        super().__init__()
        self._match = match

    def __missing__(self, chunk: str) -> bytes:
        tokens = self._match(chunk).tobytes()
        if len(chunk) <= MAX_CACHED_LENGTH and len(self) < MAX_CACHED_CHUNKS:
            self[chunk] = tokens
        return tokens
