"""The schedule of evaluations and the estimate of the remaining time."""

from dataclasses import replace
from itertools import pairwise

import pytest
from textgen_train.loop.eval_schedule import EvalSchedule
from textgen_train.loop.events import START, Status, Update
from textgen_train.recipe import Budget

HELD_OUT = 3000


def timed_run(
    minutes: float, evaluation_seconds: float, tick: float = 0.5, *, estimate: float = 0.0, slow: int = -1
) -> list[float]:
    """Return the start times of the evaluations of a run, in seconds.

    Args:
        minutes: Budget of the run.
        evaluation_seconds: Duration of an evaluation.
        tick: Duration of an update.
        estimate: Duration of an evaluation that is expected before the first one, if it is wrong.
        slow: The number of an evaluation that takes a minute.
    """
    budget = Budget(minutes=minutes)
    schedule = EvalSchedule(budget, 100, 200_000, HELD_OUT)
    schedule.state.evaluation_seconds = estimate or evaluation_seconds
    now, starts, step = 0.0, list[float](), 0
    while True:
        now, step = now + tick, step + 1
        update = update_after(step, now, budget.progress(now, 0.0, schedule.state.evaluation_seconds))
        if schedule.is_due(update):
            seconds = 60.0 if slow == len(starts) else evaluation_seconds
            starts.append(now)
            schedule.record_evaluation(update, seconds)
            now += seconds
        if update.progress >= 1.0:
            return starts


def update_after(step: int, seconds: float, progress: float, *, ends_epoch: bool = False) -> Update:
    return Update(
        step=step,
        epochs=step / 100,
        seconds=seconds,
        progress=progress,
        learning_rate=0.1,
        # The last sequence of an epoch is shorter.
        targets=90 if ends_epoch else 2000,
        nats=1.0,
        ends_epoch=ends_epoch,
    )


@pytest.mark.parametrize("minutes", [0.5, 1.0, 10.0, 600.0])
@pytest.mark.parametrize(("fraction", "least"), [(0.0001, 4), (0.001, 4), (0.01, 2), (0.014, 2)])
def test_evaluations_take_a_small_part_of_the_run_and_the_first_is_early(
    minutes: float, fraction: float, least: int
) -> None:
    total = 60 * minutes
    evaluation_seconds = fraction * total
    starts = timed_run(minutes, evaluation_seconds)
    assert starts[0] <= min(0.05 * total, 60.0) + 0.5
    assert least <= len(starts) <= 22
    assert evaluation_seconds * len(starts) <= 0.03 * total
    assert min(later - earlier for earlier, later in pairwise(starts)) >= 4
    assert starts[-1] == pytest.approx(total - evaluation_seconds, abs=1.0)


@pytest.mark.parametrize(
    ("evaluation_seconds", "expected"),
    [
        (0.0, [3.0, 11.0, 19.0, 27.0, 35.0, 43.0, 51.0, 60.0]),
        (0.25, [3.0, 15.25, 27.5, 39.75, 52.0, 59.75]),
    ],
)
def test_a_run_of_one_minute_has_at_least_six_evaluations(
    evaluation_seconds: float, expected: list[float]
) -> None:
    assert timed_run(1.0, evaluation_seconds) == expected


@pytest.mark.parametrize("evaluation_seconds", [1.5, 20.0, 50.0])
def test_if_two_evaluations_would_take_more_than_their_share_there_is_only_the_last_one(
    evaluation_seconds: float,
) -> None:
    assert len(timed_run(1.0, evaluation_seconds)) == 1


def test_after_a_slow_evaluation_others_follow() -> None:
    assert timed_run(60.0, 1.0, slow=2)[:5] == [60.0, 241.0, 422.0, 2482.0, 2663.0]


def test_after_an_estimate_that_was_too_long_the_evaluations_are_as_frequent_as_they_can_be() -> None:
    starts = timed_run(5.0, 0.5, estimate=5.0)
    assert starts[0] == pytest.approx(5.0 / 0.03, abs=1.0)
    assert len(starts) > 7


