"""Binary files that a caller has opened: reading them, writing to them, and what to call them."""

import errno
import io
from collections.abc import Callable
from typing import Any, Protocol

PIECE = 2**20


class BinaryReader(Protocol):
    """A file that is open for reading in binary mode."""

    def read(self, size: int = -1, /) -> bytes: ...


class BinaryWriter(Protocol):
    """A file that is open for writing in binary mode."""

    def write(self, data: bytes, /) -> Any: ...


def read_file_object(file: BinaryReader, check_size: Callable[[int], None] = lambda _: None) -> bytes:
    """Read an open file from where it stands to its end; it stays open.

    Args:
        file: What to read.
        check_size: Called with the bytes read so far, after each piece; may raise an error for too many. A
            pipe, or a device that never ends, has no size to be checked before.

    Raises:
        OSError: If it cannot be read.
        TypeError: If it is open in text mode.
    """
    content = bytearray()
    while True:
        piece = file.read(PIECE)
        if not isinstance(piece, bytes):
            raise TypeError(
                f"{file_object_name(file)} gives {type(piece).__name__}, not bytes: open it in binary mode"
            )
        if not piece:
            return bytes(content)
        content += piece
        check_size(len(content))


def write_file_object(file: BinaryWriter, content: bytes) -> None:
    """Write to an open file, where it stands; it stays open.

    Raises:
        OSError: If it cannot be written.
        TypeError: If it is open in text mode.
    """
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"{file_object_name(file)} takes text, not bytes: open it in binary mode")
    rest = content
    while rest:
        written = file.write(rest)
        # An unbuffered file may take a part; it says how much, or None where it would have to wait. A file of
        # a program's own may say nothing.
        if not isinstance(written, int) and not isinstance(file, io.RawIOBase):
            return
        if not written:
            raise BlockingIOError(errno.EAGAIN, "it does not wait for its reader")
        rest = rest[written:]


def file_object_name(file: object) -> str:
    """What to call an open file in a message: its path where it has one."""
    name = getattr(file, "name", None)
    return name if isinstance(name, str) else "the open file"
