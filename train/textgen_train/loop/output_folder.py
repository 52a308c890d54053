"""The output folder of a training run: checks, lock, and names of the files."""

import contextlib
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textgen_runtime.corpus import CHECKPOINT_FILE, PREDICTIONS_FILES, RUN_FILES, TENSORBOARD_FOLDER
from textgen_runtime.errors import Name, OutputError, shorten
from textgen_runtime.files import (
    CAN_REMOVE_OPEN_FILES,
    existing_folder,
    make_folder,
    remove_abandoned,
)
from textgen_runtime.model_file import MODEL_FILE

from .events import Watcher

if TYPE_CHECKING:
    from .run import TrainingRun

# The model has 4 bytes per parameter, and the checkpoint 12. Twice the checkpoint, because the old file stays
# until the new one is complete.
BYTES_PER_PARAMETER = 4 + 2 * 12
QUANTIZED_BYTES_PER_PARAMETER = 1
REPORT_BYTES = 1_000_000

# The start of the name of a file in the folder for TensorBoard, where users may have other files.
EVENTS_PREFIX = "events.out.tfevents."

# It stays in a folder. The operating system releases the lock when the process ends.
LOCK_FILE = ".textgen-train.lock"

# How long to wait for the lock. textgen-compare holds it for a moment, to see whether a run does.
LOCK_SECONDS = 0.3


def check_folder(folder: Path, inputs: Sequence[Path], *, overwrite: bool) -> None:
    """Check that a new run can write to a folder, before it takes time. The folder may not exist yet.

    Args:
        folder: The output folder.
        inputs: The files that the run reads, which are never overwritten.
        overwrite: Whether files of an earlier run may be overwritten.

    Raises:
        OutputError: If the folder is not writable, or if a file would be overwritten without permission.
    """
    with _explaining_errors(folder), tempfile.TemporaryFile(dir=existing_folder(folder)):
        pass
    check_overwrites(folder, inputs, overwrite=overwrite)


