"""The byte-level tokenizer: one token for each byte of the UTF-8 text."""

import codecs
from array import array
from collections import Counter
from collections.abc import Iterable

from textgen_runtime.errors import PromptError

from .tokenizer import BYTE, NO_SPECIAL_TOKENS, OUTSIDE, SpecialTokens, UnknownPolicy
from .vocabulary import Vocabulary, check_policy, unknown_characters_error

# The vocabulary entry of byte n is U+00n. Special tokens follow.
BYTE_SYMBOLS = tuple(map(chr, range(256)))

# Bytes that are not UTF-8 are U+DC80 to U+DCFF in a text that is encoded, so that any file can be encoded.
BYTES_TO_TEXT = "surrogateescape"


class ByteTokenizer(Vocabulary):
    """A tokenizer whose tokens are bytes of UTF-8. The token of a byte is its value.

    Bytes that are not UTF-8 can be encoded: ``bytes.decode("utf-8", "surrogateescape")`` represents them in a
    text. In decoded text, they become U+FFFD, the replacement character.

    Args:
        symbols: ``BYTE_SYMBOLS``, then ``""`` for each special token.
        special: The special tokens; ``unknown`` must be None, because every byte is in the vocabulary.

    Raises:
        ValueError: If the symbols or the special tokens are others.
    """

    level = BYTE

    def __init__(
        self, symbols: Iterable[str] = BYTE_SYMBOLS, special: SpecialTokens = NO_SPECIAL_TOKENS
    ) -> None:
        super().__init__(symbols, special)
        if special.unknown is not None:
            raise ValueError("a vocabulary of bytes has no unknown symbol")
        if self.symbols != (*BYTE_SYMBOLS, *("" for _ in special.by_name)):
            raise ValueError("a vocabulary of bytes must be U+0000 to U+00FF, then the special tokens")

    def can_encode(self, text: str) -> bool:
        """Return whether a text can be encoded: all but one that has a half of a surrogate pair."""
        return not self.count_unknown(text)

    def encode(self, text: str, unknown: UnknownPolicy = "error") -> "array[int]":
        """Convert a text to tokens, one for each byte; see ``Tokenizer.encode``."""
        check_policy(unknown)
        try:
            return array("q", iter(text.encode("utf-8", BYTES_TO_TEXT)))
        except UnicodeEncodeError:
            characters = self.count_unknown(text)
            if unknown == "error":
                raise unknown_characters_error(characters, ()) from None
        return self.encode("".join([character for character in text if character not in characters]))

    def encode_known(self, text: str) -> "array[int]":
        """Convert a text to tokens, with -1 for each half of a pair; see ``Tokenizer.encode_known``."""
        try:
            return self.encode(text)
        except PromptError:
            tokens = array("q")
            for character in text:
                tokens.extend([OUTSIDE] if _is_half_pair(character) else self.encode(character))
            return tokens

    def count_unknown(self, text: str) -> Counter[str]:
        """Count the halves of surrogate pairs in a text, which are no bytes."""
        return Counter(character for character in text if _is_half_pair(character))

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to text. An incomplete character at the end adds no text."""
        content = _bytes_of(tokens)
        return content[: len(content) - _incomplete(content)].decode("utf-8", "replace")

    def decode_each(self, tokens: Iterable[int]) -> list[str]:
        """Return the text of each token: a character belongs to its last byte, and other bytes are empty.

        A byte after which earlier bytes turn out to be invalid also has U+FFFD for them.
        """
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        return [decoder.decode(_bytes_of((token,))) for token in tokens]


class RawByteTokenizer(ByteTokenizer):
    """A tokenizer of bytes whose decoded text keeps those that are not UTF-8, as U+DC80 to U+DCFF.

    ``str.encode("utf-8", "surrogateescape")`` returns the bytes of such a text.
    """

    decoding = BYTES_TO_TEXT

    def decode(self, tokens: Iterable[int]) -> str:
        """Convert tokens to text."""
        return _bytes_of(tokens).decode("utf-8", self.decoding)


def _incomplete(data: bytes) -> int:
    """Return how many of the last bytes are the beginning of a character, as the C core does."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    decoder.decode(data[-3:])
    beginning, _ = decoder.getstate()
    # Python also waits after the first two bytes of half of a surrogate pair, which is no character.
    return 0 if beginning[:1] == b"\xed" and beginning[1:] >= b"\xa0" else len(beginning)


def _bytes_of(tokens: Iterable[int]) -> bytes:
    return (
        tokens
        if isinstance(tokens, bytes)
        else bytes([token for token in tokens if token < len(BYTE_SYMBOLS)])
    )


def texts_of_bytes(characters: Iterable[str]) -> list[str]:
    """Return the text of each byte of a text: a character belongs to its last byte, others are empty.

    Bytes that are not UTF-8 are U+DC80 to U+DCFF.
    """
    texts: list[str] = []
    for character in characters:
        texts += [""] * (len(character.encode("utf-8", BYTES_TO_TEXT)) - 1)
        texts.append(character)
    return texts


def _is_half_pair(character: str) -> bool:
    return "\ud800" <= character <= "\udfff" and not "\udc80" <= character <= "\udcff"
