"""The output folder of a run: checks, the lock, and the checkpoint.

A checkpoint is a line of JSON, and then the block of the learner, which is a run as the trainer in C or torch
saves it. The line has the options of the run, what the loop knows, and the CRC-32 of the block. Nothing of
it is code.
"""

import contextlib
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep
from typing import Any, BinaryIO

from textgen_runtime.corpus import CHECKPOINT_FILE, PREDICTIONS_FILE, RUN_FILES
from textgen_runtime.errors import Name, OutputError, shorten
from textgen_runtime.files import existing_folder, make_folder, remove_abandoned, replace_file
from textgen_runtime.json_text import from_json, to_json
from textgen_runtime.model_file import MODEL_FILE

from .errors import TrainingError

try:
    import fcntl
except ImportError:
    # Windows does not have this module.
    fcntl = None  # type: ignore[assignment]

# It stays in a folder. The operating system releases the lock when the process ends.
LOCK_FILE = ".textgen-train.lock"

# How long to wait for the lock, in seconds. textgen-compare holds it for a moment.
LOCK_SECONDS = 0.3

# Raise it when the content of a checkpoint changes.
FORMAT = "textgen checkpoint 2"

# The model has 4 bytes per parameter, and the checkpoint 12. Twice the checkpoint, because the old file stays
# until the new one is complete.
BYTES_PER_PARAMETER = 4 + 2 * 12
REPORT_BYTES = 1_000_000


def check_folder(folder: Path, inputs: Sequence[Path], *, overwrite: bool) -> None:
    """Check that a new run can write to a folder, which may not exist yet.

    Args:
        folder: The output folder.
        inputs: The files that the run reads, which are never overwritten.
        overwrite: Whether files of an earlier run may be overwritten.

    Raises:
        OutputError: If the folder is not writable, or if a file would be overwritten without permission.
    """
    with _explaining(folder), tempfile.TemporaryFile(dir=existing_folder(folder)):
        pass
    outputs = [path for name in RUN_FILES if (path := folder / name).exists()]
    for path in inputs:
        if path.exists() and any(map(path.samefile, outputs)):
            raise OutputError(f"{path} is an input; choose another folder with ", Name("output"))
    if outputs and not overwrite:
        can_resume = (folder / CHECKPOINT_FILE).exists()
        resume = (", resume its run with ", Name("resume")) if can_resume else ()
        raise OutputError(
            f"{outputs[0]} exists: choose another folder with ",
            Name("output"),
            *resume,
            ", or pass ",
            Name("overwrite"),
        )


