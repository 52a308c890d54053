"""The display of a training run: progress, evaluations, samples and warnings."""

from textgen_train.loop.eval_result import describe
from textgen_train.loop.watcher import EvaluationHistory, Status, Watcher

from .progress import Progress
from .scales import format_duration


class Display(Watcher):
    """Shows a run on a progress display."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_update(self, status: Status) -> None:
        seconds, left = status.update.seconds, status.seconds_left
        # A share of the time, not of the updates: an evaluation follows the last update.
        self._progress.show(
            seconds / max(seconds + left, 1e-9),
            f"{status.nats:.3f} nats  {status.speed:,.0f} {status.unit}/s  {format_duration(left)} left",
        )

    def on_evaluation(self, history: EvaluationHistory) -> None:
        evaluation, best = history.evaluations[-1], history.best
        best_so_far = f"; best so far {best.held_out_nats:.4f}" if best is not evaluation else ""
        self._progress.write(f"{describe(evaluation)}{best_so_far}")
        if samples := history.samples[-1]:
            self._progress.write(f"{samples}\n")

    def on_interrupt(self, status: Status | None) -> None:
        if status is not None:
            self._progress.warn(
                "interrupted; evaluating the current model before the end (press Ctrl-C again to discard it)"
            )

    def on_end(self) -> None:
        self._progress.close()
