"""The files of a run beside its model and its report: metrics, samples, curves, 8-bit model, TensorBoard."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from textgen_runtime.corpus import (
    CURVES_FILE,
    METRICS_FILE,
    QUANTIZED_FILE,
    SAMPLES_FILE,
    TENSORBOARD_FOLDER,
)
from textgen_runtime.errors import ModelFileError, OutputError
from textgen_runtime.files import replace_file
from textgen_runtime.json_text import to_json
from textgen_runtime.model_file import MODEL_FILE, Quantization, read_model

from textgen_train.errors import ExportError
from textgen_train.export.quantizer import quantize_model
from textgen_train.loop.events import EvaluationHistory, Status, Watcher, describe
from textgen_train.loop.held_out_loss import held_out_loss
from textgen_train.loop.specification import RunSpecification

from .losses import loss_picture

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter


class ReportFiles(Watcher):
    """Rewrites the metrics, samples and loss curves at each evaluation.

    If one file cannot be written, there is a warning, and the others are still written.
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
        return loss_picture(self._title, history)

    def _write(self, path: Path, content: bytes) -> None:
        if content:
            replace_file(path, content)
            self.files.append(path.name)


def _metrics(history: EvaluationHistory) -> bytes:
    return "".join(to_json(evaluation.as_json()) + "\n" for evaluation in history.evaluations).encode()


def _samples(history: EvaluationHistory) -> bytes:
    return "".join(
        f"{describe(evaluation)}\n\n{samples}\n\n"
        for evaluation, samples in zip(history.evaluations, history.samples, strict=True)
        if samples
    ).encode()


class QuantizedFile(Watcher):
    """Converts the model file of a complete run to 8 bits, and scores it on the held-out text.

    Args:
        write: Called with one line about the result.
        warn: Called with one line if there is no 8-bit model, or if its loss is much larger.

    Attributes:
        quantization: The losses of both models; None before the end of the run, and if there is no 8-bit
            model.
    """

    def __init__(
        self,
        specification: RunSpecification,
        folder: Path,
        write: Callable[[str], None],
        warn: Callable[[str], None],
        threads: int = 1,
    ) -> None:
        self._specification, self._folder = specification, folder
        self._write, self._warn, self._threads = write, warn, threads
        self.quantization: Quantization | None = None
        self.files: list[str] = []

    def on_complete(self) -> None:
        """Write the 8-bit model.

        Raises:
            OutputError: If the file cannot be written. A resumed run tries again.
        """
        specification, dataset = self._specification, self._specification.dataset
        text = specification.held_out or specification.corpus
        try:
            models = quantize_model(read_model(self._folder / MODEL_FILE), self._threads)
            loss = held_out_loss(models.model, dataset, self._threads)
            quantized = models.compared(
                loss,
                models.float32.training["held_out_nats"],
                dataset.held_out_characters,
                {"name": text.name, "last": dataset.held_out_share or 1.0},
            )
        except (ExportError, ModelFileError) as error:
            self._warn(f"{error}; {MODEL_FILE} is not affected")
            return
        replace_file(self._folder / QUANTIZED_FILE, quantized.content)
        self.files, self.quantization = [QUANTIZED_FILE], quantized.quantization
        self._write(f"8 bits: held-out loss {loss:.4f} nats ({quantized.increase:+z.4f}), {quantized.size}")
        if quantized.warning:
            self._warn(quantized.warning)


# The minimum time between two points of the training loss.
SECONDS_BETWEEN_POINTS = 1.0


class TensorBoard(Watcher):
    """Writes events to the folder ``tensorboard`` in the output folder.

    A resumed run adds a file that replaces the events after the update from which it continues. If the events
    cannot be written, there is a warning, and the run continues without them.
    """

    def __init__(self, folder: Path, warn: Callable[[str], None]) -> None:
        self._folder, self._warn = folder / TENSORBOARD_FOLDER, warn
        self._writer: SummaryWriter | None = None
        self._has_failed = False
        self._last_point = 0.0
        self.files: list[str] = []

    def on_update(self, status: Status) -> None:
        now = perf_counter()
        if now - self._last_point < SECONDS_BETWEEN_POINTS:
            return
        self._last_point = now
        update = status.update
        self._write(
            update.step,
            {
                "loss/with dropout": update.nats,
                "learning rate": update.learning_rate,
                "characters per second": status.speed,
            },
        )

    def on_evaluation(self, history: EvaluationHistory) -> None:
        evaluation = history.evaluations[-1]
        values = {"loss/held out": evaluation.held_out_nats, "loss/training": evaluation.training_eval_nats}
        self._write(evaluation.step, values, history.samples[-1])

    def on_end(self) -> None:
        if self._writer is not None:
            self._attempt(self._writer.close)

    def _write(self, step: int, values: dict[str, float], samples: str = "") -> None:
        def write() -> None:
            writer = self._open(step)
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            if samples:
                # TensorBoard shows Markdown, in which an indented text is a literal block.
                writer.add_text("samples", samples.replace("\n", "\n    ").join(("    ", "")), step)
            writer.flush()

        self._attempt(write)

    def _open(self, step: int) -> "SummaryWriter":
        if self._writer is None:
            # The import takes a second.
            from torch.utils.tensorboard.writer import SummaryWriter

            self._writer = SummaryWriter(str(self._folder), purge_step=step)
            self.files = [TENSORBOARD_FOLDER]
        return self._writer

    def _attempt(self, write: Callable[[], None]) -> None:
        if self._has_failed:
            return
        try:
            write()
        except OSError as error:
            self._has_failed = True
            self.files = []
            self._warn(
                f"cannot write {self._folder}: {error.strerror or error}; TensorBoard gets no more events of "
                "this run"
            )
