"""Reading of UTF-8 text from a file or from standard input."""

import sys

from textgen_runtime.errors import TextFileError, shorten

STANDARD_INPUT = "-"


def read_text(path: str) -> str:
    """Read a UTF-8 text from a file, or from standard input if ``path`` is ``-``.

    Line ends and a byte-order mark are kept; ``Normalization.apply`` handles them.

    Raises:
        TextFileError: If the text cannot be read, is binary, or is not UTF-8. The message gives the position.
    """
    name = "standard input" if path == STANDARD_INPUT else shorten(path)
    if path == STANDARD_INPUT and sys.stdin is None:
        raise TextFileError("cannot read standard input: it is closed")
    try:
        if path == STANDARD_INPUT:
            content = sys.stdin.buffer.read()
        else:
            with open(path, "rb") as file:
                content = file.read()
    except OSError as error:
        raise TextFileError(f"cannot read {name}: {error.strerror or error}") from None
    return decode_utf8(content, name)


def decode_utf8(content: bytes, name: str) -> str:
    """Decode UTF-8 text; ``name`` is the name of the text in messages.

    Raises:
        TextFileError: If the content is binary or not UTF-8. The message gives the position.
    """
    zero = content.find(0)
    if zero >= 0:
        raise TextFileError(
            f"{name} is not a text: byte {zero} is zero (if the text is UTF-16, convert it to UTF-8)"
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise TextFileError(
            f"{name} is not UTF-8: byte {error.start} is 0x{content[error.start]:02x}; convert it first, "
            "for example with iconv -f ENCODING -t utf-8"
        ) from None
