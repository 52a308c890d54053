"""Recipes, presets and budgets."""

import math
from dataclasses import replace
from typing import Any

import pytest
from textgen_train.errors import RecipeError
from textgen_train.models.cells import CELLS as NETWORKS
from textgen_train.models.cells import CharLSTM
from textgen_train.presets import CHOICES, LARGE_VOCABULARY, NO_REGULARIZATION, PRESETS, preset
from textgen_train.recipe import CELLS, CONV, GRU, LSTM, Budget, Recipe


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
        ("activation_penalty", -0.1),
        ("confidence_penalty", -0.1),
        ("grad_clip", 0.0),
        ("warmup", -1),
    ],
)
def test_a_value_out_of_range_raises(name: str, value: float) -> None:
    with pytest.raises(RecipeError, match=f"^{name} must be ") as caught:
        Recipe(**{name: value})  # type: ignore[arg-type]
    assert caught.value.parameter == name


def test_the_borders_of_a_range_are_valid_and_counts_are_integers() -> None:
    assert Recipe(units=1, layers=64, dropout=0.99, muon_lr=0).layers == 64
    with pytest.raises(RecipeError, match=r"units must be an integer from 1 to 16384, not 1\.5"):
        Recipe(units=1.5)  # type: ignore[arg-type]


def test_progress_follows_minutes_or_epochs() -> None:
    assert Budget(minutes=2).progress(seconds=30, epochs=99) == pytest.approx(0.25)
    assert Budget(epochs=4).progress(seconds=99, epochs=3) == pytest.approx(0.75)
    assert Budget(epochs=4).progress(seconds=0, epochs=5) == 1.0


@pytest.mark.parametrize("lengths", [{}, {"minutes": 1.0, "epochs": 1}])
def test_a_budget_has_exactly_one_length(lengths: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="either minutes or epochs"):
        Budget(**lengths)


@pytest.mark.parametrize("symbols", [57, 59, 65])
def test_the_small_preset_has_about_as_many_parameters_as_the_textbook(symbols: int) -> None:
    textbook = CharLSTM(symbols, units=128, embedding=symbols).parameter_count - symbols**2
    assert parameter_count(PRESETS["small"], symbols) == pytest.approx(textbook, rel=0.05)


def parameter_count(recipe: Recipe, symbols: int) -> int:
    network = NETWORKS[recipe.cell](
        symbols, units=recipe.units, layers=recipe.layers, embedding=recipe.embedding
    )
    return network.parameter_count


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", PRESETS)
def test_each_cell_has_about_as_many_parameters_as_the_lstm(cell: str, name: str) -> None:
    expected = parameter_count(PRESETS[name], 57)
    assert parameter_count(preset(name, 57, cell=cell), 57) == pytest.approx(expected, rel=0.08)