@contextlib.contextmanager
def output_folder(folder: Path, inputs: Sequence[Path], *, overwrite: bool) -> Iterator[None]:
    """Create and lock the output folder of a new run. A folder that stays empty disappears.

    The errors are those of ``check_folder``.
    """
    made = make_folder(folder)
    try:
        with locked_folder(folder):
            # Another run may have written files since the command checked the folder.
            check_folder(folder, inputs, overwrite=overwrite)
            yield
    finally:
        with contextlib.suppress(OSError):
            for path in made:
                if [file.name for file in path.iterdir()] == [LOCK_FILE]:
                    (path / LOCK_FILE).unlink()
                path.rmdir()


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock an existing folder. Temporary files of killed runs disappear.

    Raises:
        OutputError: If the folder is not writable, or if another run holds the lock.
    """
    with contextlib.ExitStack() as stack:
        with _explaining(folder):
            with tempfile.TemporaryFile(dir=folder):
                pass
            file = stack.enter_context((folder / LOCK_FILE).open("ab"))
        end = monotonic() + LOCK_SECONDS
        while not _lock(file):
            if monotonic() >= end:
                raise OutputError(
                    f"another run is writing to the folder {shorten(str(folder))}: wait until it ends, or "
                    "choose another folder with ",
                    Name("output"),
                )
            sleep(LOCK_SECONDS / 10)
        remove_abandoned(folder)
        yield


def is_locked(folder: Path) -> bool:
    """Return whether a run is writing to a folder."""
    try:
        with (folder / LOCK_FILE).open("r+b") as file:
            return not _lock(file)
    except OSError:
        # There was no run, or it is the folder of another user.
        return False


def _lock(file: BinaryIO) -> bool:
    """Lock an open file until it is closed. Return False if another process holds the lock."""
    try:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        else:
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    except OSError as error:
        # Some file systems have no locks.
        return not isinstance(error, BlockingIOError | PermissionError)
    return True


def check_room(folder: Path, parameters: int, more: int = 0) -> None:
    """Check that a disk has room for the model and the checkpoint of a run, and for more bytes.

    Raises:
        OutputError: If it has not.
    """
    with _explaining(folder):
        replaced = sum(path.stat().st_size for path in _replaced_files(folder))
        free = shutil.disk_usage(existing_folder(folder)).free + replaced
    needed = BYTES_PER_PARAMETER * parameters + REPORT_BYTES + more
    if free < needed:
        raise OutputError(
            f"the disk of the folder {shorten(str(folder))} has {free / 1e6:,.1f} MB left, but the run needs "
            f"about {needed / 1e6:,.1f} MB: remove some files, or choose another folder with ",
            Name("output"),
        )


def remove_earlier(folder: Path, *, has_teachers: bool) -> None:
    """Remove the files of an earlier run, except for its model, which the first evaluation replaces.

    Args:
        folder: The output folder.
        has_teachers: Whether the run may use the predictions of the earlier run, which are kept then.

    Raises:
        OutputError: If one cannot be removed.
    """
    with _explaining(folder):
        for path in _replaced_files(folder):
            if not has_teachers or path.name != PREDICTIONS_FILE:
                path.unlink()


def _replaced_files(folder: Path) -> list[Path]:
    # The checkpoint is the first one, because a run that has lost other files must not be resumed.
    names = sorted({*RUN_FILES} - {MODEL_FILE}, key=lambda name: name != CHECKPOINT_FILE)
    return [path for name in names if (path := folder / name).is_file()]


@contextlib.contextmanager
def _explaining(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"cannot write to the folder {shorten(str(folder))}: {error.strerror or error}"
        ) from None


def write_checkpoint(folder: Path, state: dict[str, Any], block: bytes) -> None:
    """Replace the checkpoint of a folder atomically.

    Args:
        folder: The output folder.
        state: What the loop and the command need to go on; JSON values.
        block: The run of the learner.

    Raises:
        OutputError: If the file cannot be written. The old one stays.
    """
    line = to_json({"format": FORMAT, "state": state}, compact=True)
    crc = zlib.crc32(block, zlib.crc32(line.encode()))
    replace_file(folder / CHECKPOINT_FILE, b"".join([f"{crc:010} {line}\n".encode(), block]))


def read_checkpoint(folder: Path) -> tuple[dict[str, Any], bytes]:
    """Return the state and the block of a checkpoint. The learner checks the block.

    Raises:
        TrainingError: If there is none, or if it is damaged or of another version.
    """
    path = folder / CHECKPOINT_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise TrainingError(
            f"nothing to resume: {shorten(str(folder))} has no {CHECKPOINT_FILE}; start a run with "
            "textgen-train CORPUS"
        ) from None
    except OSError as error:
        raise TrainingError(f"cannot read {shorten(str(path))}: {error.strerror or error}") from None
    line, _, block = content.partition(b"\n")
    try:
        values = from_json(line[11:])
        is_whole = int(line[:10]) == zlib.crc32(block, zlib.crc32(line[11:]))
        state, version = values["state"], values["format"]
        if version != FORMAT or not isinstance(state, dict):
            raise ValueError(version)  # noqa: TRY301
    except (ValueError, KeyError, TypeError, RecursionError):
        is_whole, state = False, {}
    if not is_whole:
        raise TrainingError(
            f"{shorten(str(path))} is damaged, or of another version: start the run again with ",
            Name("overwrite"),
        )
    return state, block
