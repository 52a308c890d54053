"""A training run: updates and evaluations until the budget is used up, with notification of watchers."""

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

from .checkpoint import TrainingState
from .eval_schedule import EvalSchedule
from .evaluator import Evaluator
from .events import Status, Watcher
from .trainer import Trainer


class TrainingRun:
    """Runs a trainer, evaluates its model on a schedule, and notifies watchers.

    Args:
        trainer: Makes the updates.
        evaluator: Evaluates the model and writes the best one.
        evaluates_start: Whether to evaluate the model before the first update, because it is already trained.

    Attributes:
        trainer: The trainer.
        evaluator: The evaluator. Its attributes state the evaluations and the best model.
        schedule: The schedule of evaluations. Its state has their duration.
        is_started: Whether the run has started, here or before its state was restored. The checkpoint in its
            folder, if there is one, is then its own.
        is_complete: Whether the budget is used up and the files of the result are written.
    """

    def __init__(self, trainer: Trainer, evaluator: Evaluator, *, evaluates_start: bool = False) -> None:
        self.trainer, self.evaluator = trainer, evaluator
        self._watchers: list[Watcher] = []
        self.schedule = EvalSchedule(
            trainer.budget,
            trainer.updates_per_epoch,
            trainer.tokens_per_epoch,
            evaluator.scored_tokens,
        )
        self._status = Status()
        self._evaluates_start = evaluates_start
        self.is_started = self.is_complete = False

    @property
    def files(self) -> list[str]:
        """Names of the files that this run has written and keeps up to date."""
        return [*self.evaluator.files, *(name for watcher in self._watchers for name in watcher.files)]

    def add_watcher(self, watcher: Watcher) -> None:
        """Add a watcher, which is notified of each event after the others."""
        self._watchers.append(watcher)

    def run(self, check_interrupt: Callable[[], None] = lambda: None) -> None:
        """Train until the budget is used up.

        Args:
            check_interrupt: Called before the first update and after each update. If an evaluation follows
                the update, it is called after the evaluation. It may raise KeyboardInterrupt.

        Raises:
            KeyboardInterrupt: If interrupted. The current model is evaluated first, and the model file
                contains the best model.
            LossError: If a loss is NaN or infinite. The model file contains the best earlier model.
            OutputError: If the model file, or at the end a file of a watcher, cannot be written, or if a file
                of an earlier run cannot be removed.
            ExportError: If there is no model, because all exports failed. Each failure is reported as a
                warning first.
        """
        try:
            if self.trainer.budget.minutes is not None and not self.schedule.state.evaluation_seconds:
                seconds = self.evaluator.estimate_seconds()
                self.schedule.state.evaluation_seconds = self.trainer.reserved_seconds = seconds
            check_interrupt()
            for watcher in self._watchers:
                watcher.on_start()
            self.is_started = True
            # Evaluations before the first update are part of the budget.
            with self.trainer.counting_seconds():
                if self._evaluates_start:
                    self._evaluate_now()
                    self._evaluates_start = False
                    check_interrupt()
                self._train(check_interrupt)
            if self.evaluator.best is None and self.evaluator.export_error:
                raise self.evaluator.export_error
            for watcher in self._watchers:
                watcher.on_complete()
            self.is_complete = True
        except KeyboardInterrupt:
            for watcher in self._watchers:
                watcher.on_interrupt(self._status if self._status.updates else None)
            self._evaluate()
            raise
        finally:
            for watcher in self._watchers:
                watcher.on_end()

    def state(self) -> TrainingState:
        """Return a copy of the complete state of the run, which a checkpoint file contains.

        Raises:
            TrainingError: If the last update failed or was interrupted.
        """
        return TrainingState(
            trainer=self.trainer.state(),
            eval_schedule=replace(self.schedule.state),
            status=self._status,
            **self.evaluator.state(),
        )

    def restore(self, state: TrainingState) -> None:
        """Copy a state into this run. Call it before ``run``, which then continues from the state.

        Args:
            state: State of a run with the same corpus, recipe, seed and number of replicas. The
                folder of this run has the model file of that run.

        Raises:
            TrainingError: If the state does not fit the trainer.
        """
        self.trainer.restore(state.trainer)
        self.schedule.state = replace(state.eval_schedule)
        self.trainer.reserved_seconds = self.schedule.state.evaluation_seconds
        self._status = state.status
        self.evaluator.restore(state)
        self.is_started = True
        if state.trainer.step or state.evaluations:
            self._evaluates_start = False

    def _train(self, check_interrupt: Callable[[], None]) -> None:
        # A restored state may have been taken after an update and before its evaluation.
        if self._status.updates and self.schedule.is_due(self._status.update):
            self._evaluate()
        for update_of_tokens in self.trainer.updates():
            update = update_of_tokens.per_character(self.evaluator.characters_per_token)
            self._status = self._status.after(
                update, update.seconds - self.schedule.state.last_seconds, self.schedule.seconds_left(update)
            )
            for watcher in self._watchers:
                watcher.on_update(self._status)
            if self.schedule.is_due(update):
                self._evaluate()
            check_interrupt()
        # If the time ran out before an evaluation was due, evaluate the final model.
        self._evaluate()
        if self.evaluator.best is None and self.evaluator.export_error is None:
            # The run was interrupted after the export of the final model had failed.
            self._evaluate_now()

    def _evaluate(self) -> None:
        """Evaluate the model if there was an update since the last evaluation, so that its file is there."""
        if self._status.updates:
            self._evaluate_now()
        else:
            self.evaluator.keep_last(self.trainer.step)

    def _evaluate_now(self) -> None:
        """Evaluate the model and notify the watchers."""
        started, update = perf_counter(), self._status.update
        for watcher in self._watchers:
            watcher.on_evaluation_start(self._status)
        history = self.evaluator.evaluate(self._status)
        # Reset the totals before the watchers are notified. If a watcher requests the state, it must describe
        # the run after the evaluation.
        evaluation_end = perf_counter()
        self._status = Status(update)
        self.schedule.record_evaluation(update, evaluation_end - started)
        if history:
            for watcher in self._watchers:
                watcher.on_evaluation(history)
        self.schedule.extend_evaluation(perf_counter() - evaluation_end)
        self.trainer.reserved_seconds = self.schedule.state.evaluation_seconds
