"""The symbols of a text that is read in parts: their counts, and encoders of large texts by level."""

import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.text.byte_tokenizer import BYTES_TO_TEXT
from textgen_runtime.text.tokenizer import BYTE, WORD, Tokenizer
from textgen_runtime.text.word_tokenizer import MAX_SYMBOL_LENGTH

from .tokens import Tokens, count_tokens, symbol_lengths

CODE_POINTS = sys.maxunicode + 1
ASCII_SIZE = 256


def code_points(text: str) -> Tokens:
    """Return the code points of a text, shape [characters]: uint8 if it is ASCII, else uint32."""
    if text.isascii():
        return np.frombuffer(text.encode(), np.uint8)
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.dtype("<u4"))


def count_symbols(chunks: Iterable[str]) -> NDArray[np.int64]:
    """Return how often each character occurs in a text, by code point; shape [``CODE_POINTS``], int64."""
    counts = np.zeros(CODE_POINTS, np.int64)
    for chunk in chunks:
        codes = code_points(chunk)
        size = ASCII_SIZE if codes.dtype == np.uint8 else int(codes.max()) + 1
        counts[:size] += count_tokens(codes, size)
    return counts


def symbol_count(tokenizer: Tokenizer) -> int:
    """Return the number of symbols of a vocabulary.

    The unknown symbol counts; ``begin`` and ``end`` do not.
    """
    return sum(map(bool, tokenizer.symbols)) + (tokenizer.unknown is not None)


class Encoder(ABC):
    """Encodes one text, or the records of one list, with one token per symbol."""

    @abstractmethod
    def encode_all(self, texts: Sequence[str], end: int | None) -> Tokens:
        """Return the tokens of several texts, shape [tokens]. The last ones may be held back.

        Args:
            texts: Consecutive parts of a text, or records.
            end: The token to add after each record; None for a text.
        """

    def finish(self) -> Tokens:
        """Return the tokens that were held back, shape [tokens]."""
        return np.empty(0, np.uint8)


class CharacterEncoder(Encoder):
    """Encodes large texts with one token per character. Unknown ones have the token of the unknown symbol."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        # The token of each code point.
        self._tokens: Tokens = np.full(
            CODE_POINTS, tokenizer.unknown or 0, np.min_scalar_type(len(tokenizer) - 1)
        )
        for token, symbol in enumerate(tokenizer.symbols):
            if symbol:
                self._tokens[ord(symbol)] = token
        # For one byte per character and token, bytes.translate is twice as fast as indexing.
        self._table = self._tokens[:ASCII_SIZE].tobytes() if self._tokens.dtype == np.uint8 else None

    def encode_all(self, texts: Sequence[str], end: int | None) -> Tokens:
        text = "".join(texts)
        tokens: Tokens
        if self._table and text.isascii():
            tokens = np.frombuffer(text.encode().translate(self._table), np.uint8)
        else:
            tokens = self._tokens[code_points(text)]
        if end is None:
            return tokens
        return np.insert(tokens, np.cumsum([len(record) for record in texts], dtype=np.int64), end)


class ByteEncoder(Encoder):
    """Encodes large texts with one token per byte of UTF-8."""

    def encode_all(self, texts: Sequence[str], end: int | None) -> Tokens:
        contents = [text.encode("utf-8", BYTES_TO_TEXT) for text in texts]
        tokens = np.frombuffer(b"".join(contents), np.uint8)
        if end is None:
            return tokens
        return np.insert(tokens.astype(np.uint16), np.cumsum([len(content) for content in contents]), end)


class WordEncoder(Encoder):
    """Encodes large texts with the symbols of a word-level vocabulary.

    The tokens of a text do not depend on the parts in which it is read. A token is certain if the longest
    symbol would have ended with the text that is known. The text after the certain tokens is held back.

    Args:
        tokenizer: The word-level tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer, self._lengths = tokenizer, symbol_lengths(tokenizer)
        self._rest = ""

    def encode_all(self, texts: Sequence[str], end: int | None) -> Tokens:
        if end is not None:
            return np.concatenate([[*self._tokenizer.encode(record), end] for record in texts])
        text = self._rest + "".join(texts)
        tokens = np.asarray(self._tokenizer.encode(text))
        ends = np.cumsum(self._lengths[tokens])
        starts = ends - self._lengths[tokens]
        certain = int(np.searchsorted(starts, len(text) - MAX_SYMBOL_LENGTH, side="right"))
        self._rest = text[ends[certain - 1] :] if certain else text
        return tokens[:certain]

    def finish(self) -> Tokens:
        text, self._rest = self._rest, ""
        return np.asarray(self._tokenizer.encode(text))


def make_encoder(tokenizer: Tokenizer) -> Encoder:
    """Return an encoder for one text, or the records of one list."""
    if tokenizer.level == BYTE:
        return ByteEncoder()
    return WordEncoder(tokenizer) if tokenizer.level == WORD else CharacterEncoder(tokenizer)
