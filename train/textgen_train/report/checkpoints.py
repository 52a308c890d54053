"""A watcher that writes the checkpoint of a training run."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

from textgen_runtime.corpora.folders import CHECKPOINT_FILE
from textgen_runtime.errors import OutputError

from textgen_train.errors import TrainingError
from textgen_train.loop.checkpoint_file import write_checkpoint
from textgen_train.loop.run import TrainingRun
from textgen_train.loop.watcher import EvaluationHistory, Status, Watcher

# Checkpoints take at most this fraction of the time. The next one is assumed to take as long as the last one.
MAX_FRACTION = 0.01

# Minimum time between two checkpoints that no other event causes.
MIN_SECONDS_BETWEEN = 10.0


class CheckpointWriter(Watcher):
    """Writes the state of a run to a file, so that another process can resume the run.

    It writes before the first update, every few seconds, after an evaluation, at an interrupt, before the
    last evaluation, and at the end. A state after an interrupt is not written: it would include an evaluation
    that the uninterrupted run does not have.

    If the file cannot be written, the run continues, and the next checkpoint is tried as usual. Only the
    first of several successive failures is warned about.

    Args:
        run: The run.
        description: The description of the run that the file contains; see ``encode_checkpoint``.
        folder: Output folder. If it has a checkpoint, it is one of this run, which is resumed.
        warn: Called with one line if the file cannot be written.
    """

    def __init__(
        self, run: TrainingRun, description: dict[str, Any], folder: Path, warn: Callable[[str], None]
    ) -> None:
        self._run, self._description, self._warn = run, description, warn
        self._path = folder / CHECKPOINT_FILE
        self._failed = self._is_active = False
        # The end and the duration of the last attempt.
        self._last_end = self._seconds = 0.0
        self.files: list[str] = []

    def on_start(self) -> None:
        self._is_active = True
        self._write()

    def on_update(self, status: Status) -> None:
        # The evaluation after the last update may take long, or fail to write the model.
        if status.update.progress >= 1.0 or self._is_due(MIN_SECONDS_BETWEEN):
            self._write()

    def on_evaluation(self, history: EvaluationHistory) -> None:
        del history
        # If the model could not be written, a resumed run must repeat the evaluation.
        if self._is_active and self._run.model_error is None and self._is_due(0.0):
            self._write()

    def on_interrupt(self, status: Status | None) -> None:
        del status
        # Before the start there is nothing to resume.
        if self._is_active:
            self._write()
        self._is_active = False

    def on_end(self) -> None:
        if self._run.is_complete:
            self._write(complete=True)

    def _is_due(self, min_seconds: float) -> bool:
        interval = max(min_seconds, self._seconds * (1 / MAX_FRACTION - 1))
        return perf_counter() - self._last_end >= interval

    def _write(self, *, complete: bool = False) -> None:
        started = perf_counter()
        try:
            write_checkpoint(self._path, self._description, self._run.state(), complete=complete)
        except (OutputError, TrainingError) as error:
            if not self._failed:
                self._warn(f"{error}; the last state is not saved")
            self._failed = True
        else:
            self._failed, self.files = False, [CHECKPOINT_FILE]
        self._last_end = perf_counter()
        self._seconds = self._last_end - started
