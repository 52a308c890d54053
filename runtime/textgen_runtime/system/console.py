"""Standard output and standard error: writing to them and giving them up."""

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import TextIO

# Where no terminal says otherwise.
COLUMNS = 80

# C0, DEL and C1, which a terminal acts on, but for the line end and the tab, which a text may have.
CONTROLS = [code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"]
ESCAPES = {code: ascii(chr(code))[1:-1] for code in CONTROLS}


def redirect_to_null(stream: TextIO) -> None:
    """Give up standard output or error: it is flushed once more at exit, and must not fail then."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def write_stderr(text: str) -> None:
    """Write to standard error; that nobody reads it is no reason to end what is told of."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        redirect_to_null(sys.stderr)


def terminal_columns() -> int:
    """The width of the terminal, as ``shutil.get_terminal_size`` finds it."""
    try:
        columns = int(os.environ["COLUMNS"])
    except (KeyError, ValueError):
        columns = 0
    try:
        # None where there is no standard output.
        return columns or os.get_terminal_size(sys.__stdout__.fileno()).columns or COLUMNS  # type: ignore[union-attr]
    except (AttributeError, OSError, ValueError):
        return COLUMNS


def print_diagnostic(prog: str, message: str, kind: str = "error") -> None:
    """One line on standard error, after what is already on its way to standard output."""
    try:
        sys.stdout.flush()
    except OSError:
        redirect_to_null(sys.stdout)
    one_line = "".join(symbol if symbol.isprintable() else ascii(symbol)[1:-1] for symbol in message)
    write_stderr(f"{prog}: {kind}: {one_line}\n")


def terminal_safe(stream: TextIO, text: str) -> str:
    """A text as it is written to a stream: a terminal must not act on what a model draws."""
    return text.translate(ESCAPES) if stream.isatty() else text


def escape_unencodable(prog: str, stream: TextIO, symbols: Sequence[str]) -> None:
    """Let a stream escape what its encoding lacks, and say so once if any of the symbols is such."""
    stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]
    try:
        "".join(symbols).encode(stream.encoding)
    except UnicodeEncodeError:
        print_diagnostic(
            prog,
            f"the output's encoding, {stream.encoding}, lacks some of the model's characters; they are "
            "written as \\u escapes (set PYTHONIOENCODING=utf-8 to have them as they are)",
            "warning",
        )
