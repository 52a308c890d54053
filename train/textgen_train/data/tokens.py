"""Texts as arrays of tokens: in memory if they are small, else in a memory-mapped temporary file.

Losses of all levels are per character, so tokens are also counted as characters. Records are in one array,
each followed by the token ``end``.
"""

import codecs
import mmap
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.errors import OutputError, shorten
from textgen_runtime.files import existing_folder
from textgen_runtime.tokenizer import BYTE, BYTES_TO_TEXT, CHARACTER, Tokenizer

# Shape [tokens]. A dataset uses the smallest unsigned type that holds its vocabulary.
Tokens: TypeAlias = NDArray[np.integer[Any]]

# Larger arrays are written to a file. Bytes.
MAX_BYTES_IN_MEMORY = 2**26

# Number of tokens that are processed at once.
BLOCK = 2**20

# Number of batches after which the memory that is mapped to a large text is released.
RELEASE_INTERVAL = 1024


class TokenWriter:
    """Collects the tokens of a text. A large text is written to an anonymous temporary file.

    The file has no name, so that nothing remains of it after the process, however that ends.

    Args:
        folder: Folder of the file; None for the system's folder of temporary files. If it does not exist, the
            file is in the nearest folder above it that exists.
    """

    def __init__(self, vocabulary_size: int, folder: Path | None = None) -> None:
        self.dtype = np.min_scalar_type(max(vocabulary_size - 1, 0))
        self._folder = folder and existing_folder(folder)
        self._parts: list[NDArray[Any]] = []
        self._bytes = 0
        self._file: BinaryIO | None = None

    def append(self, tokens: Tokens) -> None:
        """Add tokens at the end.

        Raises:
            OutputError: If the file cannot be written, for example because the disk is full.
        """
        self._parts.append(tokens.astype(self.dtype, copy=False))
        self._bytes += self._parts[-1].nbytes
        if self._file or self._bytes > MAX_BYTES_IN_MEMORY:
            self._flush()

    def finish(self) -> Tokens:
        """Return all tokens, shape [tokens], of the smallest unsigned type. The array is read-only."""
        if self._file is None:
            tokens = np.concatenate(self._parts) if self._parts else np.empty(0, self.dtype)
            tokens.flags.writeable = False
            return tokens
        try:
            # The mapping stays valid when the file is closed.
            with self._file as file:
                file.flush()
                mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise self._error(error) from None
        return np.frombuffer(mapping, self.dtype)

    def _flush(self) -> None:
        try:
            if self._file is None:
                self._file = TemporaryFile(dir=self._folder)  # noqa: SIM115 (closed by finish)
            for part in self._parts:
                self._file.write(part.data)
        except OSError as error:
            raise self._error(error) from None
        self._parts.clear()

    def _error(self, error: OSError) -> OutputError:
        folder = shorten(str(self._folder or gettempdir()))
        return OutputError(
            f"cannot store the tokens of the corpus in the folder {folder}: {error.strerror or error}; it "
            f"needs about {np.dtype(self.dtype).itemsize} bytes per character of free space"
        )


def token_blocks(tokens: Tokens) -> Iterator[Tokens]:
    """Yield all tokens in blocks. Memory that is mapped to a block is released after it."""
    for start in range(0, len(tokens), BLOCK):
        yield tokens[start : start + BLOCK]
        release_pages(tokens)


def release_pages(tokens: Tokens) -> None:
    """Release the memory that is mapped to the file of an array. It is read again when it is used.

    Otherwise the memory that was read would count as memory of the process, up to the size of the file.
    """
    base: Any = tokens
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, memoryview):
        base = base.obj
    # Windows has no madvise.
    if isinstance(base, mmap.mmap) and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)


def count_tokens(tokens: Tokens, vocabulary_size: int) -> NDArray[np.int64]:
    """Return how often each token occurs, shape [vocabulary], int64."""
    counts = np.zeros(vocabulary_size, np.int64)
    for block in token_blocks(tokens):
        if block.dtype == np.uint8:
            counts += _count_bytes(block.view(np.uint8))[:vocabulary_size]
        else:
            counts += np.bincount(block, minlength=vocabulary_size)
    return counts


def _count_bytes(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how often each byte occurs, shape [256], int64."""
    # Counting pairs of bytes is three times as fast as counting bytes.
    even = len(values) // 2 * 2
    pairs = np.bincount(values[:even].view(np.uint16), minlength=2**16).reshape(256, 256)
    counts: NDArray[np.int64] = pairs.sum(0) + pairs.sum(1) + np.bincount(values[even:], minlength=256)
    return counts


LINE_END = ord("\n")


def text_of(tokens: Tokens, tokenizer: Tokenizer) -> str:
    """Return the text of some tokens.

    The end of a record is a line end, and the unknown symbol is U+FFFD. Bytes that are not UTF-8 are U+DC80
    to U+DCFF.
    """
    special = tokenizer.special
    if tokenizer.level == BYTE:
        return _content(tokens, special.end).decode("utf-8", BYTES_TO_TEXT)
    if not special.by_name:
        return tokenizer.decode(tokens.tolist())
    ends, texts = (tokens == special.end).tolist(), tokenizer.decode_each(tokens.tolist())
    return "".join(["\n" if is_end else text for is_end, text in zip(ends, texts, strict=True)])


def count_characters(tokens: Tokens, tokenizer: Tokenizer) -> int:
    """Return the number of characters of some tokens, which is the length of their text.

    The end of a record counts as one character, and so does a byte that is not UTF-8.
    """
    if tokenizer.level == CHARACTER:
        return len(tokens)
    if tokenizer.level != BYTE:
        return int(count_tokens(tokens, len(tokenizer)) @ symbol_lengths(tokenizer))
    decoder = codecs.getincrementaldecoder("utf-8")(BYTES_TO_TEXT)
    blocks = (_content(block, tokenizer.special.end) for block in token_blocks(tokens))
    return sum(len(decoder.decode(block)) for block in blocks) + len(decoder.decode(b"", final=True))


def count_characters_after(before: int, tokens: Tokens, tokenizer: Tokenizer) -> int:
    """Return the number of characters of tokens that end after ``before``, the token before them.

    A character of several bytes belongs to its last byte, also if ``before`` is its first byte.
    """
    if tokenizer.level != BYTE or before == tokenizer.special.begin:
        return count_characters(tokens, tokenizer)
    both = np.concatenate([[before], tokens[:3]])
    start = text_of(both, tokenizer)
    is_whole = len(start[0].encode("utf-8", BYTES_TO_TEXT)) == 1
    return (
        len(start) - is_whole - count_characters(tokens[:3], tokenizer) + count_characters(tokens, tokenizer)
    )


def symbol_lengths(tokenizer: Tokenizer) -> NDArray[np.int64]:
    """Return the number of characters of each symbol, shape [vocabulary], int64; 1 for a special token."""
    return np.array([len(symbol) or 1 for symbol in tokenizer.symbols], np.int64)


def _content(tokens: Tokens, end: int | None) -> bytes:
    """Return tokens of a byte-level vocabulary as bytes. The end of a record is a line end."""
    if end is not None:
        tokens = np.where(tokens == end, LINE_END, tokens)
    return tokens.astype(np.uint8).tobytes()


# A list of at least so many lines looks like records if nearly all lines are short, and hardly any is blank.
MIN_LIST_LINES = 200
MAX_LIST_LINE = 100
MAX_OTHER_LINES = 0.01


def record_parts(tokens: Tokens, end: int, size: int) -> Iterator[tuple[int, int]]:
    """Divide records into consecutive parts.

    Args:
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
