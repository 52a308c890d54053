"""The content of files: of open binary files, and of texts in UTF-8 from files and standard input."""

import codecs
import errno
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

from textgen_runtime.errors import EncodingError, TextFileError, shorten

CHUNK_SIZE = 2**20

STANDARD_INPUT = "-"

BYTE_ORDER_MARK = "\ufeff"


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


def read_text(path: str) -> str:
    """Read a UTF-8 text from a file, or from standard input if ``path`` is ``-``.

    Line ends are kept. A byte-order mark at the start is dropped.

    Args:
        path: The path, or ``-``.

    Raises:
        TextFileError: If the text cannot be read, is binary, or is not UTF-8. The message gives the position.
    """
    return decode_utf8(read_bytes(path), _name_of(path)).removeprefix(BYTE_ORDER_MARK)


def read_bytes(path: str) -> bytes:
    """Read a file, or standard input if ``path`` is ``-``.

    Raises:
        TextFileError: If it cannot be read.
    """
    if path == STANDARD_INPUT and sys.stdin is None:
        raise TextFileError("cannot read standard input: it is closed")
    try:
        if path == STANDARD_INPUT:
            return sys.stdin.buffer.read()
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise TextFileError(f"cannot read {_name_of(path)}: {error.strerror or error}") from None


def _name_of(path: str) -> str:
    return "standard input" if path == STANDARD_INPUT else shorten(path)


def decode_utf8(content: bytes, name: str) -> str:
    """Decode UTF-8 text; ``name`` is the name of the text in messages.

    Raises:
        EncodingError: If the content is binary or not UTF-8. The message gives the position.
    """
    return "".join(decode_utf8_chunks([content], name))


def decode_utf8_chunks(blocks: Iterable[bytes], name: str) -> Iterator[str]:
    """Decode UTF-8 text that is read in blocks. A block may end within a character.

    Args:
        blocks: The blocks in order.
        name: The name of the text in messages.

    Yields:
        The text of each block.

    Raises:
        EncodingError: If the content is binary or not UTF-8. The message gives the position.
    """
    # The number of bytes that are decoded, and the bytes after them.
    position, rest = 0, b""
    for block in blocks:
        rest = rest + block if rest else block
        text, length = _decode_part(rest, name, position, final=False)
        position, rest = position + length, rest[length:]
        yield text
    _decode_part(rest, name, position, final=True)


def decode_any_chunks(blocks: Iterable[bytes]) -> Iterator[str]:
    """Decode any file that is read in blocks. Bytes that are not UTF-8 become U+DC80 to U+DCFF."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    for block in blocks:
        yield decoder.decode(block)
    yield decoder.decode(b"", final=True)


def _decode_part(content: bytes, name: str, position: int, *, final: bool) -> tuple[str, int]:
    """Return the text of all complete characters, and the number of their bytes.

    Args:
        content: A part of a text in UTF-8.
        name: The name of the text in messages.
        position: Position of the part in the text, in bytes.
        final: Whether the text ends with this part.
    """
    zero = content.find(0)
    if zero >= 0:
        raise EncodingError(
            f"{name} is not a text: byte {position + zero} is zero (if the text is UTF-16, convert it to "
            "UTF-8)"
        )
    try:
        return codecs.utf_8_decode(content, "strict", final)
    except UnicodeDecodeError as error:
        raise EncodingError(
            f"{name} is not UTF-8: byte {position + error.start} is 0x{content[error.start]:02x}; convert it "
            "first, for example with iconv -f ENCODING -t utf-8"
        ) from None
