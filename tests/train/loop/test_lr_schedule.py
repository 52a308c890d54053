"""The learning-rate schedule: warm-up and annealing."""

import math

import pytest
from textgen_train.loop.stateful_trainer import lr_factor
from textgen_train.recipe import Recipe


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