def evaluated_steps(epochs: int, updates_per_epoch: int, held_out: int = HELD_OUT) -> list[int]:
    schedule = EvalSchedule(Budget(epochs=epochs), updates_per_epoch, 2000 * updates_per_epoch, held_out)
    steps, total = [], epochs * updates_per_epoch
    for step in range(1, total + 1):
        update = update_after(step, 0.1 * step, step / total, ends_epoch=step % updates_per_epoch == 0)
        if schedule.is_due(update):
            steps.append(step)
            schedule.record_evaluation(update, 1.0)
    return steps


@pytest.mark.parametrize(
    ("epochs", "updates_per_epoch", "held_out", "expected"),
    [
        (4, 300, HELD_OUT, [60, 300, 600, 900, 1200]),
        (1, 300, HELD_OUT, [15, 300]),
        # Several short epochs share an evaluation.
        (20, 30, HELD_OUT, [30, 240, 450, 600]),
        # A long epoch has several evaluations.
        (1, 5000, HELD_OUT, [250, 2250, 4250, 5000]),
        # If an evaluation takes as long as 40 updates, it follows each epoch or every second one.
        (20, 1000, 200_000, [*range(1000, 21_000, 1000)]),
        (100, 1000, 200_000, [*range(1000, 100_000, 2000), 100_000]),
        # One as long as 2,000 updates.
        (1, 50_000, 10_000_000, [2500, 15_834, 29_168, 42_502, 50_000]),
    ],
)
def test_evaluations_with_a_budget_of_epochs(
    epochs: int, updates_per_epoch: int, held_out: int, expected: list[int]
) -> None:
    assert evaluated_steps(epochs, updates_per_epoch, held_out) == expected


def test_the_remaining_time_of_a_timed_run_is_the_rest_of_its_budget() -> None:
    schedule = EvalSchedule(Budget(minutes=1), 100, 200_000, HELD_OUT)
    assert schedule.seconds_left(update_after(1, 20.0, 0.4)) == 40.0
    assert schedule.seconds_left(update_after(1, 70.0, 1.0)) == 0.0


@pytest.mark.parametrize("evaluations_before", [0, 2])
def test_the_remaining_time_of_a_run_by_epochs_includes_evaluations(evaluations_before: int) -> None:
    schedule = EvalSchedule(Budget(epochs=10), 300, 600_000, HELD_OUT)
    schedule.state.evaluation_seconds = 5.0
    for i in range(evaluations_before):
        schedule.record_evaluation(update_after(100 * (i + 1), 10.0 * (i + 1) + 5.0 * i, 0.1), 5.0)
    # 0.1 s per update, plus the earlier evaluations.
    update = update_after(600, 60.0 + 5.0 * evaluations_before, 0.2, ends_epoch=True)
    assert schedule.seconds_left(update) == pytest.approx(2400 * 0.1 + 8 * 5.0)


@pytest.mark.parametrize("budget", [Budget(minutes=10), Budget(epochs=100)])
def test_an_evaluation_of_the_start_does_not_delay_the_next_one(budget: Budget) -> None:
    """The time that it takes is not counted as training time either."""
    schedule = EvalSchedule(budget, 100, 200_000, HELD_OUT)
    assert schedule.seconds_left(START) >= 0
    schedule.record_evaluation(START, 2.0)
    assert not schedule.is_due(update_after(10, 31.0, 0.04))
    assert schedule.is_due(update_after(100, 32.0, 0.05, ends_epoch=True))
    assert Budget(epochs=100) != budget or schedule.seconds_left(update_after(100, 32.0, 0.01)) >= 99 * 30.0


def test_the_mean_loss_weighs_updates_by_their_targets() -> None:
    status = Status().after(update_after(1, 1.0, 0.1), 1.0, 9.0)
    last = replace(update_after(2, 2.0, 0.2, ends_epoch=True), nats=3.0)
    status = status.after(last, 20.0, 8.0)
    assert status.update == last
    assert status.updates == 2
    assert status.nats == pytest.approx((2000 + 3 * 90) / 2090)
    assert status.speed == pytest.approx(2090 / 20.0)
