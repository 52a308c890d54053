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
        nats: Mean loss per target in these updates, in nats.
        speed: Training speed since the last evaluation, in units per second.
        unit: The unit of the speed, "characters" or "windows".
        seconds_left: Estimated time until the end of the run, in seconds.
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
        evaluations: All evaluations in order. The last one is new.
        samples: The samples of each evaluation; "" if none were drawn.
        best: The best evaluation so far. Its model is in the model file, unless that could not be written.
    """

    evaluations: Sequence[Evaluation]
    samples: Sequence[str]
    best: Evaluation


class Watcher:
    """Base class of watchers. A training run calls the methods, which do nothing in this class.

    A watcher must not use the trainer's random generators or change its weights. It should warn instead of
    raising, because an exception ends the run. All methods may call ``TrainingRun.state``, but ``on_end``
    only if ``TrainingRun.is_complete``. A run that is restored from the result continues exactly as the
    observed run does.

    Attributes:
        files: Names of the files in the output folder that this watcher has written and keeps up to date.
    """

    files: Sequence[str] = ()

    def on_start(self) -> None:
        """Handle the start of a new or resumed run, before its first update."""

    def on_update(self, status: Status) -> None:
        """Handle an update of the weights. An evaluation may follow."""

    def on_evaluation_start(self, status: Status) -> None:
        """Handle the start of an evaluation."""

    def on_evaluation(self, history: EvaluationHistory) -> None:
        """Handle the end of an evaluation. The model file already contains the best model.

        If the model file could not be written, a warning was given.
        """

    def on_interrupt(self, status: Status | None) -> None:
        """Handle an interrupt. If it occurred during an update, no state is available.

        Args:
            status: Progress since the last evaluation; an additional evaluation follows. None if there was no
                update since then.
        """

    def on_complete(self) -> None:
        """Handle the end of the budget, if the model file contains the best model. ``on_end`` follows.

        This method may raise ``OutputError``. The run is then not complete, and a resumed run calls it again.
        """

    def on_end(self) -> None:
        """Handle the end of the run, including an end by an error or interrupt. No other call follows."""