@contextlib.contextmanager
def prepared_folder(  # noqa: PLR0913 (keywords)
    folder: Path,
    inputs: Sequence[Path],
    parameters: int,
    *,
    overwrite: bool,
    quantize: bool,
    predictions: int = 0,
) -> Iterator[None]:
    """Create and lock the output folder of a new run. The lock is held within the context.

    The files of an earlier run stay until ``EarlierFiles`` removes them.

    Args:
        folder: The output folder.
        inputs: As for ``check_folder``.
        parameters: Number of parameters of the model.
        overwrite: As for ``check_folder``.
        quantize: Whether the run also writes an 8-bit model.
        predictions: The size of the predictions of the models of ``--teacher``, in bytes.

    Raises:
        OutputError: If the folder is not writable, if its disk has no room for the run, if another run holds
            the lock, or if a file would be overwritten without permission.
    """
    made = make_folder(folder)
    try:
        with locked_folder(folder):
            try:
                # Another run may have written files since the command checked the folder.
                check_overwrites(folder, inputs, overwrite=overwrite)
                # The lock has removed what killed runs have left.
                check_room(folder, parameters, quantize=quantize, predictions=predictions)
                yield
            finally:
                _remove_empty(made)
    finally:
        # Elsewhere, this could remove the lock of another run, which has just created the folder again.
        if not CAN_REMOVE_OPEN_FILES:
            _remove_empty(made)


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders that hold nothing but the lock, the innermost first."""
    with contextlib.suppress(OSError):
        for folder in folders:
            if [path.name for path in folder.iterdir()] == [LOCK_FILE]:
                (folder / LOCK_FILE).unlink()
            folder.rmdir()


class EarlierFiles(Watcher):
    """Removes the files of an earlier run from the output folder when a new run starts.

    A run that is killed early then leaves no mixture of two runs, and the earlier run is not resumed by
    mistake. Only its model stays, until the first evaluation replaces it. A run that cannot start, or is
    interrupted before its start, keeps all files.

    Add it just before the ``CheckpointWriter``, so that the new run can be resumed as soon as they are gone.
    While that cannot write its first checkpoint, neither run can be resumed.

    Args:
        folder: The output folder, locked by ``prepared_folder``.
        predictions: The file of the predictions that the new run uses.
    """

    def __init__(self, folder: Path, predictions: Path | None = None) -> None:
        self._folder, self._kept = folder, predictions

    def on_start(self) -> None:
        """Remove the files.

        Raises:
            OutputError: If one cannot be removed. The others may be gone, so the earlier run can no longer be
                resumed.
        """
        with _explaining_errors(self._folder):
            # First, because a run that has lost other files must not be resumed.
            (self._folder / CHECKPOINT_FILE).unlink(missing_ok=True)
            for path in _replaced(self._folder):
                if path != self._kept:
                    path.unlink()


class PredictionsFile(Watcher):
    """Removes the predictions of the models of ``--teacher`` when a run is complete.

    Until then, a resumed run reads them. Add it after the ``CheckpointWriter``: only a run whose checkpoint
    says that it is complete does not need them. They stay if that could not be written.
    """

    def __init__(self, run: "TrainingRun", folder: Path) -> None:
        self._run, self._folder = run, folder

    def on_end(self) -> None:
        if self._run.is_complete and CHECKPOINT_FILE in self._run.files:
            remove_predictions(self._folder)


def remove_predictions(folder: Path) -> None:
    """Remove all predictions from the folder of a complete run."""
    # Windows does not remove a file that is mapped to memory.
    with contextlib.suppress(OSError):
        for path in folder.glob(PREDICTIONS_FILES):
            path.unlink()


def check_room(folder: Path, parameters: int, *, quantize: bool, predictions: int = 0) -> None:
    """Check that a disk has room for the models, the checkpoint and the predictions of a new run.

    Otherwise, the checkpoint of the start could take the room of the model. The files of an earlier run that
    are removed make room.

    Raises:
        OutputError: If it has not.
    """
    bytes_per_parameter = BYTES_PER_PARAMETER + QUANTIZED_BYTES_PER_PARAMETER * quantize
    with _explaining_errors(folder):
        replaced = sum(path.stat().st_size for path in _replaced(folder))
    needed = bytes_per_parameter * parameters + REPORT_BYTES + predictions
    choose = ", or choose another folder with ", Name("output")
    _check_free(folder, replaced, needed, "the run needs", *choose)


def check_room_for_predictions(folder: Path, size: int) -> None:
    """Check that a disk has room for predictions of this number of bytes.

    They are written before the files of an earlier run are removed.

    Raises:
        OutputError: If it has not.
    """
    _check_free(folder, 0, size, "the predictions of --teacher need")


def _check_free(folder: Path, replaced: int, needed: int, subject: str, *choose: str) -> None:
    """Check that a disk has room for this number of bytes, given those of the files that are removed.

    ``choose`` is the end of the message, for a run that can have another folder.
    """
    with _explaining_errors(folder):
        free = shutil.disk_usage(existing_folder(folder)).free + replaced
    if free < needed:
        raise OutputError(
            f"the disk of the folder {shorten(str(folder))} has {free / 1e6:,.1f} MB left, but {subject} "
            f"about {needed / 1e6:,.1f} MB: remove some files",
            *choose,
        )


def _replaced(folder: Path) -> list[Path]:
    """Return the files of an earlier run that a new one removes."""
    events = (folder / TENSORBOARD_FOLDER).glob(f"{EVENTS_PREFIX}*")
    return [path for path in (*_outputs(folder), *events) if path.is_file() and path.name != MODEL_FILE]


def _outputs(folder: Path) -> list[Path]:
    """Return the files and folders that runs have written to a folder."""
    files = (*(folder / name for name in RUN_FILES), *folder.glob(PREDICTIONS_FILES))
    return [path for path in files if path.exists()]


@contextlib.contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Lock an existing output folder. The lock is held within the context.

    Temporary files of killed runs are removed.

    Raises:
        OutputError: If the folder is not writable, or if another run holds the lock.
    """
    # Imported here because it is not installed without the "train" extra.
    from filelock import FileLock, Timeout

    with contextlib.ExitStack() as stack:
        try:
            with _explaining_errors(folder):
                with tempfile.TemporaryFile(dir=folder):
                    pass
                stack.enter_context(FileLock(folder / LOCK_FILE, timeout=LOCK_SECONDS))
        except Timeout:
            raise OutputError(
                f"another textgen-train run is writing to the folder {folder}: wait until it ends, or start "
                "a new run in another folder with ",
                Name("output"),
            ) from None
        remove_abandoned(folder)
        yield


def check_inputs(folder: Path, inputs: Sequence[Path]) -> None:
    """Check that a run that writes to a folder overwrites none of these files.

    Raises:
        OutputError: If a file would be overwritten.
    """
    outputs = _outputs(folder)
    for path in inputs:
        if path.exists() and any(map(path.samefile, outputs)):
            raise OutputError(
                f"{path} is an input; refusing to overwrite it: choose another folder with ", Name("output")
            )


def check_overwrites(folder: Path, inputs: Sequence[Path], *, overwrite: bool) -> None:
    """Check that no file would be overwritten without permission, with the arguments of ``check_folder``.

    Raises:
        OutputError: If a file would be overwritten.
    """
    check_inputs(folder, inputs)
    if not overwrite:
        for path in _outputs(folder):
            can_resume = (folder / CHECKPOINT_FILE).exists()
            resume = (", resume its run with ", Name("resume")) if can_resume else ()
            raise OutputError(
                f"{path} exists: choose another folder with ",
                Name("output"),
                *resume,
                ", or pass ",
                Name("overwrite"),
            )


@contextlib.contextmanager
def _explaining_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        # The lock is held, which is not an error of the folder.
        raise
    except OSError as error:
        raise OutputError(
            f"cannot write to the folder {shorten(str(folder))}: {error.strerror or error}"
        ) from None
