"""What a training run leaves behind beside the model: figures, samples, and the curves."""

from collections.abc import Callable
from pathlib import Path

from textgen_runtime.corpora.corpus import SAMPLES_FILE
from textgen_runtime.errors import OutputError
from textgen_runtime.system.files import replace_file
from textgen_runtime.system.json_text import to_json

from textgen_train.loop.eval_result import describe
from textgen_train.loop.output_folder import CURVES_FILE, METRICS_FILE
from textgen_train.loop.watcher import Evaluated, Watcher

from .curves import draw_curves


class ReportFiles(Watcher):
    """Writes all figures, samples and curves anew at each evaluation.

    Args:
        folder: Where the files go.
        title: Of the curves.
        warn: Called with a line for each file that could not be written; the others are.
    """

    def __init__(self, folder: Path, title: str, warn: Callable[[str], None]) -> None:
        self._folder, self._title, self._warn = folder, title, warn
        self.files: list[str] = []

    def on_evaluation(self, evaluated: Evaluated) -> None:
        self.files = []
        # The picture last: it takes longest, and whatever happens meanwhile costs no figures.
        for name, content in (
            (METRICS_FILE, _metrics),
            (SAMPLES_FILE, _samples),
            (CURVES_FILE, self._curves),
        ):
            try:
                self._put(self._folder / name, content(evaluated))
            except OutputError as error:
                # The model is what the time was spent on; it is not given up for a picture.
                self._warn(f"{error}; the model is safe")

    def _curves(self, evaluated: Evaluated) -> bytes:
        return draw_curves(self._title, evaluated.evaluations)

    def _put(self, path: Path, content: bytes) -> None:
        if content:
            replace_file(path, content)
            self.files.append(path.name)
            return
        try:
            # What an earlier run left there is not of this model.
            path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove {path}: {error.strerror or error}") from error


def _metrics(evaluated: Evaluated) -> bytes:
    return "".join(to_json(entry.as_json()) + "\n" for entry in evaluated.evaluations).encode()


def _samples(evaluated: Evaluated) -> bytes:
    return "".join(
        f"{describe(evaluation)}\n\n{samples}\n\n"
        for evaluation, samples in zip(evaluated.evaluations, evaluated.samples, strict=True)
        if samples
    ).encode()
