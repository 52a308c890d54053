"""Standard output and standard error: writing to them and giving them up."""

import contextlib
import os
import sys
from typing import TextIO


def discard(stream: TextIO) -> None:
    """Give up standard output or error: it is flushed once more at exit, and must not fail then."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def tell(text: str) -> None:
    """Write to standard error; that nobody reads it is no reason to end what is told of."""
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        discard(sys.stderr)
