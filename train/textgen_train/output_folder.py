"""The folder that a training run leaves its files in."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from textgen_runtime.errors import OutputError

from .report import FILES


def prepare_folder(folder: Path, sources: Iterable[str], *, overwrite: bool) -> None:
    """Make the folder and see that it can be used, before any work is put into it.

    Args:
        folder: Where the files will go.
        sources: What is read to learn from and to score on, as the command line names it.
        overwrite: Whether files of an earlier run may be replaced. What is read never is.

    Raises:
        OutputError: If it cannot be written to, or if something in it would be lost.
    """
    for source in map(Path, sources):
        if source.is_dir() and folder.exists() and folder.samefile(source):
            raise OutputError(
                f"{folder} is what is to be learned from, and files written there would be too, next time: "
                "choose another folder with -o"
            )
        for name in FILES:
            if (folder / name).exists() and source.exists() and source.samefile(folder / name):
                raise OutputError(
                    f"{source} is to be read, and would be replaced: choose another folder with -o"
                )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write into the folder {folder}: {error.strerror or error}") from None
    for name in FILES:
        if (folder / name).exists() and not overwrite:
            raise OutputError(
                f"{folder / name} exists: choose another folder with -o, or pass --overwrite to replace it"
            )
