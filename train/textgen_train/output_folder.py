"""The folder that a training run leaves its files in."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from textgen_runtime.corpus import Corpus
from textgen_runtime.errors import OutputError

from .report import FILES


def prepare_folder(folder: Path, corpora: Iterable[Corpus], *, overwrite: bool) -> None:
    """Make the folder and see that it can be used, before any work is put into it.

    Args:
        folder: Where the files will go.
        corpora: What is learned from and scored on; none of their files is ever replaced.
        overwrite: Whether files of an earlier run may be replaced.

    Raises:
        OutputError: If it cannot be written to, or if something in it would be lost.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(f"cannot write into the folder {folder}: {error.strerror or error}") from None
    for corpus in corpora:
        _refuse_to_replace(corpus, folder)
    for name in FILES:
        if (folder / name).exists() and not overwrite:
            raise OutputError(
                f"{folder / name} exists: choose another folder with -o, or pass --overwrite to replace it"
            )


def _refuse_to_replace(corpus: Corpus, folder: Path) -> None:
    for path in corpus.files:
        if any((folder / name).exists() and path.samefile(folder / name) for name in FILES):
            raise OutputError(f"{path} is read, and would be replaced: choose another folder with -o")
