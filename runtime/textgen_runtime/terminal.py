"""Standard output, standard error and the terminal."""

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from typing import Any, TextIO

STANDARD_OUTPUT = "standard output"

DEFAULT_COLUMNS = 80

MAX_LINE = 300

IS_WINDOWS = os.name == "nt"


def escape(symbol: str) -> str:
    r"""Return the escape sequence of a character: ``\n``, ``\x1b``."""
    return ascii(symbol)[1:-1]


def escape_unprintable(text: str) -> str:
    """Return a text with unprintable characters as escape sequences."""
    return "".join([symbol if symbol.isprintable() else escape(symbol) for symbol in text])


def single_line(text: str) -> str:
    """Return a text as one line, truncated if it is very long."""
    more = len(text) - MAX_LINE
    return escape_unprintable(text[:MAX_LINE]) + (f"... and {more:,} more characters" if more > 0 else "")


# C0, DEL and C1 control a terminal. Text may contain the line end and the tab.
CONTROL_CODES = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]
ESCAPES = {code: escape(chr(code)) for code in CONTROL_CODES}


def redirect_to_null(stream: TextIO) -> None:
    """Redirect standard output or error to the null device, so that the flush at exit does not fail."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


class NamedOutput:
    """Standard output, whose errors have a file name, as those of other files. The rest is the stream's."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, and return its length."""
        try:
            return self._stream.write(text)
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise

    def flush(self) -> None:
        """Write what is buffered."""
        try:
            self._stream.flush()
        except OSError as error:
            error.filename = STANDARD_OUTPUT
            raise


def is_closed_pipe(error: OSError) -> bool:
    """Return whether a write failed because the reader of a pipe is gone."""
    # Windows has no own error for a pipe that its reader has closed.
    return isinstance(error, BrokenPipeError) or (IS_WINDOWS and error.errno == errno.EINVAL)


def write_stderr(text: str) -> None:
    """Write to standard error. If its reader is gone, discard this text and all later text."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        redirect_to_null(sys.stderr)


def print_diagnostic(prog: str, message: str, kind: str = "error") -> None:
    """Flush standard output, then write one line to standard error."""
    try:
        sys.stdout.flush()
    except OSError:
        redirect_to_null(sys.stdout)
    write_stderr(f"{prog}: {kind}: {escape_unprintable(message)}\n")


def terminal_safe(stream: TextIO, text: str) -> str:
    """Return a text for a stream; control characters are escaped if the stream is a terminal."""
    return text.translate(ESCAPES) if stream.isatty() else text


def escape_unencodable(prog: str, stream: TextIO, symbols: Sequence[str]) -> None:
    """Escape characters that the encoding of a stream lacks; warn if a symbol has such a character."""
    stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    try:
        "".join(symbols).encode(stream.encoding)
    except UnicodeEncodeError:
        print_diagnostic(
            prog,
            f"the encoding {stream.encoding} of the output lacks some of the model's characters, which are "
            "written as backslash escapes: set PYTHONIOENCODING=utf-8",
            "warning",
        )
