"""Records as tokens: the tokens of all records in one array, each record followed by the token ``end``."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .token_array import BLOCK, Tokens

# A list of at least so many lines looks like records if nearly all lines are short, and hardly any is blank.
MIN_LIST_LINES = 200
MAX_LIST_LINE = 100
MAX_OTHER_LINES = 0.01


def record_parts(tokens: Tokens, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Divide records into consecutive parts.

    Args:
        tokens: The records, shape [tokens].
        end: The token after each record.
        size: Maximum number of tokens of a part. A longer record is a part of its own.

    Yields:
        The index of the first token of a part, and the index after its last token.
    """
    start = 0
    while start < len(tokens):
        ends = np.flatnonzero(tokens[start : start + size] == end)
        stop = start + int(ends[-1]) + 1 if len(ends) else _find(tokens, end, start + size) + 1
        yield start, stop
        start = stop


def record_ends(tokens: Tokens, end: int) -> NDArray[np.int64]:
    """Return the index after the token ``end`` of each record; shape [records], int64."""
    starts = range(0, len(tokens), BLOCK)
    return np.concatenate([np.flatnonzero(tokens[i : i + BLOCK] == end) + (i + 1) for i in starts])


def looks_like_records(text: str) -> bool:
    """Return whether a text looks like a list: many short lines, and hardly any blank or long ones."""
    lines = text.split("\n")
    others = sum(len(line) > MAX_LIST_LINE or not line or line.isspace() for line in lines)
    return len(lines) >= MIN_LIST_LINES and others <= MAX_OTHER_LINES * len(lines)


def _find(tokens: Tokens, end: int, start: int) -> int:
    """Return the index of the first token ``end`` from an index on."""
    while not len(found := np.flatnonzero(tokens[start : start + BLOCK] == end)):
        start += BLOCK
    return start + int(found[0])
