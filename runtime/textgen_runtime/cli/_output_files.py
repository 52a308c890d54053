"""Output files of a command: checks before the work, and atomic writing after it."""

import contextlib
import os
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from textgen_runtime.errors import OutputError
from textgen_runtime.files import check_writable, is_output, make_folder, replace_file
from textgen_runtime.interrupts import DeferredInterrupts


def check_overwrite(option: str, path: Path, kind: str, prog: str) -> None:
    """Check that an existing file is an output of this project, and not standard output.

    If a shell expands ``--option *``, the first input file becomes the name of the output.

    Args:
        option: The option that names the file.
        path: The file.
        kind: The kind of output, such as "page".
        prog: The command that writes it.

    Raises:
        OutputError: If the file is another one, or is standard output.
    """
    try:
        is_other = path.is_file() and path.stat().st_size > 0 and not is_output(path)
    except OSError:
        # Writing reports the error.
        return
    if is_standard_output(path):
        raise OutputError(
            f"{option} {path}: the file is also standard output: write the {kind} to another file"
        )
    if is_other:
        raise OutputError(
            f"{option} {path}: the file exists and is not a {kind} of {prog}: write the {kind} to another "
            "file"
        )


def check_output(option: str, path: Path, kind: str, prog: str) -> None:
    """Check before the work that an output file can be written and overwrites only an output of this project.

    Arguments and errors are those of ``check_overwrite`` and ``check_writable``.
    """
    check_overwrite(option, path, kind, prog)
    check_writable(path)


def is_standard_output(path: Path) -> bool:
    """Whether a path is the file that standard output is redirected to, for example ``/dev/stdout``."""
    try:
        # A terminal or /dev/null can receive both outputs.
        return not path.is_char_device() and os.path.samestat(path.stat(), os.fstat(sys.stdout.fileno()))
    except OSError:
        return False


def write_output(path: Path, content: bytes) -> None:
    """Write a file atomically. An interrupt is deferred, so that it leaves no temporary file.

    Raises:
        OutputError: If the file cannot be written.
        KeyboardInterrupt: After an interrupt.
    """
    with DeferredInterrupts():
        replace_file(path, content)


@contextlib.contextmanager
def output_folder(folder: Path, names: Collection[str]) -> Iterator[None]:
    """Create a folder if necessary. The context writes its files.

    If the context ends with an exception, an interrupt included, its new files are removed.

    Args:
        folder: The folder. If it is new, it is removed too, but not the folders around it.
        names: The names of all files that the context writes.

    Raises:
        OutputError: If the folder cannot be created.
    """
    is_new = not os.path.lexists(folder)
    make_folder(folder)
    new = [folder / name for name in names if not os.path.lexists(folder / name)]
    try:
        yield
    except BaseException:
        for path in new:
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)
        if is_new:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
