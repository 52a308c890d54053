"""A trainer that is restored from a state ends with the same weights to the bit."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from textgen_train.errors import TrainingError
from textgen_train.loop import trainer as trainer_module
from textgen_train.loop.checkpoint import TrainerState
from textgen_train.recipe import Budget, ClassicRecipe, Recipe

from tests.helpers.training_states import (
    ADAMW_ONLY,
    CLASSIC,
    RECIPE,
    check_every_stop,
    make_trainer,
    same,
    weights_of,
)

CONV = replace(RECIPE, cell="conv", layers=2, residual=True, weight_dropout=0.0)
BOTH_TRAINERS = pytest.mark.parametrize("recipe", [RECIPE, CLASSIC], ids=["default", "classic"])
TWO_EPOCHS = Budget(epochs=2)


def state_after(updates: int, recipe: Recipe | ClassicRecipe = RECIPE, threads: int = 1) -> TrainerState:
    trainer = make_trainer(recipe, threads)
    for update in trainer.updates():
        if update.step == updates:
            break
    return trainer.state()


@pytest.mark.parametrize(
    ("recipe", "threads"),
    [(RECIPE, 1), (RECIPE, 2), (CLASSIC, 2), (CONV, 2)],
    ids=["one replica", "two replicas", "classic", "conv"],
)
def test_a_run_stopped_after_any_update_ends_with_the_same_weights(
    recipe: Recipe | ClassicRecipe, threads: int
) -> None:
    trainer = make_trainer(recipe, threads)
    assert len(trainer.replicas) == threads
    assert trainer.updates_per_epoch >= 3
    check_every_stop(lambda seed: make_trainer(recipe, threads, seed, TWO_EPOCHS))


@BOTH_TRAINERS
def test_the_seed_determines_the_initial_weights(recipe: Recipe | ClassicRecipe) -> None:
    first, again, other = (weights_of(make_trainer(recipe, 1, seed)) for seed in (3, 3, 3 + 2**32))
    assert same(first, again)
    assert not same(first, other)


@BOTH_TRAINERS
def test_another_call_of_updates_continues_the_epoch(
    recipe: Recipe | ClassicRecipe,
) -> None:
    """Stops in the middle of an epoch do not change the weights."""
    trainer, stopped = make_trainer(recipe, 1), make_trainer(recipe, 1)
    list(trainer.updates())
    for step in (1, 2, 4):
        for update in stopped.updates():
            if update.step == step:
                break
    list(stopped.updates())
    assert same(weights_of(stopped), weights_of(trainer))


def test_restore_during_updates_is_an_error() -> None:
    trainer = make_trainer(RECIPE, 1)
    updates = trainer.updates()
    next(updates)
    with pytest.raises(RuntimeError, match="cannot restore a trainer during updates"):
        trainer.restore(state_after(1))


def test_training_time_before_a_restore_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time between the state and its restore does not count."""
    now = 1000.0

    def update_weights(*_: object) -> float:
        nonlocal now
        now += 10.0
        return 1.0

    monkeypatch.setattr(trainer_module, "perf_counter", lambda: now)
    trainer = make_trainer(ADAMW_ONLY, 1, budget=Budget(minutes=1))
    monkeypatch.setattr(trainer._learner, "update", update_weights)
    updates = trainer.updates()
    assert [next(updates).seconds for _ in range(2)] == [10.0, 20.0]
    state = replace(trainer.state(), optimizers=state_after(1, ADAMW_ONLY).optimizers)
    assert state.seconds == 20.0
    now += 5000.0
    other = make_trainer(ADAMW_ONLY, 1, budget=Budget(minutes=1))
    monkeypatch.setattr(other._learner, "update", update_weights)
    other.restore(state)
    assert [update.seconds for update in other.updates()] == [30.0, 40.0, 50.0, 60.0]
    assert other.state().seconds == 60.0
    assert list(other.updates()) == []


