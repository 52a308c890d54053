"""The output folder of a training run: checks, lock, and names of the files."""

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from textgen_runtime.corpora.sources import CHECKPOINT_FILE, QUANTIZED_FILE, RUN_FILES
from textgen_runtime.errors import Name, OutputError, shorten
from textgen_runtime.system.files import make_folder, remove_abandoned

# The model has 4 bytes per parameter, and the checkpoint 12. Twice the checkpoint, because the old file stays
# until the new one is complete.
BYTES_PER_PARAMETER = 4 + 2 * 12
REPORT_BYTES = 1_000_000

# The files of an earlier run that are removed when a new one is ready.
REPLACED = (CHECKPOINT_FILE, QUANTIZED_FILE)

# The lock file stays in a folder that has other files. The operating system releases the lock when the
# process ends. In a new folder without other files, it is deleted. Another run may have opened it before, so
# ``locked_folder`` checks after locking that the file still exists.
LOCK_FILE = ".textgen-train.lock"


@contextlib.contextmanager
def prepared_folder(folder: Path, inputs: Sequence[Path], *, overwrite: bool) -> Iterator[Callable[[], None]]:
    """Create, check and lock the output folder of a new run. The lock is held within the context.

    Temporary files of killed runs are removed. Files of an earlier run stay until ``remove_replaced``. At the
    end of the context, a new folder without files is removed.

    Args:
        folder: The output folder.
        inputs: The files that the run reads, which are never overwritten.
        overwrite: Whether files of an earlier run may be overwritten.

    Yields:
        A function that removes a new folder without files, for a process that ends within the context.

    Raises:
        OutputError: If the folder is not writable, if another run holds the lock, or if a file would be
            overwritten without permission.
    """
    made = make_folder(folder)

    def remove_unused() -> None:
        with contextlib.suppress(OSError):
            if made and [path.name for path in folder.iterdir()] == [LOCK_FILE]:
                (folder / LOCK_FILE).unlink()
                for path in made:
                    path.rmdir()

    with locked_folder(folder):
        # Another run may have written files since the command checked the folder.
        check_overwrites(folder, inputs, overwrite=overwrite)
        try:
            yield remove_unused
        finally:
            remove_unused()


def remove_replaced(folder: Path) -> None:
    """Remove files of an earlier run that are not those of a new run, which is ready for its first update.

    They are the checkpoint, so that it cannot be resumed by mistake if the new run is killed before its first
    checkpoint, and the 8-bit model, which is not a version of the new model. A run that cannot start keeps
    them.

    Raises:
        OutputError: If a file cannot be removed.
    """
    with _explaining_errors(folder):
        for name in REPLACED:
            (folder / name).unlink(missing_ok=True)


def check_room(folder: Path, parameters: int) -> None:
    """Check that a disk has room for the model and the checkpoint of a new run.

    Otherwise, the checkpoint of the start could take the room of the model. The files that
    ``remove_replaced`` removes make room.

    Args:
        folder: The output folder, which exists.
        parameters: Number of parameters of the model.

    Raises:
        OutputError: If it has not.
    """
    needed = BYTES_PER_PARAMETER * parameters + REPORT_BYTES
    with _explaining_errors(folder):
        free = shutil.disk_usage(folder).free
        free += sum(path.stat().st_size for path in map(folder.joinpath, REPLACED) if path.is_file())
    if free < needed:
        raise OutputError(
            f"the disk of the folder {shorten(str(folder))} has {free / 1e6:,.1f} MB left, but the run needs "
            f"about {needed / 1e6:,.1f} MB: remove some files, or choose another folder with ",
            Name("output"),
        )


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
                stack.enter_context(FileLock(folder / LOCK_FILE, timeout=0))
                # Another run may have removed the folder between the opening of the file and its lock.
                (folder / LOCK_FILE).stat()
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
    outputs = [folder / name for name in RUN_FILES if (folder / name).exists()]
    for path in inputs:
        if path.exists() and any(map(path.samefile, outputs)):
            raise OutputError(
                f"{path} is an input; refusing to overwrite it: choose another folder with ", Name("output")
            )


def check_overwrites(folder: Path, inputs: Sequence[Path], *, overwrite: bool) -> None:
    """Check that no file would be overwritten without permission, with the arguments of ``prepared_folder``.

    Raises:
        OutputError: If a file would be overwritten.
    """
    check_inputs(folder, inputs)
    for name in RUN_FILES:
        if (folder / name).exists() and not overwrite:
            can_resume = (folder / CHECKPOINT_FILE).exists()
            resume = (", resume its run with ", Name("resume")) if can_resume else ()
            raise OutputError(
                f"{folder / name} exists: choose another folder with ",
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
