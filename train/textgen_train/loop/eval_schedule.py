"""The schedule of evaluations in a training run, and the estimate of its remaining time."""

import math

from textgen_train.recipe import Budget

from .checkpoint import ScheduleState
from .events import Update

# With a budget of minutes, all evaluations together take about this fraction of the run at most, unless the
# last one alone takes more. With a budget of epochs, an evaluation takes at most this fraction of the
# training since the one before it, or MAX_FRACTION_IN_FEW if there would be fewer than MAX_EVALUATIONS.
MAX_EVALUATION_FRACTION = 0.03
MAX_FRACTION_IN_FEW = 0.15

# The first evaluation is early, so that a user soon sees whether the loss falls. It begins after this
# fraction of the run or after a minute, whichever is earlier.
FIRST_EVALUATION_FRACTION = 0.05
MAX_SECONDS_TO_FIRST = 60.0

# The maximum number of evaluations after the first one in a run by minutes, and the minimum time between two.
MAX_EVALUATIONS = 20
MIN_SECONDS_BETWEEN = 8.0

# With a budget of epochs, the schedule counts updates instead of time. A repeated run then evaluates after
# the same updates and saves the same model. An evaluation follows an epoch if there were at least
# MIN_UPDATES_BETWEEN updates since the previous evaluation. Within a long epoch, there is an evaluation every
# MAX_UPDATES_BETWEEN updates if it does not take too large a share.
MIN_UPDATES_BETWEEN = 200
MAX_UPDATES_BETWEEN = 2000
# Approximate ratio of the time to train on a character to the time to evaluate it: 2.0 to 2.7 for the presets
# small and large on two cores.
TRAINING_COST_RATIO = 2.5


class EvalSchedule:
    """Decides after each update whether to evaluate.

    Args:
        budget: Budget of the run.
        updates_per_epoch: Number of updates per epoch.
        tokens_per_epoch: Number of input tokens per epoch.
        scored_tokens: Number of tokens that an evaluation scores.

    Attributes:
        state: The past evaluations. A checkpoint has a copy.
    """

    def __init__(
        self, budget: Budget, updates_per_epoch: int, tokens_per_epoch: int, scored_tokens: int
    ) -> None:
        self._budget, self._updates_per_epoch = budget, updates_per_epoch
        self._min_updates = MIN_UPDATES_BETWEEN
        if budget.epochs is not None:
            # The number of updates that take as long as an evaluation.
            cost = scored_tokens / TRAINING_COST_RATIO * updates_per_epoch / tokens_per_epoch
            in_few = max(cost / MAX_FRACTION_IN_FEW, budget.epochs * updates_per_epoch / MAX_EVALUATIONS)
            self._min_updates = max(
                MIN_UPDATES_BETWEEN, math.ceil(min(cost / MAX_EVALUATION_FRACTION, in_few))
            )
        self.state = ScheduleState()

    def record_evaluation(self, update: Update, seconds: float) -> None:
        """Record that an evaluation after this update took this number of seconds.

        An evaluation before the first update does not count, so that the next one is as early as in other
        runs.
        """
        self.state.evaluations += update.step > 0
        self.state.last_step, self.state.last_seconds = update.step, update.seconds + seconds
        self.state.paused_seconds += seconds
        self.state.evaluation_seconds = seconds

    def extend_evaluation(self, seconds: float) -> None:
        """Add the time of the watchers to the duration of the last evaluation."""
        self.state.last_seconds += seconds
        self.state.paused_seconds += seconds
        self.state.evaluation_seconds += seconds

    def is_due(self, update: Update) -> bool:
        """Whether to evaluate after this update. Always true for the last update."""
        if update.progress >= 1.0:
            return True
        return (
            self._is_due_by_time(update) if self._budget.epochs is None else self._is_due_by_updates(update)
        )

    def seconds_left(self, update: Update) -> float:
        """Return the estimated time until the end of the run, including evaluations."""
        if self._budget.epochs is None:
            return max(0.0, 60 * (self._budget.minutes or 0) - update.seconds)
        updates = self._budget.epochs * self._updates_per_epoch - update.step
        seconds_per_update = (update.seconds - self.state.paused_seconds) / max(update.step, 1)
        evaluations = math.ceil(updates / self._updates_between())
        # The clocks of updates and evaluations differ slightly, so the estimate may be below 0.
        return max(0.0, updates * seconds_per_update + evaluations * self.state.evaluation_seconds)

    def _is_due_by_time(self, update: Update) -> bool:
        duration = self.state.evaluation_seconds
        total = self._budget.training_seconds(duration)
        # The time of the evaluations between the first and the last one.
        seconds_between = MAX_EVALUATION_FRACTION * total - 2 * duration
        if seconds_between <= 0:
            # It may have been a single slow one, or a wrong estimate.
            interval = duration / MAX_EVALUATION_FRACTION
        elif self.state.evaluations:
            interval = max(total / MAX_EVALUATIONS, MIN_SECONDS_BETWEEN, total * duration / seconds_between)
        else:
            interval = min(FIRST_EVALUATION_FRACTION * total, MAX_SECONDS_TO_FIRST)
        # An evaluation is not due shortly before the end, because there is always one after the last update.
        seconds_left = total * (1.0 - update.progress)
        return update.seconds - self.state.last_seconds >= interval and seconds_left > interval / 2

    def _is_due_by_updates(self, update: Update) -> bool:
        if not self.state.evaluations:
            total = (self._budget.epochs or 1) * self._updates_per_epoch
            return update.step >= min(math.ceil(FIRST_EVALUATION_FRACTION * total), self._updates_per_epoch)
        updates_since = update.step - self.state.last_step
        return updates_since >= self._min_updates and (
            update.ends_epoch or updates_since >= MAX_UPDATES_BETWEEN
        )

    def _updates_between(self) -> int:
        """Return the approximate number of updates between two evaluations."""
        if self._updates_per_epoch > MAX_UPDATES_BETWEEN:
            return max(self._min_updates, MAX_UPDATES_BETWEEN)
        return math.ceil(self._min_updates / self._updates_per_epoch) * self._updates_per_epoch
