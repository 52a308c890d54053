"""When a run is evaluated, and the time that is left."""

from itertools import pairwise

import pytest
from textgen_train.loop.eval_schedule import EvalSchedule
from textgen_train.loop.update import Update
from textgen_train.recipe import Budget

HELD_OUT = 3000


def run_by_time(minutes: float, takes: float, tick: float = 0.5) -> list[float]:
    """When the evaluations of a run begin, in seconds, where each takes so long."""
    budget = Budget(minutes=minutes)
    schedule = EvalSchedule(budget, 100, 200_000, HELD_OUT)
    schedule.evaluation_seconds = takes
    now, at, step = 0.0, list[float](), 0
    while True:
        now, step = now + tick, step + 1
        update = update_after(step, now, budget.progress(now, 0.0, takes))
        if schedule.is_due(update):
            at.append(now)
            schedule.evaluated(update, takes)
            now += takes
        if update.progress >= 1.0:
            return at


def update_after(step: int, seconds: float, progress: float, *, ends_epoch: bool = False) -> Update:
    return Update(
        step=step,
        epochs=step / 100,
        seconds=seconds,
        progress=progress,
        learning_rate=0.1,
        # A slice at the end of a pass is shorter.
        characters=90 if ends_epoch else 2000,
        nats=1.0,
        ends_epoch=ends_epoch,
    )


@pytest.mark.parametrize("minutes", [0.5, 1.0, 10.0, 600.0])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.045])
def test_the_first_evaluation_is_over_within_a_tenth_and_all_cost_a_tenth_at_most(
    minutes: float, share: float
) -> None:
    takes = share * 60 * minutes
    at = run_by_time(minutes, takes)
    whole = 60 * minutes
    assert at[0] + takes <= 0.1 * whole + 0.5
    assert at[0] <= 60.5
    assert takes <= 0.05 * whole
    assert len(at) <= 21
    # The last one belongs to the end of any run.
    assert takes * (len(at) - 1) <= 0.1 * whole
    assert min(later - earlier for earlier, later in pairwise(at[1:])) >= 5
    assert at[-1] == pytest.approx(whole - takes, abs=1.0)


def test_a_minute_is_evaluated_six_times() -> None:
    assert run_by_time(1.0, 0.0) == [3.0, 13.0, 23.0, 33.0, 43.0, 53.0, 60.0]


@pytest.mark.parametrize("takes", [3.2, 5.0])
def test_an_evaluation_that_would_end_after_the_first_tenth_waits_like_any_other(takes: float) -> None:
    at = run_by_time(1.0, takes)
    assert len(at) == 2 if takes < 5 else 1
    assert at[0] >= min(10 * takes, 60 - takes) - 1


@pytest.mark.parametrize("takes", [7.0, 20.0, 50.0])
def test_evaluations_that_take_more_than_a_tenth_of_the_run_wait_for_its_end(takes: float) -> None:
    assert len(run_by_time(1.0, takes)) == 1


def steps_by_epochs(epochs: int, updates_an_epoch: int, held_out: int = HELD_OUT) -> list[int]:
    schedule = EvalSchedule(Budget(epochs=epochs), updates_an_epoch, 2000 * updates_an_epoch, held_out)
    at, whole = [], epochs * updates_an_epoch
    for step in range(1, whole + 1):
        update = update_after(step, 0.1 * step, step / whole, ends_epoch=step % updates_an_epoch == 0)
        if schedule.is_due(update):
            at.append(step)
            schedule.evaluated(update, 1.0)
    return at


@pytest.mark.parametrize(
    ("epochs", "updates_an_epoch", "held_out", "expected"),
    [
        (4, 300, HELD_OUT, [60, 300, 600, 900, 1200]),
        (1, 300, HELD_OUT, [15, 300]),
        # A pass of few updates shares an evaluation with others.
        (20, 30, HELD_OUT, [30, 240, 450, 600]),
        # A long one has several.
        (1, 5000, HELD_OUT, [250, 2250, 4250, 5000]),
        # A held-out text that takes as long as 250 updates to score is scored after ten times as many.
        (20, 1000, 1_500_000, [1000, 3500, 6000, 8500, 11000, 13500, 16000, 18500, 20000]),
    ],
)
def test_evaluations_by_passes(
    epochs: int, updates_an_epoch: int, held_out: int, expected: list[int]
) -> None:
    assert steps_by_epochs(epochs, updates_an_epoch, held_out) == expected


def test_time_left_of_a_run_by_time_is_what_is_left_of_it() -> None:
    schedule = EvalSchedule(Budget(minutes=1), 100, 200_000, HELD_OUT)
    assert schedule.seconds_left(update_after(1, 20.0, 0.4)) == 40.0
    assert schedule.seconds_left(update_after(1, 70.0, 1.0)) == 0.0


@pytest.mark.parametrize("evaluations_before", [0, 2])
def test_time_left_of_a_run_by_passes_has_the_evaluations_that_are_to_come(evaluations_before: int) -> None:
    schedule = EvalSchedule(Budget(epochs=10), 300, 600_000, HELD_OUT)
    schedule.evaluation_seconds = 5.0
    for i in range(evaluations_before):
        schedule.evaluated(update_after(100 * (i + 1), 10.0 * (i + 1) + 5.0 * i, 0.1), 5.0)
    # A tenth of a second for each update, and what evaluations took before.
    update = update_after(600, 60.0 + 5.0 * evaluations_before, 0.2, ends_epoch=True)
    assert schedule.seconds_left(update) == pytest.approx(2400 * 0.1 + 8 * 5.0)


def test_the_seconds_of_an_evaluation_are_the_last_ones() -> None:
    schedule = EvalSchedule(Budget(epochs=1), 300, 600_000, HELD_OUT)
    schedule.evaluated(update_after(10, 1.0, 0.1), 7.0)
    assert schedule.evaluation_seconds == 7.0
