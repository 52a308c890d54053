"""When a training run is evaluated, and how long it will still take."""

import math
from dataclasses import asdict
from time import perf_counter
from typing import Any

from textgen_train.recipe import Budget

from .update import Update

# The first evaluation begins after this share of the run, or after a minute: a person who waits wants to see
# soon whether it learns. It ends within a tenth of the run, or waits as long as any other.
FIRST_SHARE = 0.05
MAX_SECONDS_TO_FIRST = 60.0

# Evaluations before the last take at most this share of the time that training takes.
MAX_EVALUATION_SHARE = 0.1

# A run by time has so many evaluations at most, and none sooner than this after the one before.
TIMED_EVALUATIONS = 20
MIN_SECONDS_BETWEEN = 10.0

# A run by passes is evaluated by updates and not by time, so that the same run keeps the same model again:
# at the end of a pass where there were at least MIN_UPDATES_BETWEEN, and within a long pass.
MIN_UPDATES_BETWEEN = 200
MAX_UPDATES_BETWEEN = 2000
# Training takes about three times as long for a character as an evaluation does.
TRAINING_TO_HELD_OUT = 3.0


class EvalSchedule:
    """Says when to evaluate.

    Args:
        budget: Of the run.
        updates_an_epoch: Updates in a pass over the training text.
        characters_an_epoch: Characters that are read in a pass.
        held_out: Characters that an evaluation scores.

    Attributes:
        evaluation_seconds: What an evaluation takes: the last one, or an estimate before the first.
    """

    def __init__(
        self, budget: Budget, updates_an_epoch: int, characters_an_epoch: int, held_out: int
    ) -> None:
        self._budget, self._updates_an_epoch = budget, updates_an_epoch
        # How many updates take as long as an evaluation.
        cost = held_out / TRAINING_TO_HELD_OUT * updates_an_epoch / characters_an_epoch
        self._min_updates = max(MIN_UPDATES_BETWEEN, math.ceil(cost / MAX_EVALUATION_SHARE))
        self.evaluation_seconds = 0.0
        self._evaluations = 0
        # Of the last evaluation: its update, and when it was over.
        self._last_step, self._last_seconds = 0, 0.0
        self._paused_seconds = 0.0

    def evaluated(self, update: Update, seconds: float) -> None:
        """Note that an evaluation after an update took so long."""
        self._evaluations += 1
        self._last_step, self._last_seconds = update.step, update.seconds + seconds
        self._paused_seconds += seconds
        self.evaluation_seconds = seconds

    def prolonged(self, seconds: float) -> None:
        """Note that the last evaluation took so much longer, since watchers told of it."""
        self._last_seconds += seconds
        self._paused_seconds += seconds
        self.evaluation_seconds += seconds

    def state(self) -> dict[str, float]:
        """What is carried from one update to the next."""
        return {
            "evaluation_seconds": self.evaluation_seconds,
            "evaluations": self._evaluations,
            "last_step": self._last_step,
            "last_seconds": self._last_seconds,
            "paused_seconds": self._paused_seconds,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.evaluation_seconds = state["evaluation_seconds"]
        self._evaluations = state["evaluations"]
        self._last_step, self._last_seconds = state["last_step"], state["last_seconds"]
        self._paused_seconds = state["paused_seconds"]

    def is_due(self, update: Update) -> bool:
        """Whether to evaluate after this update; always after the last one."""
        if update.progress >= 1.0:
            return True
        return (
            self._is_due_by_time(update) if self._budget.epochs is None else self._is_due_by_updates(update)
        )

    def seconds_left(self, update: Update) -> float:
        """How long the run will still take, with all evaluations that are to come."""
        if self._budget.epochs is None:
            return max(0.0, 60 * (self._budget.minutes or 0) - update.seconds)
        left = self._budget.epochs * self._updates_an_epoch - update.step
        seconds_an_update = (update.seconds - self._paused_seconds) / update.step
        evaluations = math.ceil(left / self._updates_between())
        return left * seconds_an_update + evaluations * self.evaluation_seconds

    def _is_due_by_time(self, update: Update) -> bool:
        cost = self.evaluation_seconds
        whole = self._budget.training_seconds(cost)
        affordable = cost / MAX_EVALUATION_SHARE
        if self._evaluations:
            wait = max(whole / TIMED_EVALUATIONS, MIN_SECONDS_BETWEEN, affordable)
        else:
            wait = min(FIRST_SHARE * whole, MAX_SECONDS_TO_FIRST)
            if wait + cost > MAX_EVALUATION_SHARE * whole:
                wait = affordable
        # None just before the end, where there is one anyway, and none that leaves training no time.
        left = whole * (1.0 - update.progress)
        return update.seconds - self._last_seconds >= wait and left > max(wait / 2, 3 * cost)

    def _is_due_by_updates(self, update: Update) -> bool:
        if not self._evaluations:
            whole = (self._budget.epochs or 1) * self._updates_an_epoch
            return update.step >= min(math.ceil(FIRST_SHARE * whole), self._updates_an_epoch)
        since = update.step - self._last_step
        return since >= self._min_updates and (update.ends_epoch or since >= MAX_UPDATES_BETWEEN)

    def _updates_between(self) -> int:
        """About how many updates there will be from one evaluation to the next."""
        if self._updates_an_epoch > MAX_UPDATES_BETWEEN:
            return max(self._min_updates, MAX_UPDATES_BETWEEN)
        return math.ceil(self._min_updates / self._updates_an_epoch) * self._updates_an_epoch


class SinceEvaluation:
    """Adds up the updates since the last evaluation.

    Attributes:
        updates: How many there were.
        characters: How many these learned to predict.
        last: The last of them; None if there was none.
    """

    def __init__(self) -> None:
        self.updates = 0
        self.characters = 0
        self._total_nats = 0.0
        self.last: Update | None = None
        # Of a run that this one goes on from.
        self._seconds_before = 0.0
        self._started = perf_counter()

    def start_clock(self) -> None:
        """Begin to count the seconds, behind those of a restored state."""
        self._started = perf_counter() - self._seconds_before

    def add(self, update: Update) -> None:
        self.updates += 1
        self.characters += update.characters
        self._total_nats += update.characters * update.nats
        self.last = update

    @property
    def nats(self) -> float:
        """Mean training loss of a character."""
        return self._total_nats / max(self.characters, 1)

    @property
    def speed(self) -> float:
        """Units of the trainer a second, which are characters or windows."""
        return self.characters / max(perf_counter() - self._started, 1e-9)

    def state(self) -> dict[str, Any]:
        """What is carried from one update to the next."""
        return {
            "updates": self.updates,
            "characters": self.characters,
            "total_nats": self._total_nats,
            "seconds": perf_counter() - self._started,
            "last": None if self.last is None else asdict(self.last),
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> "SinceEvaluation":
        """Go on from a state; the time since it was taken does not count."""
        since = cls()
        since.updates, since.characters = state["updates"], state["characters"]
        since._total_nats = state["total_nats"]
        since.last = None if state["last"] is None else Update(**state["last"])
        since._seconds_before = state["seconds"]
        since.start_clock()
        return since
