"""Files that are either whole or not there."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from textgen_runtime.errors import OutputError, shorten

try:
    import fcntl
except ImportError:
    # Windows has none.
    fcntl = None  # type: ignore[assignment]

# Of temporary files.
PREFIX, SUFFIX = ".textgen-", ".partial"


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that its name always means either the old content or all of the new.

    The data goes to a temporary name in the same folder, is flushed to the disk and then renamed, so
    that a full disk, an interrupt or a power cut cannot leave half a file or lose the one before. A process
    that is killed leaves the temporary file; ``remove_abandoned`` removes it later. A link is followed, and
    the permissions of a file that is replaced are kept. What is no file, such as a named pipe or a terminal,
    is written to and not replaced.

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


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of processes that were killed while they wrote into a folder.

    A file that a running process is writing is locked, and stays. Where there are no such locks (Windows,
    some network file systems), nothing is removed.
    """
    if fcntl is None:
        return
    for path in folder.glob(f"{PREFIX}*{SUFFIX}"):
        with contextlib.suppress(OSError), path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def _replace(target: Path, data: bytes) -> None:
    try:
        old_mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        old_mode = None
    # What is replaced may be private, and so is the new content until it has the same permissions.
    with _temporary(target.parent, 0o666 if old_mode is None else 0o600) as (path, file):
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        if old_mode is not None:
            path.chmod(old_mode)
        if fcntl is None:
            # Windows renames no open file. Elsewhere it stays open, and so locked, until it has its name.
            file.close()
        path.replace(target)


@contextlib.contextmanager
def _temporary(folder: Path, mode: int) -> Iterator[tuple[Path, BinaryIO]]:
    """A new file with these permissions, less the umask, and locked; removed in the end unless renamed."""
    while True:
        # A name that no other process and no other thread takes, and that is not too long where the target's
        # is just short enough.
        path = folder / f"{PREFIX}{os.urandom(8).hex()}{SUFFIX}"
        file = open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115 (below)
        try:
            with file:
                if _lock(file):
                    yield path, file
                    return
        finally:
            with contextlib.suppress(OSError):
                path.unlink()


def _lock(file: BinaryIO) -> bool:
    """Lock a new file against ``remove_abandoned``; False if that has just taken it for abandoned."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # A file system without locks.
        return True
    return os.fstat(file.fileno()).st_nlink > 0
