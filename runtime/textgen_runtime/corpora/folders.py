"""The files of a folder that are a corpus."""

from pathlib import Path
from typing import NamedTuple

from textgen_runtime.errors import CorpusError
from textgen_runtime.model_file.bundled import MODEL_FILE

from .sources import COMPRESSED

# What training writes to its output folder. It is not part of a corpus.
RUN_FILES = (
    MODEL_FILE,
    # The 8-bit version of the model file.
    QUANTIZED_FILE := "model.int8.onnx",
    METRICS_FILE := "metrics.jsonl",
    SAMPLES_FILE := "samples.txt",
    CURVES_FILE := "loss.svg",
    CHECKPOINT_FILE := "checkpoint.safetensors",
    REPORT_FILE := "report.html",
    TENSORBOARD_FOLDER := "tensorboard",
)

# Plain text and music in ABC notation.
TEXT_FILES = tuple(f"{kind}{packed}" for kind in (".txt", ".abc") for packed in ("", *COMPRESSED))


class FolderFiles(NamedTuple):
    """The files of a folder and of its sub-folders, without hidden ones and those of training runs.

    Attributes:
        read: The files that are read, in the order of their paths.
        skipped: The number of other files.
    """

    read: tuple[Path, ...]
    skipped: int


def find_files(folder: Path, *, any_bytes: bool) -> FolderFiles:
    """Find the files of a folder that are read.

    Args:
        folder: The folder.
        any_bytes: Whether to read all files, not only those with the name of a text.

    Raises:
        CorpusError: If no file is read.
    """
    found = [
        path
        for path in folder.rglob("*")
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.is_file()
        and not _is_output(path, folder)
    ]
    read = found if any_bytes else [path for path in found if path.name.endswith(TEXT_FILES)]
    if not read:
        kinds = "" if any_bytes else " .txt or .abc"
        raise CorpusError(f"the folder {folder} has no{kinds} files")
    return FolderFiles(tuple(sorted(read)), len(found) - len(read))


def _is_output(path: Path, folder: Path) -> bool:
    """Return whether a training run has written a file: it, or a folder with it, is beside a model."""
    depth = len(path.relative_to(folder).parts)
    return any(
        part.name in RUN_FILES
        and any((part.parent / mark).exists() for mark in (MODEL_FILE, CHECKPOINT_FILE))
        for part in (path, *path.parents)[:depth]
    )
