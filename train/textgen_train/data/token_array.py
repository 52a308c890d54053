"""Arrays of tokens: in memory if they are small, else in a memory-mapped temporary file."""

import mmap
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray
from textgen_runtime.errors import OutputError, shorten

# Shape [tokens]. A dataset uses the smallest unsigned type that holds its vocabulary.
Tokens: TypeAlias = NDArray[np.integer[Any]]

# Larger arrays are written to a file. Bytes.
MAX_BYTES_IN_MEMORY = 2**26

# Number of tokens that are processed at once.
BLOCK = 2**20


class TokenWriter:
    """Collects the tokens of a text. A large text is written to an anonymous temporary file.

    The file has no name, so that nothing remains of it after the process, however that ends.

    Args:
        vocabulary_size: Number of tokens in the vocabulary.
        folder: Folder of the file; None for the system's folder of temporary files. If it does not exist, the
            file is in the next folder above it that exists.
    """

    def __init__(self, vocabulary_size: int, folder: Path | None = None) -> None:
        self.dtype = np.min_scalar_type(max(vocabulary_size - 1, 0))
        self._folder = folder and next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
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
