"""What watches a training run."""

from collections.abc import Sequence
from dataclasses import dataclass

from .eval_result import Evaluation
from .update import Update


@dataclass(frozen=True)
class Status:
    """Where training stands.

    Attributes:
        update: The last one.
        updates: How many there were since the last evaluation.
        nats: Their mean loss a character.
        speed: Units a second since the last evaluation.
        unit: What speed is counted in: characters or windows.
        seconds_left: How long the run will still take.
    """

    update: Update
    updates: int
    nats: float
    speed: float
    unit: str
    seconds_left: float


@dataclass(frozen=True)
class Evaluated:
    """An evaluation, and those before it.

    Attributes:
        evaluations: All so far; this one is the last.
        samples: The samples of each; "" where there are none.
        best: The one whose model is kept.
    """

    evaluations: Sequence[Evaluation]
    samples: Sequence[str]
    best: Evaluation


class Watcher:
    """Is told what happens in a training run; the base of all watchers, which does nothing.

    A watcher must not draw from the trainer's random generators or change its weights, and it should warn
    rather than raise: an exception ends the run. In each of the methods but ``on_end``,
    ``TrainingRun.state`` gives a state from which another run does all that this one does next.

    Attributes:
        files: Names of the files in the run's folder that are there and that it keeps up to date.
    """

    files: Sequence[str] = ()

    def on_update(self, status: Status) -> None:
        """The weights have changed; an evaluation may follow."""

    def on_evaluation_start(self, status: Status) -> None:
        """An evaluation begins."""

    def on_evaluation(self, evaluated: Evaluated) -> None:
        """The model has been scored, and is in its file if it is the best."""

    def on_interrupt(self, status: Status | None) -> None:
        """The run was interrupted; if that was in the middle of an update, there is no state.

        Args:
            status: Of the updates that are not evaluated; an evaluation of them follows, which a run without
                an interrupt would not have. None if there are none.
        """

    def on_end(self) -> None:
        """The run has ended, after an error or an interrupt too; nothing else is told."""
