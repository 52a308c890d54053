"""Event files for TensorBoard: losses, learning rate, speed and samples."""

from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from textgen_runtime.corpora.folders import TENSORBOARD_FOLDER

from textgen_train.loop.watcher import EvaluationHistory, Status, Watcher

if TYPE_CHECKING:
    from torch.utils.tensorboard.writer import SummaryWriter

# The start of the name of an event file.
EVENTS_PREFIX = "events.out.tfevents."

# The minimum time between two points of the training loss.
SECONDS_BETWEEN_POINTS = 1.0


class TensorBoard(Watcher):
    """Writes events to the folder ``tensorboard`` in the output folder.

    A new run removes the event files of an earlier run. A resumed run adds a file that replaces the events
    after the update from which it continues.

    Args:
        folder: The output folder.
        warn: Called with one line if the events cannot be written. The run then continues without them.
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
                f"{status.unit} per second": status.speed,
            },
        )

    def on_evaluation(self, history: EvaluationHistory) -> None:
        evaluation = history.evaluations[-1]
        values = {"loss/held out": evaluation.held_out_nats}
        if evaluation.training_eval_nats is not None:
            values["loss/training"] = evaluation.training_eval_nats
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

            # The step is 0 if the run starts from a model.
            if step <= 1:
                for path in self._folder.glob(f"{EVENTS_PREFIX}*"):
                    path.unlink()
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
