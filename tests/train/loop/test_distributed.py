"""Training in two processes, which exchange their gradients."""

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any

import pytest
import torch
import torch.distributed as dist
from textgen_train.cli._process import joined_ranks
from textgen_train.errors import LostProcessError, TrainingError
from textgen_train.loop import distributed
from textgen_train.loop.distributed import DistributedRanks
from textgen_train.loop.ranks import DismissedError, Ranks
from textgen_train.loop.trainer import Trainer
from textgen_train.recipe import Budget, ClassicRecipe, Recipe

from tests.helpers.processes import run_processes
from tests.helpers.training_states import (
    CLASSIC,
    EPOCHS,
    RECIPE,
    TEXT,
    make_trainer,
    same,
    weights_of,
)


def make_part(
    ranks: Ranks, recipe: Recipe | ClassicRecipe, *, seed: int = 0, budget: Budget | None = None
) -> Trainer:
    """Return the trainer of one process, with one replica."""
    return Trainer(TEXT, 4, recipe, budget or Budget(epochs=EPOCHS), seed, threads=1, ranks=ranks)


@contextmanager
def started(recipe: Recipe | ClassicRecipe = RECIPE, **options: Any) -> Iterator[tuple[Trainer, Ranks]]:
    """Return the trainer of this process when all processes are ready. All but the first follow."""
    torch.set_num_threads(1)
    with joined_ranks() as ranks:
        trainer = make_part(ranks, recipe, **options)
        ranks.begin({})
        yield trainer, ranks


def train_with_states(_: int, recipe: Recipe | ClassicRecipe) -> Any:
    with started(recipe) as (trainer, ranks):
        if not ranks.is_first:
            trainer.follow()
            return weights_of(trainer)
        states, nats = [trainer.state()], []
        for update in trainer.updates():
            nats.append(update.nats)
            states.append(trainer.state())
        return weights_of(trainer), nats, [vars(state) for state in states]


def without_seconds(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "seconds": 0.0}


@pytest.mark.parametrize("recipe", [RECIPE, CLASSIC], ids=["default", "classic"])
def test_two_processes_train_like_two_threads_to_the_bit(recipe: Recipe | ClassicRecipe) -> None:
    """The weights, the losses, and the state after each update are equal."""
    trainer = make_trainer(recipe, 2)
    expected, nats = [trainer.state()], []
    for update in trainer.updates():
        nats.append(update.nats)
        expected.append(trainer.state())
    (weights, process_nats, states), followed = run_processes(train_with_states, recipe)
    assert same(weights, weights_of(trainer))
    assert same(followed, weights)
    assert process_nats == nats
    assert len(states) == len(expected)
    for state, other in zip(states, expected, strict=True):
        assert same(without_seconds(state), without_seconds(vars(other)))


def end_at_step_three(rank: int) -> str:
    with started() as (trainer, _):
        try:
            if rank:
                update_weights = trainer._learner.update

                def ending(*arguments: Any) -> float:
                    if trainer._step == 2:
                        os._exit(1)
                    return update_weights(*arguments)

                trainer._learner.update = ending  # type: ignore[method-assign, assignment]
                trainer.follow()
            else:
                list(trainer.updates())
        except LostProcessError as error:
            return f"{trainer._step} updates, {error}"
    return "all updates"


def test_a_lost_process_ends_the_others() -> None:
    results = run_processes(end_at_step_three)
    assert results[0].startswith("2 updates, another process of the run has ended or cannot be reached")
    assert results[1] is None


def end_before_the_others_are_connected(rank: int) -> str:
    if not rank:
        dist.init_process_group = lambda *_, **__: os._exit(1)
    try:
        with joined_ranks():
            return "joined"
    except TrainingError as error:
        return str(error)


def test_a_process_that_is_lost_while_the_others_connect_is_no_wrong_start_of_the_run() -> None:
    _, second = run_processes(end_before_the_others_are_connected)
    assert second.startswith("another process of the run has ended or cannot be reached (process 1 on")


def interrupt_second(rank: int) -> int:
    with started(budget=Budget(epochs=10**6)) as (trainer, ranks):
        if rank:

            def check_interrupt() -> None:
                if trainer._step == 4:
                    raise KeyboardInterrupt

            trainer.follow(check_interrupt)
        else:
            with suppress(KeyboardInterrupt):
                for _ in trainer.updates():
                    ranks.check_interrupt()
        return trainer._step


def test_an_interrupt_of_another_process_interrupts_the_first() -> None:
    first, second = run_processes(interrupt_second)
    assert first == second == 5


def train_for_seconds(rank: int) -> tuple[int, Any]:
    with started(budget=Budget(minutes=0.005)) as (trainer, _):
        if rank:
            # A clock that is wrong has no effect.
            trainer._seconds_before = 1e6
            trainer.follow()
        else:
            list(trainer.updates())
        return trainer._step, weights_of(trainer)


