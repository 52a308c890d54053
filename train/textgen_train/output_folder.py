"""The folder that a training run leaves its files in."""

import tempfile
from collections.abc import Iterable
from pathlib import Path

from textgen_runtime.errors import OutputError

from .corpus import Corpus
from .report import FILES


def prepare_folder(folder: Path, corpora: Iterable[Corpus], *, overwrite: bool) -> None:
    """Make the folder and see that it can be used, before any work is put into it.

    Args:
        folder: Where the files will go.
        corpora: What is learned from and scored on; none of its files is ever replaced.
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
        _keep(corpus, folder)
    for name in FILES:
        if (folder / name).exists() and not overwrite:
            raise OutputError(
                f"{folder / name} exists: choose another folder with -o, or pass --overwrite to replace it"
            )


def _keep(corpus: Corpus, folder: Path) -> None:
    for path in corpus.files:
        if any((folder / name).exists() and path.samefile(folder / name) for name in FILES):
            raise OutputError(f"{path} is read, and would be replaced: choose another folder with -o")
        # A folder's texts are read again by the next run, but for those beside a model.
        if corpus.is_folder and path.parent.samefile(folder):
            raise OutputError(
                f"{path} is a part of the corpus, and the next run would leave it out, beside a model: "
                "choose another folder with -o"
            )
