"""The symbols of a text that is read in chunks: their counts, and their tokens."""

import sys
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.text.tokenizer import Tokenizer

from .token_array import Tokens, count_tokens

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


class CharacterEncoder:
    """Encodes large texts with one token per character.

    Args:
        token_by_code_point: The token of each character, shape [``CODE_POINTS``].
    """

    def __init__(self, token_by_code_point: Tokens) -> None:
        self._tokens = token_by_code_point
        # For one byte per character and token, bytes.translate is twice as fast as indexing.
        is_small = token_by_code_point.dtype == np.uint8
        self._table = token_by_code_point[:ASCII_SIZE].tobytes() if is_small else None

    def encode(self, text: str) -> Tokens:
        """Return the tokens of a text, shape [characters]."""
        if self._table and text.isascii():
            return np.frombuffer(text.encode().translate(self._table), np.uint8)
        return self._tokens[code_points(text)]

    def encode_all(self, texts: Sequence[str], end: int | None) -> Tokens:
        """Return the tokens of several texts, shape [tokens].

        Args:
            texts: Consecutive parts of a text, or records.
            end: The token to add after each record; None for a text.
        """
        tokens = self.encode("".join(texts))
        if end is None:
            return tokens
        ends = np.cumsum([len(record) for record in texts], dtype=np.int64)
        return np.insert(tokens, ends, end)

    def finish(self) -> Tokens:
        """Return no tokens, because none are held back."""
        return np.empty(0, self._tokens.dtype)
