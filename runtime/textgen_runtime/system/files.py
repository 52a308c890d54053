"""Atomic replacement of files."""

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from textgen_runtime.errors import OutputError, path_failure, shorten

try:
    import fcntl
except ImportError:
    # Windows does not have this module.
    fcntl = None  # type: ignore[assignment]

# Windows neither removes nor replaces an open file.
CAN_REMOVE_OPEN_FILES = fcntl is not None

# Seconds between the attempts to replace a file that another program has open, such as a virus scanner.
WAITS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)

TEMPORARY_PREFIX, TEMPORARY_SUFFIX = ".textgen-", ".partial"


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file atomically: at any time it has either its old content or its complete new content.

    The data is written to a temporary file in the same folder, flushed to the disk, and renamed. A full disk,
    an interrupt or a power failure therefore leaves the old file unchanged. A killed process leaves its
    temporary file, which ``remove_abandoned`` removes later.

    Symbolic links are followed. A replaced file keeps its permissions. Special files, such as named pipes and
    terminals, are written directly.

    Raises:
        OutputError: If the file cannot be written. An existing file keeps its content.
    """
    try:
        if _is_special(path):
            Path(path).write_bytes(data)
        else:
            with _replacement(Path(os.path.realpath(path))) as file:
                file.write(data)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {shorten(str(path))}: {path_failure(error)}") from error


@contextlib.contextmanager
def replacing_file(path: Path) -> Iterator[BinaryIO]:
    """Return a context with a new file, which replaces a regular file atomically as ``replace_file`` does.

    It can also be read. If the context ends with an exception, the new file disappears.

    Raises:
        OutputError: If the file cannot be written. An existing file keeps its content.
    """
    try:
        with _replacement(Path(os.path.realpath(path))) as file:
            yield file
    except OSError as error:
        raise OutputError(f"cannot write {shorten(str(path))}: {path_failure(error)}") from error


def make_folder(folder: Path) -> list[Path]:
    """Create a folder, and the folders around it. An existing folder stays as it is.

    Returns:
        The folders that did not exist, the innermost first.

    Raises:
        OutputError: If it cannot be created.
    """
    name = shorten(str(folder))
    try:
        missing = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise OutputError(f"{name} is a file: name a folder") from None
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot create the folder {name}: {path_failure(error)}") from None
    return missing


def existing_folder(folder: Path) -> Path:
    """Return a folder if it exists, else the nearest folder above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def check_writable(path: Path) -> None:
    """Check that a file can be written, without changing it or leaving a file behind.

    Raises:
        OutputError: If the file cannot be written.
    """
    try:
        try:
            mode = path.stat().st_mode
        except FileNotFoundError:
            mode = None
        if mode is None or stat.S_ISREG(mode):
            # ``replace_file`` writes a temporary file in the same folder.
            with _temporary(Path(os.path.realpath(path)).parent, 0o600):
                pass
        elif stat.S_ISDIR(mode):
            raise IsADirectoryError(None, "Is a directory")
        elif not os.access(path, os.W_OK):
            raise PermissionError(None, "Permission denied")
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {shorten(str(path))}: {path_failure(error)}") from None


def begins_with(path: Path, content: bytes) -> bool:
    """Return whether a file begins with this content; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(content)) == content
    except OSError:
        return False


def _is_special(path: str | os.PathLike[str]) -> bool:
    """Return whether the path exists but is not a regular file, such as a pipe or a folder."""
    try:
        return not stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116 (accepts any path-like object)
    except (OSError, ValueError):
        return False


def remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of killed processes from a folder.

    Files that a running process is writing are locked and are not removed. Without file locks (Windows, some
    network file systems), nothing is removed.
    """
    if fcntl is None:
        return
    for path in folder.glob(f"{TEMPORARY_PREFIX}*{TEMPORARY_SUFFIX}"):
        with contextlib.suppress(OSError), path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


@contextlib.contextmanager
def _replacement(target: Path) -> Iterator[BinaryIO]:
    """Return a context with a new file, which takes the place of another one at the end."""
    try:
        old_mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        old_mode = None
    # The old file may be private, so the new content stays private until it has the same permissions.
    with _temporary(target.parent, 0o666 if old_mode is None else 0o600) as (path, file):
        yield file
        _flush_to_disk(file)
        if old_mode is not None:
            path.chmod(old_mode)
        if not CAN_REMOVE_OPEN_FILES:
            # On other systems it stays open and locked until the rename.
            file.close()
        _rename(path, target)


def _flush_to_disk(file: BinaryIO) -> None:
    """Wait until the content of a file is on the disk."""
    file.flush()
    if hasattr(fcntl, "F_FULLFSYNC"):
        # On macOS, fsync leaves the content in the cache of the disk. Some file systems have nothing better.
        with contextlib.suppress(OSError):
            fcntl.fcntl(file, fcntl.F_FULLFSYNC)
            return
    os.fsync(file.fileno())


def _rename(path: Path, target: Path) -> None:
    """Rename a file, and replace another one. Windows refuses this while a program has that file open."""
    for seconds in () if CAN_REMOVE_OPEN_FILES else WAITS:
        try:
            path.replace(target)
        except PermissionError:
            time.sleep(seconds)
        else:
            return
    path.replace(target)


@contextlib.contextmanager
def _temporary(folder: Path, mode: int) -> Iterator[tuple[Path, BinaryIO]]:
    """Create and lock a file with these permissions, less the umask. Remove it unless it was renamed."""
    while True:
        # The name is unique among processes and threads. It does not include the target's name, which may
        # already have the maximum length.
        path = folder / f"{TEMPORARY_PREFIX}{os.urandom(8).hex()}{TEMPORARY_SUFFIX}"
        file = open(path, "x+b", opener=lambda name, flags: os.open(name, flags, mode))  # noqa: SIM115 (closed below)
        try:
            with file:
                if _lock(file):
                    yield path, file
                    return
        finally:
            with contextlib.suppress(OSError):
                path.unlink()


def _lock(file: BinaryIO) -> bool:
    """Lock a new file. Return False if ``remove_abandoned`` has locked or removed it first."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # The file system has no locks.
        return True
    return os.fstat(file.fileno()).st_nlink > 0
