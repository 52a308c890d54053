"""Watchers: objects that receive the events of a training run."""

from collections.abc import Sequence
from dataclasses import dataclass

from .eval_result import Evaluation
from .update import Update


@dataclass(frozen=True)
class Status:
    """The progress of training after an update.

    Attributes:
        update: The last update.
        updates: Number of updates since the last evaluation.
        nats: Mean loss of these updates, per character.
        speed: Training speed since the last evaluation, in units per second.
        unit: Unit of the speed: characters or windows.
        seconds_left: Estimated time until the end of the run.
    """

    update: Update
    updates: int
    nats: float
    speed: float
    unit: str
    seconds_left: float


@dataclass(frozen=True)
class EvaluationHistory:
    """All evaluations of a run so far.

    Attributes:
        evaluations: In order; the last one is new.
        samples: The samples of each evaluation; "" if none were drawn.
        best: The evaluation of the best model, which is in the model file.
    """

    evaluations: Sequence[Evaluation]
    samples: Sequence[str]
    best: Evaluation


class Watcher:
    """Base class of watchers. Its methods are called during a training run and do nothing.

    A watcher must not use the trainer's random generators or change its weights. It should warn instead of
    raising, because an exception ends the run. All methods except ``on_end`` may call ``TrainingRun.state``:
    another run continues from this state exactly like this one.

    Attributes:
        files: Names of the files in the output folder that this watcher has written and keeps up to date.
    """

    files: Sequence[str] = ()

    def on_update(self, status: Status) -> None:
        """Handle an update of the weights. An evaluation may follow."""

    def on_evaluation_start(self, status: Status) -> None:
        """Handle the start of an evaluation."""

    def on_evaluation(self, history: EvaluationHistory) -> None:
        """Handle the end of an evaluation. The model file already contains the best model."""

    def on_interrupt(self, status: Status | None) -> None:
        """Handle an interrupt. If it occurred during an update, no state is available.

        Args:
            status: Progress since the last evaluation; an additional evaluation follows. None if there was no
                update since then.
        """

    def on_end(self) -> None:
        """Handle the end of the run, including an end by an error or interrupt. No other call follows."""
