"""A training run: updates and evaluations until the budget is used up, and watchers that are told of them."""

from collections.abc import Callable, Iterable
from time import perf_counter

from .checkpoint import TrainingState
from .eval_result import Evaluation
from .eval_schedule import EvalSchedule, SinceEvaluation
from .evaluator import Evaluator
from .trainer import Trainer
from .update import Update
from .watcher import Status, Watcher


class TrainingRun:
    """Runs a trainer, and evaluates its model now and then.

    Args:
        trainer: What trains.
        evaluator: What scores the model and keeps the best.
        watchers: What is told of all that happens, in this order.
    """

    def __init__(self, trainer: Trainer, evaluator: Evaluator, watchers: Iterable[Watcher] = ()) -> None:
        self._trainer, self._evaluator, self._watchers = trainer, evaluator, list(watchers)
        self._schedule = EvalSchedule(
            trainer.budget, trainer.updates_an_epoch, trainer.characters_an_epoch, evaluator.characters
        )
        self._since = SinceEvaluation()

    @property
    def best(self) -> Evaluation | None:
        """The evaluation of the model in its file; None if there is none."""
        return self._evaluator.best

    @property
    def files(self) -> list[str]:
        """Names of the files that are in the folder and up to date."""
        return [*self._evaluator.files, *(name for watcher in self._watchers for name in watcher.files)]

    def watch(self, watcher: Watcher) -> None:
        """Tell one more watcher, after the others."""
        self._watchers.append(watcher)

    def run(self, check_interrupt: Callable[[], None] = lambda: None) -> None:
        """Train until the budget is used up.

        Args:
            check_interrupt: Called before the first update, and after each update and its evaluation; it may
                raise KeyboardInterrupt.

        Raises:
            KeyboardInterrupt: If interrupted. The model as it stands is evaluated first, and the best model
                is in its file then.
            TrainingError: If the loss is no longer a number; an earlier model is in its file then.
            OutputError: If the model cannot be written.
            ExportError: If at the end no exported model did what the trained one does; one that does not is
                warned of, and the run goes on.
        """
        try:
            if self._trainer.budget.minutes is not None and not self._schedule.evaluation_seconds:
                self._expect_evaluation(self._evaluator.estimated_seconds())
            check_interrupt()
            self._since.start_clock()
            self._train(check_interrupt)
        except KeyboardInterrupt:
            self._tell_of_interrupt()
            self._evaluate()
            raise
        finally:
            for watcher in self._watchers:
                watcher.on_end()
        if self.best is None and self._evaluator.refused is not None:
            raise self._evaluator.refused

    def state(self) -> TrainingState:
        """A copy of all that the run carries from one update to the next.

        Raises:
            TrainingError: If the last update failed or was interrupted half way.
        """
        return TrainingState(
            trainer=self._trainer.state(),
            schedule=self._schedule.state(),
            since_evaluation=self._since.state(),
            **self._evaluator.state(),
        )

    def restore(self, state: TrainingState) -> None:
        """Go on from a state; before ``run``.

        Args:
            state: Of a run with the same corpus, recipe, seed and number of replicas.

        Raises:
            TrainingError: If it does not fit the trainer.
        """
        self._trainer.restore(state.trainer)
        self._schedule.restore(state.schedule)
        self._trainer.reserved_seconds = self._schedule.evaluation_seconds
        self._since = SinceEvaluation.from_state(state.since_evaluation)
        self._evaluator.restore(state.as_dict())

    def _train(self, check_interrupt: Callable[[], None]) -> None:
        # A state may be of the moment between an update and its evaluation.
        if self._since.last is not None and self._schedule.is_due(self._since.last):
            self._evaluate()
        for update in self._trainer.updates():
            self._since.add(update)
            status = self._status(update)
            for watcher in self._watchers:
                watcher.on_update(status)
            if self._schedule.is_due(update):
                self._evaluate()
            check_interrupt()
        # The time may run out between an update and the next.
        self._evaluate()

    def _status(self, update: Update) -> Status:
        return Status(
            update=update,
            updates=self._since.updates,
            nats=self._since.nats,
            speed=self._since.speed,
            unit=self._trainer.unit,
            seconds_left=self._schedule.seconds_left(update),
        )

    def _tell_of_interrupt(self) -> None:
        status = None if self._since.last is None else self._status(self._since.last)
        for watcher in self._watchers:
            watcher.on_interrupt(status)

    def _evaluate(self) -> None:
        """Evaluate the updates that have not been, if there are any, and tell the watchers."""
        update = self._since.last
        if update is None:
            return
        started = perf_counter()
        status = self._status(update)
        for watcher in self._watchers:
            watcher.on_evaluation_start(status)
        evaluated = self._evaluator.evaluate(status)
        # Before the watchers, so that the state that they may ask for has the evaluation behind it.
        scored = perf_counter()
        self._since = SinceEvaluation()
        self._schedule.evaluated(update, scored - started)
        if evaluated:
            for watcher in self._watchers:
                watcher.on_evaluation(evaluated)
        self._schedule.prolonged(perf_counter() - scored)
        self._trainer.reserved_seconds = self._schedule.evaluation_seconds
        self._since.start_clock()

    def _expect_evaluation(self, seconds: float) -> None:
        """Keep as much of the budget for the last evaluation."""
        self._schedule.evaluation_seconds = self._trainer.reserved_seconds = seconds
