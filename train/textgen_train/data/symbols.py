"""The symbols of a text that is read in chunks: their counts, and their tokens."""

import sys
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from .token_array import Tokens, TokenWriter, count_tokens

CODE_POINTS = sys.maxunicode + 1
ASCII_SIZE = 256


def code_points(text: str) -> Tokens:
    """Return the code points of a text, shape [characters]: uint8 if it is ASCII, else uint32."""
    if text.isascii():
        return np.frombuffer(text.encode(), np.uint8)
    return np.frombuffer(text.encode("utf-32-le"), np.dtype("<u4"))


def count_symbols(chunks: Iterable[str]) -> NDArray[np.int64]:
    """Return how often each character occurs in a text, by code point; shape [``CODE_POINTS``], int64."""
    counts = np.zeros(CODE_POINTS, np.int64)
    for chunk in chunks:
        codes = code_points(chunk)
        size = ASCII_SIZE if codes.dtype == np.uint8 else int(codes.max()) + 1
        counts[:size] += count_tokens(codes, size)
    return counts


def first_characters(chunks: Iterable[str], count: int) -> Iterator[str]:
    """Yield the first ``count`` characters of a text."""
    for chunk in chunks:
        yield chunk[:count]
        count -= len(chunk)
        if count <= 0:
            return


def encode_chunks(chunks: Iterable[str], token_by_code_point: Tokens, writer: TokenWriter) -> Tokens:
    """Encode a text with one token per character.

    Args:
        chunks: The text.
        token_by_code_point: The token of each character, shape [``CODE_POINTS``], of the writer's type.
        writer: Collects the tokens.

    Returns:
        All tokens, shape [characters].
    """
    # For one byte per character and token, bytes.translate is twice as fast as indexing.
    table = token_by_code_point[:ASCII_SIZE].tobytes() if writer.dtype == np.uint8 else None
    for chunk in chunks:
        if table and chunk.isascii():
            writer.append(np.frombuffer(chunk.encode().translate(table), np.uint8))
        else:
            writer.append(token_by_code_point[code_points(chunk)])
    return writer.finish()
