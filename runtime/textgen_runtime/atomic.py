"""Files that are either whole or not there."""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from .errors import OutputError


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that its name always means either the old content or all of the new.

    The data goes to a temporary name in the same folder, is flushed to the disk and then renamed, so
    that a full disk, an interrupt or a power cut cannot leave half a file or lose the one before. A link is
    followed, and the permissions of a file that is replaced are kept.

    Raises:
        OutputError: If the file cannot be written; an older file of that name is still there then.
    """
    target = Path(os.path.realpath(path))
    # A name that no other process and no other thread takes.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            temporary.chmod(stat.S_IMODE(target.stat().st_mode))
        temporary.replace(target)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        # Gone after the rename; still there after any failure, an interrupt included.
        with contextlib.suppress(OSError):
            temporary.unlink()