def test_the_cells_of_recipes_are_those_of_the_networks() -> None:
    assert tuple(NETWORKS) == CELLS


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cell": "rnn"}, "cell must be one of lstm, gru, conv, not 'rnn'"),
        ({"cell": 1}, "cell must be one of"),
        ({"residual": 1}, "residual must be true or false, not 1"),
        ({"cell": "conv", "weight_dropout": 0.1}, "weight_dropout must be 0"),
        ({"cell": "conv", "layers": 64}, "layers must be at most 63"),
    ],
)
def test_an_invalid_cell_raises(values: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Recipe(**values)


def test_presets_are_ordered_by_size() -> None:
    sizes = [recipe.units * recipe.layers for recipe in PRESETS.values()]
    assert list(PRESETS) == ["small", "medium", "large"]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("name", PRESETS)
def test_presets_depend_on_the_number_of_common_symbols(name: str) -> None:
    assert preset(name, 0) == preset(name, LARGE_VOCABULARY - 1) == PRESETS[name]
    large = preset(name, LARGE_VOCABULARY)
    assert large.embedding > PRESETS[name].embedding
    sizes = {"small": (144, 1), "medium": (256, 1), "large": (448, 2)}
    assert (large.units, large.layers) == sizes[name]


@pytest.mark.parametrize(
    ("name", "epochs", "training_tokens", "dropout", "weight_dropout"),
    [
        ("small", 40, 500_000, 0.0, 0.05),
        ("small", 41, 500_000, 0.0, 0.1),
        ("small", 500, 500_000, 0.0, 0.1),
        ("small", 501, 500_000, 0.1, 0.2),
        ("small", 62, 250_000, 0.0, 0.1),
        ("small", 63, 250_000, 0.1, 0.2),
        ("small", 60, 50_000, 0.1, 0.2),
        ("small", 61, 50_000, 0.2, 0.3),
        ("small", 600, 50_000, 0.2, 0.3),
        ("small", 601, 50_000, 0.3, 0.5),
        ("small", 39_999, 5_000_000, 0.0, 0.05),
        ("medium", 20, 500_000, 0.0, 0.1),
        ("medium", 5, 50_000, 0.0, 0.3),
        ("medium", 51, 500_000, 0.1, 0.3),
        ("large", 10, 500_000, 0.1, 0.2),
        ("large", 3, 50_000, 0.2, 0.3),
        ("large", 31, 500_000, 0.3, 0.3),
    ],
)
def test_the_dropout_of_a_preset(
    name: str, epochs: int, training_tokens: int, dropout: float, weight_dropout: float
) -> None:
    recipe = preset(name, 57, epochs=epochs, training_tokens=training_tokens)
    assert (recipe.dropout, recipe.weight_dropout) == (dropout, weight_dropout)


@pytest.mark.parametrize("name", PRESETS)
def test_convolutions_have_the_same_dropout_in_all_runs(name: str) -> None:
    recipes = {preset(name, 57, cell=CONV, epochs=epochs) for epochs in (1, 20, 50, 2000)}
    assert recipes == {preset(name, 57, cell=CONV)}


@pytest.mark.parametrize("words", [("huge", LSTM), ("small", "rnn")])
def test_an_unknown_preset_or_cell_is_a_key_error(words: tuple[str, str]) -> None:
    with pytest.raises(KeyError):
        preset(words[0], 57, cell=words[1])


def test_a_preset_is_regularized_unless_most_is_learned_from_a_teacher() -> None:
    text, teacher = (preset("large", 57, teacher_weight=weight) for weight in (0.79, 0.8))
    assert text == PRESETS["large"]
    assert (teacher.dropout, teacher.weight_dropout, teacher.confidence_penalty) == (0.0, 0.0, 0.0)


def test_a_gru_and_large_vocabularies_have_a_lower_learning_rate_in_large() -> None:
    recipes = [preset("large", 57), preset("large", 57, cell=CONV)]
    recipes += [preset("large", 57, cell=GRU), preset("large", LARGE_VOCABULARY)]
    rates = [(recipe.learning_rate, recipe.weight_decay) for recipe in recipes]
    assert rates == [(0.04, 0.1)] * 2 + [(0.012, 0.05)] * 2
    penalties = [(recipe.activation_penalty, recipe.confidence_penalty) for recipe in recipes]
    assert penalties == [(4.0, 0.1)] * 3 + [(0.0, 0.0)]


@pytest.mark.parametrize("name", PRESETS)
def test_in_a_run_of_unknown_length_a_preset_has_its_default_values(name: str) -> None:
    assert preset(name, 57) == preset(name, 57, training_tokens=1000) == PRESETS[name]


@pytest.mark.parametrize("is_large_vocabulary", [False, True])
@pytest.mark.parametrize("name", PRESETS)
def test_more_epochs_have_more_dropout(name: str, is_large_vocabulary: bool) -> None:
    rows = [row for row in CHOICES if (row.preset, row.is_large_vocabulary) == (name, is_large_vocabulary)]
    epochs = [row.max_epochs for row in rows]
    assert epochs == sorted(set(epochs))
    assert math.isinf(epochs[-1])
    dropped = [(row.recipe.dropout, row.recipe.weight_dropout) for row in rows]
    assert dropped == sorted(set(dropped))
    penalties = [(row.recipe.confidence_penalty, row.recipe.activation_penalty) for row in rows]
    assert penalties == sorted(penalties)
    assert len({replace(row.recipe, **NO_REGULARIZATION) for row in rows}) == 1  # type: ignore[arg-type]


def test_a_short_run_of_another_cell_keeps_its_size() -> None:
    gru = preset("small", 57, cell="gru", epochs=1)
    assert gru == replace(PRESETS["small"], cell="gru", units=168, layers=1, weight_dropout=0.05)


@pytest.mark.parametrize(("epochs", "dropout"), [(20.0, 0.1), (21.0, 0.2), (None, 0.2)])
def test_a_long_run_on_a_large_vocabulary_has_more_dropout(epochs: float | None, dropout: float) -> None:
    assert preset("small", LARGE_VOCABULARY, epochs=epochs).dropout == dropout
