"""A training run: updates and evaluations until the budget is used up, with notification of watchers."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from time import perf_counter

from .checkpoint import TrainingState
from .eval_schedule import EvalSchedule, UpdateTotals
from .evaluator import Evaluator
from .events import START, Status, Update, Watcher
from .trainer import Trainer


class TrainingRun:
    """Runs a trainer, evaluates its model on a schedule, and notifies watchers.

    Args:
        trainer: Makes the updates.
        evaluator: Evaluates the model and writes the best one.
        watchers: Notified of each event, in this order.
        evaluates_start: Whether to evaluate the model before the first update, because it is already trained.

    Attributes:
        trainer: The trainer.
        evaluator: The evaluator. Its attributes state the evaluations and the best model.
        schedule: The schedule of evaluations. Its state has their duration.
        is_complete: Whether the budget is used up and the model file holds the best model.
    """

    def __init__(
        self,
        trainer: Trainer,
        evaluator: Evaluator,
        watchers: Iterable[Watcher] = (),
        *,
        evaluates_start: bool = False,
    ) -> None:
        self.trainer, self.evaluator, self._watchers = trainer, evaluator, list(watchers)
        self.schedule = EvalSchedule(
            trainer.budget,
            trainer.updates_per_epoch,
            trainer.tokens_per_epoch,
            evaluator.scored_tokens,
        )
        self._totals = UpdateTotals()
        self._evaluates_start = evaluates_start
        self.is_complete = False

    @property
    def files(self) -> list[str]:
        """Names of the files that this run has written and keeps up to date."""
        return [*self.evaluator.files, *(name for watcher in self._watchers for name in watcher.files)]

    def add_watcher(self, watcher: Watcher) -> None:
        """Add a watcher after the others."""
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
            OutputError: If the best model could not be written. A warning was given first, and each later
                evaluation tried again. Or if a file of a watcher could not be written at the end.
            ExportError: If all exports of the run failed. Each failure is reported as a warning first.
        """
        try:
            if self.trainer.budget.minutes is not None and not self.schedule.state.evaluation_seconds:
                seconds = self.evaluator.estimate_seconds()
                self.schedule.state.evaluation_seconds = self.trainer.reserved_seconds = seconds
            check_interrupt()
            for watcher in self._watchers:
                watcher.on_start()
            if self._evaluates_start:
                # The time is part of the budget.
                started = perf_counter()
                self._evaluate_after(START)
                self.trainer.count_seconds(perf_counter() - started)
                self._evaluates_start = False
                check_interrupt()
            self._totals.start_clock()
            self._train(check_interrupt)
            if self.evaluator.model_error is None:
                for watcher in self._watchers:
                    watcher.on_complete()
                self.is_complete = True
        except KeyboardInterrupt:
            status = None if self._totals.last is None else self._status(self._totals.last)
            for watcher in self._watchers:
                watcher.on_interrupt(status)
            self._evaluate()
            raise
        finally:
            for watcher in self._watchers:
                watcher.on_end()
        if self.evaluator.model_error is not None:
            raise self.evaluator.model_error

    def state(self) -> TrainingState:
        """Return a copy of the complete state of the run, which a checkpoint file contains.

        Raises:
            TrainingError: If the last update failed or was interrupted.
        """
        return TrainingState(
            trainer=self.trainer.state(),
            eval_schedule=replace(self.schedule.state),
            since_evaluation=self._totals.state,
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
        self._totals = UpdateTotals(state.since_evaluation)
        self.evaluator.restore(state)
        if state.trainer.step or state.evaluations:
            self._evaluates_start = False

    def _train(self, check_interrupt: Callable[[], None]) -> None:
        # A restored state may have been taken after an update and before its evaluation.
        if self._totals.last is not None and self.schedule.is_due(self._totals.last):
            self._evaluate()
        for update_of_tokens in self.trainer.updates():
            update = update_of_tokens.per_character(self.evaluator.characters_per_token)
            self._totals.add(update)
            status = self._status(update)
            for watcher in self._watchers:
                watcher.on_update(status)
            if self.schedule.is_due(update):
                self._evaluate()
            check_interrupt()
        # If the time ran out before an evaluation was due, evaluate the final model.
        self._evaluate()

    def _status(self, update: Update) -> Status:
        return Status(
            update=update,
            updates=self._totals.updates,
            nats=self._totals.nats,
            speed=self._totals.speed,
            unit=self.trainer.unit,
            seconds_left=self.schedule.seconds_left(update),
        )

    def _evaluate(self) -> None:
        """Evaluate the model if there was an update since the last evaluation."""
        if self._totals.last is not None:
            self._evaluate_after(self._totals.last)

    def _evaluate_after(self, update: Update) -> None:
        """Evaluate the model and notify the watchers."""
        started = perf_counter()
        status = self._status(update)
        for watcher in self._watchers:
            watcher.on_evaluation_start(status)
        history = self.evaluator.evaluate(status)
        # Reset the totals before the watchers are notified. If a watcher requests the state, it must describe
        # the run after the evaluation.
        evaluation_end = perf_counter()
        self._totals = UpdateTotals()
        self.schedule.record_evaluation(update, evaluation_end - started)
        if history:
            for watcher in self._watchers:
                watcher.on_evaluation(history)
        self.schedule.extend_evaluation(perf_counter() - evaluation_end)
        self.trainer.reserved_seconds = self.schedule.state.evaluation_seconds
        self._totals.start_clock()
