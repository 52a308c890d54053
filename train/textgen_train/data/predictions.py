"""What trained models predict for each token of a training text: a file that is mapped to memory.

The file is a line, then the arrays. The line has a hash of what they depend on, and their CRC-32. Row i of
each array is for token i. It states the probabilities of the tokens given all tokens before it. If the
vocabulary is small, each row has the probabilities of all tokens. Otherwise it has the most likely tokens. A
row of zeros states nothing.
"""

import hashlib
import mmap
import zlib
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .tokens import Tokens, release_pages, token_blocks

# The largest vocabulary of which all probabilities are stored, and how many are stored of a larger one.
MAX_COMPLETE_SYMBOLS = 256
LIKELIEST = 64

# Bytes that are read at once.
BLOCK = 2**20


class Form(NamedTuple):
    """How predictions are stored.

    Attributes:
        length: Number of tokens of the text.
        symbols: Size of the vocabulary.
    """

    length: int
    symbols: int

    @property
    def is_complete(self) -> bool:
        """Whether the probabilities of all tokens are stored."""
        return self.symbols <= MAX_COMPLETE_SYMBOLS

    @property
    def columns(self) -> int:
        """Number of stored probabilities for each token of the text."""
        return self.symbols if self.is_complete else LIKELIEST

    @property
    def kinds(self) -> "list[np.dtype[Any]]":
        """The types of the arrays: that of the probabilities, and of the tokens unless all are stored."""
        return [np.dtype(np.float16), *([] if self.is_complete else [np.min_scalar_type(self.symbols - 1)])]

    @property
    def array_bytes(self) -> list[int]:
        """The sizes of the arrays."""
        return [kind.itemsize * self.length * self.columns for kind in self.kinds]

    @property
    def total_bytes(self) -> int:
        """The size of all arrays."""
        return sum(self.array_bytes)


class Predictions:
    """The predictions for a text.

    Args:
        arrays: The probabilities, shape [tokens, columns], float16; and, if a row does not have the whole
            vocabulary, its tokens, of the same shape.
    """

    def __init__(self, *arrays: NDArray[Any]) -> None:
        self._arrays = arrays

    def rows(self, positions: NDArray[np.int64]) -> list[NDArray[Any]]:
        """Return a copy of the rows of some positions, of each array."""
        return [array[positions] for array in self._arrays]

    def release(self) -> None:
        """Release the memory that is mapped to the rows that were read."""
        for array in self._arrays:
            release_pages(array)


class PredictionWriter:
    """Writes predictions to a file, on any thread and in any order.

    Args:
        file: An empty file, to write and to read.
        form: How the predictions are stored.
        identity: What the predictions depend on; see ``identify``.
    """

    def __init__(self, file: BinaryIO, form: Form, identity: str) -> None:
        self._file, self._form, self._identity = file, form, identity
        self._start = len(_first_line(identity, 0))
        self._lock = Lock()
        # The rows that nothing is written to are zeros.
        file.truncate(self._start + form.total_bytes)

    def write(self, position: int, probabilities: NDArray[np.float32]) -> None:
        """Write the predictions for tokens from a position on; shape [tokens, vocabulary]."""
        form = self._form
        if form.is_complete:
            arrays: list[NDArray[Any]] = [probabilities]
        else:
            likeliest = np.argpartition(probabilities, -LIKELIEST, axis=1)[:, -LIKELIEST:]
            arrays = [np.take_along_axis(probabilities, likeliest, axis=1), likeliest]
        start = self._start
        for array, kind, size in zip(arrays, form.kinds, form.array_bytes, strict=True):
            with self._lock:
                self._file.seek(start + position * (size // form.length))
                self._file.write(array.astype(kind, order="C").data)
            start += size

    def finish(self) -> None:
        """Write the first line, when all predictions are written."""
        self._file.seek(self._start)
        checksum = 0
        while block := self._file.read(BLOCK):
            checksum = zlib.crc32(block, checksum)
        self._file.seek(0)
        self._file.write(_first_line(self._identity, checksum))


def read_predictions(path: Path, form: Form, identity: str) -> Predictions | None:
    """Return the predictions of a file; None if it is missing, damaged, or of another identity.

    Arguments are those of ``PredictionWriter``.
    """
    try:
        content = _mapped(path)
    except (OSError, ValueError):
        # An empty file cannot be mapped.
        return None
    start = len(_first_line(identity, 0))
    if len(content) != start + form.total_bytes:
        return None
    checksum = 0
    for begin in range(start, len(content), BLOCK):
        checksum = zlib.crc32(content[begin : begin + BLOCK].data, checksum)
        release_pages(content)
    return map_predictions(path, form) if bytes(content[:start]) == _first_line(identity, checksum) else None


def map_predictions(path: Path, form: Form) -> Predictions:
    """Return the predictions of a file that is complete. Other than on Windows, it may be removed then.

    Raises:
        OSError: If it cannot be read.
    """
    content = _mapped(path)
    start, arrays = len(content) - form.total_bytes, []
    for kind, size in zip(form.kinds, form.array_bytes, strict=True):
        arrays.append(content[start : start + size].view(kind).reshape(form.length, -1))
        start += size
    return Predictions(*arrays)


def _mapped(path: Path) -> NDArray[np.uint8]:
    """Return the bytes of a file."""
    with path.open("rb") as file:
        # The mapping stays valid when the file is closed.
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ), np.uint8)


def identify(form: Form, teachers: Sequence[str], tokens: Tokens) -> str:
    """Return a hash of what predictions depend on: their form, the SHA-256 of the models, and the text."""
    found = hashlib.sha256(" ".join(map(str, (*form, *teachers, ""))).encode())
    for block in token_blocks(tokens):
        found.update(np.ascontiguousarray(block).data)
    return found.hexdigest()


def _first_line(identity: str, checksum: int) -> bytes:
    """Return the first line of a file. Its length does not depend on the checksum."""
    return f"{identity} {checksum:010}\n".encode()
