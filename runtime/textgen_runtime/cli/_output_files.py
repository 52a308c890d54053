"""Output files of a command: checks before the work, and atomic writing after it."""

from contextlib import suppress
from pathlib import Path

from textgen_runtime.errors import OutputError
from textgen_runtime.files import check_writable, is_output, replace_file
from textgen_runtime.interrupts import DeferredInterrupts


def check_overwrite(option: str, path: Path, content: bytes = b"") -> None:
    """Check that an existing file is an output of this project, or empty, or that the content begins with it.

    If a shell expands ``--option *``, the first input file becomes the name of the output.

    Raises:
        OutputError: If the file is another one.
    """
    is_other = False
    # If a file cannot be read, it is another one. Writing reports other errors.
    with suppress(OSError):
        is_other = path.is_file() and not is_output(path)
        is_other = is_other and not (
            path.stat().st_size <= len(content) and content.startswith(path.read_bytes())
        )
    if is_other:
        raise OutputError(f"{option} {path}: the file exists, and it may be yours: choose another name")


def check_output(option: str, path: Path) -> None:
    """Check before the work that a file can be written, and overwrites only an output of this project.

    Raises:
        OutputError: If the file is another one, or cannot be written.
    """
    check_overwrite(option, path)
    check_writable(path)


def write_output(path: Path, content: bytes) -> None:
    """Write a file atomically. An interrupt is deferred, so that it leaves no temporary file.

    Raises:
        OutputError: If the file cannot be written.
        KeyboardInterrupt: After an interrupt.
    """
    with DeferredInterrupts():
        replace_file(path, content)
