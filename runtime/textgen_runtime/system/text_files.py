"""Texts that a user hands over: a file, or standard input."""

import sys

from textgen_runtime.errors import TextFileError, shorten

STANDARD_INPUT = "-"


def read_text(path: str) -> str:
    """Read a whole UTF-8 text from a file, or from standard input if ``path`` is ``-``.

    Line ends and a byte-order mark stay as they are: ``Normalization.apply`` sees to them.

    Raises:
        TextFileError: If it cannot be read, or is binary or not UTF-8; it says at which byte.
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
    return decode(content, name)


def decode(content: bytes, name: str) -> str:
    """Decode UTF-8.

    Raises:
        TextFileError: If the content is binary or not UTF-8; ``name`` and the byte are in its message.
    """
    zero = content.find(0)
    if zero >= 0:
        raise TextFileError(
            f"{name} is not a text: byte {zero} is zero (UTF-16 has such bytes; convert it to UTF-8)"
        )
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise TextFileError(
            f"{name} is not UTF-8: byte {error.start} is 0x{content[error.start]:02x}; convert it first, "
            "for example with iconv -f ITS-ENCODING -t utf-8"
        ) from None
