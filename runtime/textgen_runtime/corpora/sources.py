"""What a corpus is read from, more than once and in blocks: folders, compressed files, standard input."""

import gzip
import os
import stat
import sys
import weakref
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, NamedTuple, cast

from textgen_runtime.errors import CorpusError, TextFileError, install_command, shorten
from textgen_runtime.model_file import MODEL_FILE

# Bytes. A larger block does not fit into a second-level cache, and is processed more slowly.
BLOCK_SIZE = 2**20

# Up to this number of bytes, standard input is kept in memory.
MAX_INPUT_IN_MEMORY = 2**24

GZIP, ZSTANDARD = ".gz", ".zst"
COMPRESSED = (GZIP, ZSTANDARD)

# Bytes of compressed input that are decompressed at once. A block of Zstandard can expand 30,000 times.
ZSTANDARD_INPUT_SIZE = 2**11

# What training writes to its output folder. It is not part of a corpus.
RUN_FILES = (
    MODEL_FILE,
    # The 8-bit version of the model file.
    QUANTIZED_FILE := "model.int8.onnx",
    METRICS_FILE := "metrics.jsonl",
    SAMPLES_FILE := "samples.txt",
    CURVES_FILE := "loss.svg",
    CHECKPOINT_FILE := "checkpoint.safetensors",
    REPORT_FILE := "report.html",
    TENSORBOARD_FOLDER := "tensorboard",
)

# What the models of --teacher predict, until the run is complete. Other predictions have another name, which
# ends with 16 hexadecimal digits, so that no file of the user matches.
PREDICTIONS_ID = "[0-9a-f]" * 16
PREDICTIONS_FILES = f"predictions-{PREDICTIONS_ID}.bin"

# Plain text and music in ABC notation.
TEXT_FILES = tuple(f"{kind}{packed}" for kind in (".txt", ".abc") for packed in ("", *COMPRESSED))


def file_blocks(path: Path) -> Iterator[bytes]:
    """Yield the content of a file in blocks. Files ending in ``.gz`` or ``.zst`` are decompressed.

    Raises:
        TextFileError: If the file cannot be read, if compressed data is damaged, or if the package that
            decompresses it is missing.
    """
    name = shorten(str(path))
    try:
        with path.open("rb") as file:
            if path.suffix == ZSTANDARD:
                yield from _zstandard_blocks(file, name)
            elif path.suffix == GZIP:
                with gzip.GzipFile(fileobj=file) as content:
                    yield from iter(lambda: content.read(BLOCK_SIZE), b"")
            else:
                yield from iter(lambda: file.read(BLOCK_SIZE), b"")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TextFileError(f"cannot read {name}: it is damaged or incomplete ({error})") from None
    except OSError as error:
        raise TextFileError(f"cannot read {name}: {error.strerror or error}") from None


def _zstandard_blocks(file: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        import zstandard
    except ImportError:
        raise TextFileError(
            f"reading {name} requires zstandard: {install_command('train')}; or decompress it first"
        ) from None
    # A file consists of frames. The first one is expected, so an empty file is incomplete.
    frame = zstandard.ZstdDecompressor().decompressobj()
    block = bytearray()
    try:
        while data := file.read(ZSTANDARD_INPUT_SIZE):
            while data:
                if frame.eof:
                    frame = zstandard.ZstdDecompressor().decompressobj()
                block += frame.decompress(data)
                data = frame.unused_data if frame.eof else b""
            while len(block) >= BLOCK_SIZE:
                yield bytes(block[:BLOCK_SIZE])
                del block[:BLOCK_SIZE]
    except zstandard.ZstdError as error:
        raise TextFileError(f"cannot read {name}: it is damaged ({error})") from None
    if not frame.eof:
        raise EOFError("the last frame has no end")
    if block:
        yield bytes(block)


class StandardInput:
    """Standard input, which can be read more than once.

    A file as standard input is read in place. Other input, such as that of a pipe, is first copied to memory
    or to an anonymous temporary file.

    Args:
        folder: Folder of the temporary file; None for the system's folder of temporary files.

    Raises:
        TextFileError: If standard input cannot be read, or the temporary file cannot be written.
    """

    def __init__(self, folder: Path | None = None) -> None:
        if sys.stdin is None:
            raise TextFileError("cannot read standard input: it is closed")
        try:
            self._file = sys.stdin.buffer
            if not _is_seekable(self._file):
                self._file = _copy(self._file, folder)
                weakref.finalize(self, self._file.close)
            self._start = self._file.tell()
        except OSError as error:
            raise TextFileError(f"cannot read standard input: {error.strerror or error}") from None

    def blocks(self) -> Iterator[bytes]:
        """Yield the content in blocks."""
        position = self._start
        while True:
            try:
                self._file.seek(position)
                block = self._file.read(BLOCK_SIZE)
            except OSError as error:
                raise TextFileError(f"cannot read standard input: {error.strerror or error}") from None
            if not block:
                return
            yield block
            position += len(block)


def _is_seekable(file: BinaryIO) -> bool:
    """Return whether a file can be read again. On Windows, a pipe says so, too, but ignores the position."""
    try:
        is_regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
    except OSError:
        # It is in memory.
        is_regular = True
    return is_regular and file.seekable()


def _copy(stream: BinaryIO, folder: Path | None) -> BinaryIO:
    copy = SpooledTemporaryFile(MAX_INPUT_IN_MEMORY, dir=str(folder) if folder else None)  # noqa: SIM115
    while block := stream.read(BLOCK_SIZE):
        try:
            copy.write(block)
        except OSError as error:
            raise TextFileError(
                f"cannot store standard input in a temporary file: {error.strerror or error}"
            ) from None
    copy.seek(0)
    # It has all methods of a binary file.
    return cast("BinaryIO", copy)


class FolderFiles(NamedTuple):
    """The files of a folder and of its sub-folders, without hidden ones and those of training runs.

    Attributes:
        read: The files that are read, in the order of their paths.
        skipped: The number of other files.
    """

    read: tuple[Path, ...]
    skipped: int


def find_files(folder: Path, *, any_bytes: bool) -> FolderFiles:
    """Find the files of a folder that are read.

    Args:
        folder: The folder.
        any_bytes: Whether to read all files, not only those with the name of a text.

    Raises:
        CorpusError: If no file is read.
    """
    found = [
        path
        for path in folder.rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
        and not _is_output(path, folder)
    ]
    read = found if any_bytes else [path for path in found if path.name.endswith(TEXT_FILES)]
    if not read:
        kinds = "" if any_bytes else " .txt or .abc"
        raise CorpusError(f"the folder {folder} has no{kinds} files")
    return FolderFiles(tuple(sorted(read)), len(found) - len(read))


def _is_output(path: Path, folder: Path) -> bool:
    """Return whether a training run has written a file: it, or a folder with it, is beside a model."""
    depth = len(path.relative_to(folder).parts)
    return any(
        (part.name in RUN_FILES or part.match(PREDICTIONS_FILES))
        and any((part.parent / mark).exists() for mark in (MODEL_FILE, CHECKPOINT_FILE))
        for part in (path, *path.parents)[:depth]
    )
