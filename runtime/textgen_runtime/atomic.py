"""Files that are either whole or not there."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from .errors import OutputError, shorten


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that its name always means either the old content or all of the new.

    The data goes to a temporary name in the same folder, is flushed to the disk and then renamed, so
    that a full disk, an interrupt or a power cut cannot leave half a file or lose the one before. A link is
    followed, and the permissions of a file that is replaced are kept. What is no file, such as a named pipe
    or a terminal, is written to and not replaced.

    Raises:
        OutputError: If the file cannot be written; an older file of that name is still there then.
    """
    try:
        if _is_special(path):
            Path(path).write_bytes(data)
        else:
            _replace(Path(os.path.realpath(path)), data)
    except OSError as error:
        raise OutputError(f"cannot write {shorten(str(path))}: {error.strerror or error}") from error


def _is_special(path: str | os.PathLike[str]) -> bool:
    """Whether something is there that is no file: a pipe, a device, or a folder, which cannot be written."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 (whatever the path is made of)
    except OSError:
        return False


def _replace(target: Path, data: bytes) -> None:
    # A name that no other process and no other thread takes, and that is not too long where the target's is
    # just short enough.
    temporary = target.with_name(f".{secrets.token_hex(8)}.partial")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    finally:
        # Gone after the rename; still there after any failure, an interrupt included.
        with contextlib.suppress(OSError):
            temporary.unlink()