def test_the_first_process_decides_when_the_time_is_over() -> None:
    """The learning rate of each update depends on its clock."""
    (steps, weights), (followed_steps, followed) = run_processes(train_for_seconds)
    assert steps == followed_steps >= 1
    assert same(weights, followed)


def train_to_nan(rank: int) -> str:
    with started() as (trainer, _):
        if rank:
            initial_state = trainer.model.initial_state

            def blank(lanes: int) -> dict[str, torch.Tensor]:
                return {name: part.fill_(math.nan) for name, part in initial_state(lanes).items()}

            trainer.model.initial_state = blank  # type: ignore[assignment, method-assign]
            trainer.follow()
            return "followed"
        try:
            list(trainer.updates())
        except TrainingError as error:
            return str(error)
    return ""


def test_a_loss_that_is_no_number_in_any_process_ends_the_run() -> None:
    assert run_processes(train_to_nan) == [
        "the loss is nan at update 1: try lower learning rates",
        "followed",
    ]


def begin_differently(rank: int, difference: str) -> str:
    try:
        with joined_ranks() as ranks:
            trainer = make_part(ranks, RECIPE)
            ranks.begin({"corpus": str(rank) if difference == "corpus" else ""})

            def change_weights() -> None:
                with torch.no_grad():
                    trainer.model.output.bias.add_(rank)

            distributed.UPDATES_PER_CHECK = 3
            if difference == "first weights":
                change_weights()
            if rank:
                trainer.follow(change_weights)
            else:
                list(trainer.updates())
    except (TrainingError, DismissedError) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


def test_different_corpora_are_an_error_of_the_first_process() -> None:
    first, second = run_processes(begin_differently, "corpus")
    assert first.startswith("TrainingError: process 1 has another corpus than this one")
    assert second == "DismissedError: "


def wait_at_another_place(rank: int, other: int) -> str:
    try:
        with joined_ranks() as ranks:
            if rank == other:
                ranks.share_first(None)
            ranks.compare({"corpus": ""})
    except (TrainingError, DismissedError) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


@pytest.mark.parametrize("other", [0, 1])
def test_a_process_that_waits_at_another_place_is_an_error_of_the_first(other: int) -> None:
    first, second = run_processes(wait_at_another_place, other)
    assert first.startswith("TrainingError: process 1 has another corpus than this one")
    assert second == "DismissedError: "


def end_without_the_others(rank: int) -> bool:
    def wait(_: DistributedRanks) -> None:
        raise RuntimeError("timeout")

    DistributedRanks._wait_for_all = wait  # type: ignore[assignment, method-assign]
    with suppress(TrainingError, DismissedError), joined_ranks() as ranks:
        ranks.compare({"corpus": str(rank)})
    return dist.is_initialized()


def test_a_process_that_does_not_wait_for_the_others_any_longer_closes_its_connections() -> None:
    assert run_processes(end_without_the_others) == [False, False]


@pytest.mark.parametrize(("difference", "update"), [("first weights", 0), ("later weights", 3)])
def test_different_weights_are_an_error_of_the_first_process(difference: str, update: int) -> None:
    """The weights are compared at the first update, and then again and again."""
    first, second = run_processes(begin_differently, difference)
    assert first.startswith(f"TrainingError: the weights of the processes differ after update {update}:")
    assert second == "no error"


def fail_if(failing: bool) -> None:
    if failing:
        raise TrainingError("the cause")


def fail_before_the_first_update(rank: int, failing: int) -> str:
    try:
        with joined_ranks() as ranks:
            make_part(ranks, RECIPE)
            fail_if(rank == failing)
            ranks.begin({})
    except (TrainingError, DismissedError) as error:
        return f"{type(error).__name__}: {error}"
    return "no error"


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_of_any_process_before_the_first_update_is_reported_by_the_first(failing: int) -> None:
    first, second = run_processes(fail_before_the_first_update, failing)
    assert first.startswith("TrainingError: the cause")
    assert ("process 1 on" in first) == bool(failing)
    assert second == "DismissedError: "


def make_too_many(_: int) -> str:
    with joined_ranks() as ranks:
        try:
            make_part(ranks, Recipe(**{**asdict(RECIPE), "batch": 15}))
        except TrainingError as error:
            return str(error)
    return "no error"


def test_more_processes_than_lanes_allow_are_an_error() -> None:
    for message in run_processes(make_too_many):
        assert message.startswith(
            "2 processes need batches of at least 16 sequences, but the batches of this run have 15"
        )
        assert "start at most 1" in message


def test_invalid_variables_of_torchrun_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "one")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="RANK and WORLD_SIZE are not the numbers"), joined_ranks():
        pass


def test_one_process_of_torchrun_trains_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "1")
    with joined_ranks() as ranks:
        assert ranks.size == 1
