"""Reading and writing of open binary files."""

import errno
import io
from collections.abc import Callable
from typing import Any, Protocol

CHUNK_SIZE = 2**20


class BinaryReader(Protocol):
    """A file that is open for reading in binary mode."""

    def read(self, size: int = -1, /) -> bytes: ...


class BinaryWriter(Protocol):
    """A file that is open for writing in binary mode."""

    def write(self, data: bytes, /) -> Any: ...


def read_file_object(file: BinaryReader, check_size: Callable[[int], None] = lambda _: None) -> bytes:
    """Read an open file from its current position to its end, and leave it open.

    Args:
        file: The file to read.
        check_size: Called after each chunk with the number of bytes read so far. It may raise an exception if
            the file is too large; the size of a pipe or a device is not known in advance.

    Raises:
        OSError: If the file cannot be read.
        TypeError: If the file is open in text mode.
    """
    content = bytearray()
    while True:
        chunk = file.read(CHUNK_SIZE)
        if not isinstance(chunk, bytes):
            raise TypeError(
                f"reading {file_object_name(file)} returned {type(chunk).__name__}, not bytes: "
                "open it in binary mode"
            )
        if not chunk:
            return bytes(content)
        content += chunk
        check_size(len(content))


def write_file_object(file: BinaryWriter, content: bytes) -> None:
    """Write to an open file at its current position, and leave it open.

    Raises:
        OSError: If the file cannot be written.
        TypeError: If the file is open in text mode.
    """
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"{file_object_name(file)} is open in text mode: open it in binary mode")
    remaining = content
    while remaining:
        written = file.write(remaining)
        # An unbuffered file may write only some of the bytes. It returns their number, or None if the write
        # would block. The write method of a user's class may return nothing.
        if not isinstance(written, int) and not isinstance(file, io.RawIOBase):
            return
        if not written:
            raise BlockingIOError(errno.EAGAIN, "the write would block: open the file in blocking mode")
        remaining = remaining[written:]


def file_object_name(file: object) -> str:
    """Return the path of an open file for a message, or "the open file" if it has none."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else "the open file"
