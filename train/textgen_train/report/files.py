"""The report files of a training run: metrics, samples and loss curves."""

from collections.abc import Callable
from pathlib import Path

from textgen_runtime.corpora.folders import CURVES_FILE, METRICS_FILE, SAMPLES_FILE
from textgen_runtime.errors import OutputError
from textgen_runtime.system.files import replace_file
from textgen_runtime.system.json_text import to_json

from textgen_train.loop.eval_result import describe
from textgen_train.loop.watcher import EvaluationHistory, Watcher

from .loss_charts import loss_picture


class ReportFiles(Watcher):
    """Rewrites the metrics, samples and loss curves at each evaluation.

    If one file cannot be written, the others are still written.

    Args:
        folder: Output folder.
        title: Title of the loss curves.
        warn: Called with one line for each file that cannot be written.
    """

    def __init__(self, folder: Path, title: str, warn: Callable[[str], None]) -> None:
        self._folder, self._title, self._warn = folder, title, warn
        self.files: list[str] = []

    def on_evaluation(self, history: EvaluationHistory) -> None:
        self.files = []
        # The curves take longest. They come last, so that the other files are already written.
        for name, content in (
            (METRICS_FILE, _metrics),
            (SAMPLES_FILE, _samples),
            (CURVES_FILE, self._curves),
        ):
            try:
                self._write(self._folder / name, content(history))
            except OutputError as error:
                # The run continues, because the model matters more than its report.
                self._warn(f"{error}; the model file is not affected")

    def _curves(self, history: EvaluationHistory) -> bytes:
        return loss_picture(self._title, history.evaluations)

    def _write(self, path: Path, content: bytes) -> None:
        if content:
            replace_file(path, content)
            self.files.append(path.name)
            return
        try:
            # Without samples, remove the samples of an earlier run: they are not from this model.
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {path}: {error.strerror or error}") from error


def _metrics(history: EvaluationHistory) -> bytes:
    return "".join(to_json(evaluation.as_json()) + "\n" for evaluation in history.evaluations).encode()


def _samples(history: EvaluationHistory) -> bytes:
    return "".join(
        f"{describe(evaluation)}\n\n{samples}\n\n"
        for evaluation, samples in zip(history.evaluations, history.samples, strict=True)
        if samples
    ).encode()
