"""What ``textgen-train``'s options come to."""

from dataclasses import replace

import pytest
from textgen_train.cli._arguments import CLASSIC_EPOCHS, DEFAULT_MINUTES, budget_of, parser, recipe_of
from textgen_train.errors import RecipeError
from textgen_train.recipe import PRESETS, AnyRecipe, Budget, ClassicRecipe


def parsed(*options: str) -> tuple[AnyRecipe, Budget]:
    arguments = parser().parse_args(["text.txt", *options])
    return recipe_of(arguments), budget_of(arguments)


def test_without_options_it_is_small_and_takes_minutes() -> None:
    assert parsed() == (PRESETS["small"], Budget(minutes=DEFAULT_MINUTES))


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_its_numbers(name: str) -> None:
    assert parsed("--preset", name)[0] == PRESETS[name]


def test_each_number_can_be_overridden() -> None:
    recipe, _ = parsed("--preset", "large", "--units", "99", "--dropout", "0", "--sequence-length", "7")
    assert recipe == replace(PRESETS["large"], units=99, dropout=0.0, sequence_length=7)


def test_muon_in_a_preset_without_it() -> None:
    recipe, _ = parsed("--preset", "large", "--muon-lr", "0.01", "--muon-weight-decay", "0.1")
    assert recipe == replace(PRESETS["large"], muon_lr=0.01, muon_weight_decay=0.1)


def test_the_classic_recipe() -> None:
    assert parsed("--recipe", "classic") == (ClassicRecipe(), Budget(epochs=CLASSIC_EPOCHS))
    recipe, budget = parsed("--recipe", "classic", "--window", "40", "--batch", "64", "--minutes", "2")
    assert recipe == ClassicRecipe(window=40, batch=64)
    assert budget == Budget(minutes=2.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--recipe", "classic", "--layers", "2"), "--layers is none of the classic recipe's numbers"),
        (("--window", "40"), "--window is none of the default recipe's numbers"),
        (
            ("--preset", "large", "--muon-weight-decay", "0.1"),
            "--muon-weight-decay has no effect where Muon's rate is 0",
        ),
        (("--units", "0"), "units must be a whole number from 1 to 16384, not 0"),
    ],
)
def test_numbers_that_a_recipe_does_not_have(options: tuple[str, ...], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parsed(*options)


def test_a_preset_is_of_the_default_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("--recipe", "classic", "--preset", "small")
    assert "not allowed with" in capsys.readouterr().err


def test_the_help_tells_each_presets_number() -> None:
    text = " ".join(parser().format_help().split())
    assert "LSTM units a layer (small 144," in text
    assert "classic: windows between updates (128)" in text
    assert "AdamW's weight decay (default 0.05)" in text
