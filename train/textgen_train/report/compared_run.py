"""The results of a training run, read from its output folder."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from textgen_runtime.corpus import METRICS_FILE
from textgen_runtime.errors import ModelFileError, TextgenError, shorten
from textgen_runtime.json_text import from_json
from textgen_runtime.model_file import MODEL_FILE, Metadata

from textgen_train.export.written_models import read_metadata
from textgen_train.loop.events import Evaluation
from textgen_train.loop.output_folder import LOCK_FILE, LOCK_SECONDS

MAX_METRICS_BYTES = 2**26

# The parts of the split in a model file that depend on the level.
TOKEN_COUNTS = ("training_tokens", "held_out_tokens")


class RunFolderError(TextgenError):
    """A folder does not hold the results of a training run."""


@dataclass(frozen=True)
class ComparedRun:
    """The results of a training run.

    Attributes:
        name: The name of its folder, or its path if another run has the same name.
        evaluations: At least one evaluation.
        training: The metadata ``textgen.training`` of its model; empty without a model.
        metadata: The other metadata of its model; None without a model.
        is_running: Whether a process is still writing to the folder.
    """

    name: str
    evaluations: Sequence[Evaluation]
    training: Mapping[str, Any]
    metadata: Metadata | None
    is_running: bool

    @property
    def best(self) -> Evaluation:
        """The evaluation with the lowest held-out loss."""
        return min(self.evaluations, key=lambda evaluation: evaluation.held_out_nats)

    @property
    def last(self) -> Evaluation:
        """The last evaluation."""
        return self.evaluations[-1]

    @property
    def recipe(self) -> dict[str, Any]:
        """The hyperparameters, with the names that a model file has; empty without a model."""
        recipe = self.training.get("recipe")
        return recipe if isinstance(recipe, dict) else {}

    @property
    def settings(self) -> dict[str, Any]:
        """The hyperparameters, the budget and the other choices of the user; empty without a recipe."""
        if not self.recipe or self.metadata is None:
            return {}
        budget = self.training.get("budget")
        lengths = budget.items() if isinstance(budget, dict) else ()
        return {
            **self.recipe,
            **{name: length for name, length in lengths if length is not None},
            "replicas": self.training.get("replicas"),
            "level": self.metadata.tokenizer.level,
            "records": self.metadata.records or "none",
            "min_count": self._min_count(),
            "from": self._describe_parent(),
            "teacher": self._describe_teachers(),
        }

    @property
    def text(self) -> tuple[Any, ...] | None:
        """What two runs must have in common so that their losses can be compared; None if unknown.

        The numbers of tokens do not count: losses of all levels are per character.
        """
        if not self.training or self.metadata is None:
            return None
        split = self.training.get("split")
        if isinstance(split, dict):
            split = {name: value for name, value in split.items() if name not in TOKEN_COUNTS}
        return self.training.get("sha256"), repr(split), self.metadata.normalization

    def _min_count(self) -> object:
        """Return ``--min-count`` if it has replaced characters, else 1."""
        split = self.training.get("split")
        unknown = split.get("unknown") if isinstance(split, dict) else None
        return unknown.get("min_count", 1) if isinstance(unknown, dict) else 1

    def _describe_parent(self) -> str:
        """Return from which weights the run started."""
        parent = self.training.get("parent")
        if not isinstance(parent, dict):
            return "random weights"
        corpus, sha256 = parent.get("corpus"), str(parent.get("sha256"))[:8]
        return f"a model of {corpus} ({sha256})" if corpus else f"the model {sha256}"

    def _describe_teachers(self) -> str:
        """Return the models from whose predictions the run learned, and their weight."""
        teachers = self.training.get("teachers")
        if not isinstance(teachers, list):
            return "none"
        hashes = [str(teacher.get("sha256"))[:8] for teacher in teachers if isinstance(teacher, dict)]
        return f"{' and '.join(hashes)}, weight {self.training.get('teacher_weight')}"


def run_names(folders: Sequence[Path]) -> list[str]:
    """Return for each folder a name by which it can be told from the others: its own, or its path."""
    names = [folder.resolve().name for folder in folders]
    return [
        str(folder) if names.count(name) > 1 else name for folder, name in zip(folders, names, strict=True)
    ]


def read_run(folder: Path, name: str, warn: Callable[[str], None]) -> ComparedRun:
    """Read the results of a run, which may still be going on. ``warn`` is called with single lines.

    Raises:
        RunFolderError: If there are no metrics.
    """
    if folder.is_file():
        raise RunFolderError(f"{shorten(str(folder))} is a file: pass the output folder of a run")
    evaluations = _read_metrics(folder / METRICS_FILE, warn)
    training: Mapping[str, Any] = {}
    metadata = None
    try:
        metadata = read_metadata(folder / MODEL_FILE)
        training = metadata.training
    except ModelFileError as error:
        warn(f"{error}; the recipe of this run is not known")
    return ComparedRun(name, evaluations, training, metadata, _is_locked(folder))


def _read_metrics(path: Path, warn: Callable[[str], None]) -> list[Evaluation]:
    try:
        if path.stat().st_size > MAX_METRICS_BYTES:
            raise RunFolderError(
                f"{shorten(str(path))} is too large to be the metrics of a run: pass another"
            )
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        raise RunFolderError(
            f"the folder {shorten(str(path.parent))} has no {path.name}: pass the output folder of a run"
        ) from None
    except OSError as error:
        raise RunFolderError(f"cannot read {shorten(str(path))}: {error.strerror or error}") from None
    evaluations = [evaluation for line in lines if (evaluation := _evaluation(line))]
    damaged = len(lines) - len(evaluations)
    if not evaluations:
        raise RunFolderError(f"{shorten(str(path))} has no evaluation: wait for the first one")
    if damaged:
        warn(f"{shorten(str(path))}: ignored {damaged} damaged line{'s' * (damaged > 1)}")
    return evaluations


def _evaluation(line: bytes) -> Evaluation | None:
    """Return the evaluation of a line, or None if it is damaged. Unknown fields are ignored."""
    try:
        values = from_json(line)
        known = {
            field.name: float(values[field.name])
            for field in fields(Evaluation)
            if field.default is MISSING or values.get(field.name) is not None
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    if not all(map(math.isfinite, known.values())):
        return None
    return Evaluation(**{**known, "step": int(known["step"])})  # type: ignore[arg-type]


def _is_locked(folder: Path) -> bool:
    """Return whether a training run holds the lock of a folder."""
    from filelock import FileLock, Timeout

    if not (folder / LOCK_FILE).exists():
        return False
    try:
        with FileLock(folder / LOCK_FILE, timeout=LOCK_SECONDS):
            return False
    except Timeout:
        return True
    except OSError:
        # For example a folder of another user.
        return False
