"""What happened since the last evaluation, and when the next one is due."""

from time import perf_counter

from .progress import clock
from .recipe import Budget
from .trainer import Update

# A run by time is evaluated this often, but not so often that a short one does little else.
TIMED_EVALUATIONS = 20
LEAST_SECONDS_BETWEEN = 12.0
# Nor so often that it takes more than a fifth of the time, where the held-out text is long.
EVALUATION_TO_TRAINING = 4.0

# A run by passes is evaluated after each, but where a pass is a few updates of a short text, after as many
# passes as come to this. Not by time, so that the same run keeps the same model again.
LEAST_UPDATES_BETWEEN = 50


class SinceEvaluation:
    """What happened since the last evaluation."""

    def __init__(self) -> None:
        self.started = perf_counter()
        self.updates = 0
        self.characters = 0
        self.nats = 0.0
        self.last: Update | None = None

    def add(self, update: Update) -> None:
        self.updates += 1
        self.characters += update.characters
        self.nats += update.characters * update.nats
        self.last = update

    @property
    def seconds(self) -> float:
        return perf_counter() - self.started

    @property
    def characters_per_second(self) -> float:
        return self.characters / max(self.seconds, 1e-9)

    def status(self, budget: Budget, evaluation_seconds: float) -> str:
        """A line for the progress display: loss, speed, time left.

        Args:
            budget: Of the run.
            evaluation_seconds: What an evaluation takes.
        """
        if self.last is None:
            return ""
        used = max(self.last.progress, 1e-9)
        left = (
            self.last.seconds * (1 - used) / used
            if budget.minutes is None
            else budget.training_seconds(evaluation_seconds) * (1 - used) + evaluation_seconds
        )
        loss = self.nats / max(self.characters, 1)
        return f"{loss:.3f} nats  {self.characters_per_second:,.0f} characters/s  {clock(left)} left"

    def is_due(self, update: Update, budget: Budget, evaluation_seconds: float) -> bool:
        """Whether to evaluate now.

        Args:
            update: The last one.
            budget: Of the run.
            evaluation_seconds: What an evaluation takes.
        """
        if update.progress >= 1.0:
            return True
        if budget.minutes is None:
            return update.ends_epoch and self.updates >= LEAST_UPDATES_BETWEEN
        between = max(
            60 * budget.minutes / TIMED_EVALUATIONS,
            LEAST_SECONDS_BETWEEN,
            EVALUATION_TO_TRAINING * evaluation_seconds,
        )
        left = budget.training_seconds(evaluation_seconds) * (1.0 - update.progress)
        # Not just before the end, where there is one anyway, and not so slowly that training has no time.
        return self.seconds >= between and left > max(between / 2, 3 * evaluation_seconds)
