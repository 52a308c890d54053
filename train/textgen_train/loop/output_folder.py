"""The folder that a training run leaves its files in."""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from textgen_runtime.corpora.corpus import SAMPLES_FILE, Corpus
from textgen_runtime.errors import OutputError, shorten
from textgen_runtime.model_file.bundled import MODEL_FILE
from textgen_runtime.system.files import remove_abandoned

METRICS_FILE = "metrics.jsonl"
CURVES_FILE = "loss.png"
FILES = (MODEL_FILE, METRICS_FILE, SAMPLES_FILE, CURVES_FILE)

# Stays in the folder, since a run that has just opened it could otherwise lock a file that is removed. It is
# the system that holds the lock, and only as long as the process lives.
LOCK_FILE = ".textgen-train.lock"


@contextlib.contextmanager
def prepared_folder(folder: Path, corpora: Sequence[Corpus], *, overwrite: bool) -> Iterator[None]:
    """Make the folder, see that it can be used, and keep other runs out of it while the context lasts.

    Temporary files of runs that were killed are removed.

    Args:
        folder: Where the files will go.
        corpora: What is learned from and scored on; none of their files is ever replaced.
        overwrite: Whether files of an earlier run may be replaced.

    Raises:
        OutputError: If it cannot be written to, if another run is writing into it, or if something in it
            would be lost.
    """
    # Only here, because the runtime alone does not bring it.
    from filelock import FileLock, Timeout

    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
            # Before the lock as well, so that no lock file is left in a folder that is refused.
            _refuse_to_lose(folder, corpora, overwrite=overwrite)
            stack.enter_context(FileLock(folder / LOCK_FILE, timeout=0))
        except Timeout:
            raise OutputError(
                f"another run of textgen-train is writing into the folder {folder}: wait for its end, or "
                "choose another folder with -o"
            ) from None
        except OSError as error:
            raise OutputError(
                f"cannot write into the folder {shorten(str(folder))}: {error.strerror or error}"
            ) from None
        _refuse_to_lose(folder, corpora, overwrite=overwrite)
        remove_abandoned(folder)
        yield


def _refuse_to_lose(folder: Path, corpora: Sequence[Corpus], *, overwrite: bool) -> None:
    for corpus in corpora:
        for path in corpus.files:
            if any((folder / name).exists() and path.samefile(folder / name) for name in FILES):
                raise OutputError(f"{path} is read, and would be replaced: choose another folder with -o")
    for name in FILES:
        if (folder / name).exists() and not overwrite:
            raise OutputError(
                f"{folder / name} exists: choose another folder with -o, or pass --overwrite to replace it"
            )
