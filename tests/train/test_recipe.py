"""The numbers of a training run."""

from dataclasses import replace

import pytest
from textgen_train.errors import RecipeError
from textgen_train.models.lstm import CharLSTM
from textgen_train.recipe import LARGE_VOCABULARY, PRESETS, Budget, Recipe, preset


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("units", 0),
        ("layers", -1),
        ("batch", 0),
        ("sequence_length", 0),
        ("embedding", 0),
        ("dropout", -0.1),
        ("dropout", 1.0),
        ("input_dropout", 1.0),
        ("weight_dropout", -0.1),
        ("muon_lr", -0.1),
        ("muon_weight_decay", -1.0),
        ("learning_rate", 0.0),
        ("weight_decay", -1.0),
        ("grad_clip", 0.0),
        ("warmup", -1),
    ],
)
def test_ranges(name: str, value: float) -> None:
    with pytest.raises(RecipeError, match=name.replace("_", "-")):
        Recipe(**{name: value})  # type: ignore[arg-type]


def test_a_budget_is_minutes_or_epochs() -> None:
    assert Budget(minutes=2).progress(seconds=30, epochs=99) == pytest.approx(0.25)
    assert Budget(epochs=4).progress(seconds=99, epochs=3) == pytest.approx(0.75)
    assert Budget(epochs=4).progress(seconds=0, epochs=5) == 1.0
    for both in ({}, {"minutes": 1.0, "epochs": 1}):
        with pytest.raises(ValueError, match="either minutes or epochs"):
            Budget(**both)  # type: ignore[arg-type]


@pytest.mark.parametrize("symbols", [57, 59, 65])
def test_the_small_preset_is_no_larger_than_the_textbooks_network(symbols: int) -> None:
    recipe = PRESETS["small"]
    size = CharLSTM(
        symbols, units=recipe.units, layers=recipe.layers, embedding=recipe.embedding
    ).parameter_count
    assert size <= 103_867


def test_presets_grow() -> None:
    sizes = [recipe.units * recipe.layers for recipe in PRESETS.values()]
    assert list(PRESETS) == ["small", "medium", "large"]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_follow_the_size_of_the_vocabulary(name: str) -> None:
    assert preset(name, 0) == preset(name, LARGE_VOCABULARY - 1) == PRESETS[name]
    large = preset(name, LARGE_VOCABULARY)
    assert large.embedding > PRESETS[name].embedding
    assert large.units == PRESETS[name].units


@pytest.mark.parametrize(
    ("budget", "long"),
    [
        (Budget(minutes=2), False),
        (Budget(minutes=10), True),
        (Budget(epochs=8), False),
        (Budget(epochs=40), True),
        (None, False),
    ],
)
def test_a_long_run_on_a_large_vocabulary_takes_more_dropout(budget: Budget | None, long: bool) -> None:
    assert preset("small", 10, budget) == PRESETS["small"]
    found = preset("small", LARGE_VOCABULARY, budget)
    assert (found.dropout > PRESETS["small"].dropout) is long
    assert replace(found, dropout=0.1, input_dropout=0.0, weight_dropout=0.1) == preset(
        "small", LARGE_VOCABULARY
    )
