"""Reading of UTF-8 text from a file or from standard input."""

import codecs
import sys
from collections.abc import Iterable, Iterator

from textgen_runtime.errors import EncodingError, TextFileError, shorten

STANDARD_INPUT = "-"


def read_text(path: str) -> str:
    """Read a UTF-8 text from a file, or from standard input if ``path`` is ``-``.

    Line ends and a byte-order mark are kept; ``Normalization.apply`` handles them.

    Args:
        path: The path, or ``-``.

    Raises:
        TextFileError: If the text cannot be read, is binary, or is not UTF-8. The message gives the position.
    """
    return decode_utf8(read_bytes(path), _name_of(path))


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
