"""What trained models predict for each token of a training text: a file that is mapped to memory.

The file is in the safetensors format. Row i of each array is for token i. It states the probabilities of the
tokens given all tokens before it. If the vocabulary is small, each row has the probabilities of all tokens.
Otherwise it has the most likely tokens. A row of zeros states nothing.
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
from textgen_runtime.system.json_text import to_json

from .tokens import Tokens, release_pages, token_blocks

# The largest vocabulary of which all probabilities are stored, and how many are stored of a larger one.
MAX_COMPLETE_SYMBOLS = 256
LIKELIEST = 64

# In the metadata of the file: the SHA-256 of the model files and of the text, and the CRC-32 of the arrays.
TEACHERS_KEY = "textgen.teachers"
TEXT_KEY = "textgen.text"
CHECKSUM_KEY = "textgen.crc32"

# The header begins with its length in eight bytes, and has a multiple of this number of bytes.
LENGTH_BYTES = 8

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
    def token_type(self) -> np.dtype[np.unsignedinteger]:
        """The type of the stored tokens."""
        return np.min_scalar_type(self.symbols - 1)

    @property
    def array_bytes(self) -> list[int]:
        """The sizes of the arrays: the probabilities in float16, and the tokens unless all are stored."""
        values = self.length * self.columns
        return [2 * values, *([] if self.is_complete else [self.token_type.itemsize * values])]

    @property
    def total_bytes(self) -> int:
        """The size of all arrays."""
        return sum(self.array_bytes)

    def header(self, teachers: Sequence[str], text: str, checksum: int) -> bytes:
        """Return the beginning of the file, before the arrays.

        Its length does not depend on the checksum. The other arguments are those of ``PredictionWriter``.
        """
        kinds = {"probabilities": "F16", "tokens": f"U{8 * self.token_type.itemsize}"}
        metadata = {TEACHERS_KEY: " ".join(teachers), TEXT_KEY: text, CHECKSUM_KEY: f"{checksum:010}"}
        content: dict[str, object] = {"__metadata__": metadata}
        start = 0
        for (name, kind), size in zip(kinds.items(), self.array_bytes, strict=False):
            offsets = [start, start := start + size]
            content[name] = {"dtype": kind, "shape": [self.length, self.columns], "data_offsets": offsets}
        text_bytes = to_json(content, compact=True).encode()
        padded = text_bytes.ljust(-(-len(text_bytes) // LENGTH_BYTES) * LENGTH_BYTES)
        return len(padded).to_bytes(LENGTH_BYTES, "little") + padded


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
        teachers: The SHA-256 of each model file.
        text: The SHA-256 of the tokens of the text; see ``hash_tokens``.
    """

    def __init__(self, file: BinaryIO, form: Form, teachers: Sequence[str], text: str) -> None:
        self._file, self._form, self._identity = file, form, (teachers, text)
        self._start = len(form.header(teachers, text, 0))
        self._lock = Lock()
        # The rows that nothing is written to are zeros.
        file.truncate(self._start + form.total_bytes)

    def write(self, position: int, probabilities: NDArray[np.float32]) -> None:
        """Write the predictions for tokens from a position on; shape [tokens, vocabulary]."""
        form = self._form
        if form.is_complete:
            arrays: list[NDArray[Any]] = [probabilities.astype(np.float16)]
        else:
            likeliest = np.argpartition(probabilities, -LIKELIEST, axis=1)[:, -LIKELIEST:]
            chosen = np.take_along_axis(probabilities, likeliest, axis=1)
            arrays = [chosen.astype(np.float16), likeliest.astype(form.token_type)]
        start = self._start
        for array, size in zip(arrays, form.array_bytes, strict=True):
            with self._lock:
                self._file.seek(start + position * (size // form.length))
                self._file.write(np.ascontiguousarray(array).data)
            start += size

    def finish(self) -> None:
        """Write the header, when all predictions are written."""
        self._file.seek(self._start)
        checksum = 0
        while block := self._file.read(BLOCK):
            checksum = zlib.crc32(block, checksum)
        self._file.seek(0)
        self._file.write(self._form.header(*self._identity, checksum))


def read_predictions(path: Path, form: Form, teachers: Sequence[str], text: str) -> Predictions | None:
    """Return the predictions of a file, which may be removed then.

    Arguments are those of ``PredictionWriter``.

    Returns:
        The predictions; None if the file is missing, damaged, or of other models or of another text.
    """
    start = len(form.header(teachers, text, 0))
    try:
        with path.open("rb") as file:
            # The mapping stays valid when the file is closed.
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        # An empty file cannot be mapped.
        return None
    if len(mapping) != start + form.total_bytes:
        return None
    content, checksum = np.frombuffer(mapping, np.uint8), 0
    for begin in range(start, len(mapping), BLOCK):
        checksum = zlib.crc32(content[begin : begin + BLOCK].data, checksum)
        release_pages(content)
    if mapping[:start] != form.header(teachers, text, checksum):
        return None
    arrays = []
    for kind, size in zip((np.dtype(np.float16), form.token_type), form.array_bytes, strict=False):
        arrays.append(np.frombuffer(mapping, kind, size // kind.itemsize, start).reshape(form.length, -1))
        start += size
    return Predictions(*arrays)


def hash_tokens(tokens: Tokens) -> str:
    """Return the SHA-256 of the tokens of a text."""
    found = hashlib.sha256()
    for block in token_blocks(tokens):
        found.update(np.ascontiguousarray(block).data)
    return found.hexdigest()
