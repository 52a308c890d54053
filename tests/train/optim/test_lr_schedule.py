"""The learning-rate schedule: warm-up and annealing."""

import math

import pytest
from textgen_train.optim.lr_schedule import lr_factor
from textgen_train.recipe import Recipe


def test_the_learning_rate_warms_up_and_anneals() -> None:
    recipe = Recipe(units=128, warmup=10)
    assert lr_factor(recipe, 0, 0.0) == pytest.approx(0.1)
    assert lr_factor(recipe, 9, 0.0) == pytest.approx(1.0)
    assert lr_factor(recipe, 500, 0.5) == pytest.approx(0.5)
    assert lr_factor(recipe, 1000, 1.0) == pytest.approx(0.0)
    assert lr_factor(Recipe(units=512, warmup=0), 0, 0.0) == pytest.approx(0.5)


def test_a_short_run_warms_up_too() -> None:
    """Twenty updates in all: after two, a tenth, the rate is as high as it gets."""
    recipe = Recipe(units=128, warmup=100)
    rates = [lr_factor(recipe, update, update / 20) for update in range(20)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[1] == pytest.approx(0.5, abs=0.01)
    assert max(rates) == rates[2] == pytest.approx(0.5 + 0.5 * math.cos(0.1 * math.pi))
    # A long one is not held back.
    assert lr_factor(recipe, 99, 0.001) == pytest.approx(1.0, abs=1e-5)
