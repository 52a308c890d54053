"""Trainer: progress, budgets, short texts, and the schedule of the learning rate."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from textgen_train.loop import trainer as trainer_module
from textgen_train.loop.default_setup import lr_factor
from textgen_train.loop.trainer import Trainer
from textgen_train.models.device import CPU, autocast
from textgen_train.recipe import Budget, Recipe

SMALL = Recipe(units=16, embedding=8, batch=4, sequence_length=16, warmup=5)


def periodic_text(length: int) -> NDArray[np.int64]:
    """Repeat 0 1 2 3 2 1. The token after 1 or 2 depends on the token before it."""
    return np.resize(np.array([0, 1, 2, 3, 2, 1]), length)


def test_updates_describe_the_progress_of_training() -> None:
    text = periodic_text(1000)
    updates = list(Trainer(text, 4, SMALL, Budget(epochs=3), seed=0).updates())
    # 4 lanes of 250 characters have 249 targets each, in sequences of 16.
    updates_per_epoch = 16
    assert len(updates) == 3 * updates_per_epoch
    assert [update.step for update in updates] == list(range(1, 3 * updates_per_epoch + 1))
    assert [update.step for update in updates if update.ends_epoch] == [16, 32, 48]
    assert sum(update.targets for update in updates) == 3 * 4 * 249
    assert updates[-1].progress == 1.0
    assert updates[-1].epochs == 3.0
    assert max(update.learning_rate for update in updates) > 50 * updates[-1].learning_rate
    assert [update.seconds for update in updates] == sorted(update.seconds for update in updates)


def test_a_time_that_is_over_allows_for_one_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an evaluation before the first update counts."""
    now = 0.0
    monkeypatch.setattr(trainer_module, "perf_counter", lambda: now)
    trainer = Trainer(periodic_text(1000), 4, SMALL, Budget(minutes=1), seed=0)
    with trainer.counting_seconds():
        now = 60.0
        assert trainer.progress == 1.0
        assert [update.progress for update in trainer.updates()] == [1.0]


def test_the_speed_is_measured_after_the_first_update(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(periodic_text(1000), 4, SMALL, Budget(epochs=1000), seed=0)
    now, durations, update_weights = 0.0, iter([60.0, *[0.5] * 10]), trainer._learner.update

    def slow_update(*arguments: Any) -> float:
        nonlocal now
        now += next(durations)
        return update_weights(*arguments)

    monkeypatch.setattr(trainer_module, "perf_counter", lambda: now)
    monkeypatch.setattr(trainer._learner, "update", slow_update)
    # 4 lanes of sequences of 16.
    assert trainer.measure_speed(1.4) == 4 * 16 / 0.5
    assert now == 60.0 + 3 * 0.5


def test_a_text_without_a_target_is_an_error() -> None:
    with pytest.raises(ValueError, match="the text has 1 tokens, but training needs at least 2"):
        Trainer(periodic_text(1), 4, SMALL, Budget(epochs=1), seed=0)
    (update,) = Trainer(periodic_text(2), 4, SMALL, Budget(epochs=1), seed=0).updates()
    assert update.targets == 1


def test_bfloat16_is_used_if_the_processor_supports_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for instructions, expected in (({"avx512_bf16": True}, True), ({"avx2": True}, False), ({}, False)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda answer=instructions: answer)
        with autocast(CPU):
            assert torch.is_autocast_enabled("cpu") is expected
            # A cache would be shared by the threads of the replicas.
            assert not torch.is_autocast_cache_enabled()


def test_warm_up_is_linear_and_annealing_ends_at_zero() -> None:
    recipe = Recipe(units=128, warmup=10)
    assert lr_factor(recipe, 0, 0.0) == pytest.approx(0.1)
    assert lr_factor(recipe, 9, 0.0) == pytest.approx(1.0)
    assert lr_factor(recipe, 500, 0.5) == pytest.approx(0.5)
    assert lr_factor(recipe, 1000, 1.0) == pytest.approx(0.0)
    assert lr_factor(Recipe(units=512, warmup=0), 0, 0.0) == pytest.approx(0.5)


def test_warm_up_takes_at_most_a_tenth_of_the_run() -> None:
    """In a run of 20 updates the factor is highest after two."""
    recipe = Recipe(units=128, warmup=100)
    factors = [lr_factor(recipe, update, update / 20) for update in range(20)]
    assert factors[0] == pytest.approx(0.01)
    assert factors[1] == pytest.approx(0.5, abs=0.01)
    assert max(factors) == factors[2] == pytest.approx(0.5 + 0.5 * math.cos(0.1 * math.pi))
    # In a long run the warm-up has its 100 updates.
    assert lr_factor(recipe, 99, 0.001) == pytest.approx(1.0, abs=1e-5)