def changed_state(change: Callable[[TrainerState], Any]) -> TrainerState:
    state = copy.deepcopy(state_after(2))
    return replace(state, **change(state))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: {"weights": {}}, "another network"),
        (lambda _: {"weights": state_after(2, replace(RECIPE, units=13)).weights}, "another network"),
        (
            lambda _: {"replicas": 4},
            "train with 1 process of 4 threads or 2 processes of 2 threads or 4 processes of 1 thread",
        ),
        (lambda _: {"carried_state": {}}, "another number of lanes"),
        (lambda _: {"optimizers": {}}, "another optimizer"),
        (lambda _: {"step": 0}, "another optimizer"),
        (lambda _: {"optimizers": state_after(2, ADAMW_ONLY).optimizers}, "another optimizer"),
        (lambda state: {"optimizers": dict(list(state.optimizers.items())[1:])}, "another optimizer"),
        (
            lambda state: {
                "optimizers": {
                    name: {key: tensor.new_zeros(2) for key, tensor in tensors.items()}
                    for name, tensors in state.optimizers.items()
                }
            },
            "another optimizer",
        ),
        (
            lambda state: {
                "optimizers": {
                    name: {key: tensor.double() for key, tensor in tensors.items()}
                    for name, tensors in state.optimizers.items()
                }
            },
            "another optimizer",
        ),
    ],
)
def test_an_incompatible_state_is_an_error_and_changes_nothing(
    change: Callable[[TrainerState], Any], message: str
) -> None:
    trainer = make_trainer(RECIPE, 1, seed=1)
    before = trainer.state()
    with pytest.raises(TrainingError, match=message):
        trainer.restore(changed_state(change))
    assert same(vars(trainer.state()), vars(before))


def test_after_an_interrupted_update_there_is_no_state_until_a_restore(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The interrupt may come after Muon's update and before AdamW's."""
    trainer = make_trainer(RECIPE, 1)
    updates = trainer.updates()
    next(updates)
    state = trainer.state()

    def interrupted(*_: object) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer._learner, "update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(updates)
    with pytest.raises(TrainingError, match="no training state"):
        trainer.state()
    trainer.restore(state)
    list(trainer.updates())
    assert same(weights_of(trainer), weights_of(trained()))


@BOTH_TRAINERS
@pytest.mark.parametrize("epochs", [0, 1])
def test_an_interrupt_before_the_first_update_of_an_epoch_does_not_change_the_state(
    recipe: Recipe | ClassicRecipe, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The interrupt comes after the text order of the epoch has been drawn."""
    trainer, uninterrupted = (make_trainer(recipe, 1, budget=TWO_EPOCHS) for _ in range(2))
    updates = trainer.updates()
    for _ in range(epochs * trainer.updates_per_epoch):
        next(updates)

    def interrupted(*_: object) -> float:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(trainer, "_lr_factor", interrupted)
        with pytest.raises(KeyboardInterrupt):
            next(updates)
    other = make_trainer(recipe, 1, seed=1, budget=TWO_EPOCHS)
    other.restore(trainer.state())
    list(uninterrupted.updates())
    list(trainer.updates())
    list(other.updates())
    assert same(weights_of(trainer), weights_of(uninterrupted))
    assert same(weights_of(other), weights_of(uninterrupted))


@pytest.mark.parametrize("loss", ["nan", "inf"])
def test_after_a_loss_that_is_not_finite_there_is_no_state(
    monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    trainer = make_trainer(RECIPE, 1)
    monkeypatch.setattr(trainer._learner, "update", lambda *_: float(loss))
    with pytest.raises(TrainingError, match=f"the loss is {loss} at update 1: try lower learning rates"):
        list(trainer.updates())
    with pytest.raises(TrainingError, match="no training state"):
        trainer.state()


def trained() -> Any:
    trainer = make_trainer(RECIPE, 1)
    list(trainer.updates())
    return trainer
