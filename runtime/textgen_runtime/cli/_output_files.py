"""Files that an option names: what they must not be, whether they can be written, and writing them."""

import os
import stat
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textgen_runtime.errors import OutputError, shorten
from textgen_runtime.system.files import replace_file
from textgen_runtime.system.interrupts import DeferredInterrupts


def refuse_to_replace(option: str, path: Path, kind: str, prog: str, is_own: Callable[[Path], bool]) -> None:
    """See that a file about to be replaced is an older one of the same kind, and not standard output.

    A shell makes the first input the name of an output where it expands ``--option *``.

    Args:
        option: The one that names the file.
        path: The file.
        kind: What is written to it, such as "page".
        prog: The command.
        is_own: Whether an existing file is of this kind.

    Raises:
        OutputError: If it is something else.
    """
    try:
        is_other = path.is_file() and path.stat().st_size > 0 and not is_own(path)
    except OSError:
        # Writing will tell.
        return
    if is_standard_output(path):
        raise OutputError(
            f"{option} wants a file of its own for the {kind}, not {path}: standard output has the figures"
        )
    if is_other:
        raise OutputError(
            f"{option} would replace {path}, which is no {kind} of {prog}: choose another name, or remove it"
        )


def check_output(option: str, path: Path, kind: str, prog: str, is_own: Callable[[Path], bool]) -> None:
    """See that a file that an option names can be written and replaces nothing else, before the work.

    The arguments and the errors are those of ``refuse_to_replace`` and ``see_that_it_can_be_written``.
    """
    refuse_to_replace(option, path, kind, prog, is_own)
    see_that_it_can_be_written(path)


def is_standard_output(path: Path) -> bool:
    """Whether what is written to a path comes out where the figures do, as with ``/dev/stdout``."""
    try:
        # What a terminal or /dev/null is given twice spoils nothing.
        return not path.is_char_device() and os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except OSError:
        return False


def see_that_it_can_be_written(path: Path) -> None:
    """See that a file can be made before the work whose result it is for.

    Nothing is left behind, and an existing file stays as it is.

    Raises:
        OutputError: If it cannot be written.
    """
    try:
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            mode = None
        if mode is None or stat.S_ISREG(mode):
            # It will be replaced by a file from the same folder.
            with tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent):
                pass
        elif stat.S_ISDIR(mode):
            raise IsADirectoryError(None, "Is a directory")
        elif not os.access(path, os.W_OK):
            raise PermissionError(None, "Permission denied")
    except OSError as error:
        raise OutputError(f"cannot write {shorten(str(path))}: {error.strerror or error}") from None


def write_output(path: Path, content: bytes) -> None:
    """Write the file, whole or not at all; an interrupt waits for that, or it would leave a temporary file.

    Raises:
        OutputError: If it cannot be written.
        KeyboardInterrupt: After an interrupt.
    """
    with DeferredInterrupts():
        replace_file(path, content)
