"""Recipe and budget from the options of ``textgen-train``."""

from dataclasses import replace
from typing import Any

import pytest
from textgen_train.cli._arguments import option, parse, parser
from textgen_train.errors import RecipeError
from textgen_train.options import CLASSIC_EPOCHS, DEFAULT_MINUTES, RunOptions
from textgen_train.presets import PRESETS, preset
from textgen_train.recipe import CELLS, AnyRecipe, Budget, ClassicRecipe


def parsed(*options: str) -> tuple[AnyRecipe, Budget]:
    run = parse(["text.txt", *options]).run
    assert run
    return run.choose_recipe(), run.budget


def test_defaults() -> None:
    assert parsed() == (PRESETS["small"], Budget(minutes=DEFAULT_MINUTES))


def test_options_override_the_preset() -> None:
    recipe, _ = parsed("--preset", "large", "--units", "99", "--dropout", "0", "--sequence-length", "7")
    assert recipe == replace(PRESETS["large"], units=99, dropout=0.0, sequence_length=7)


def test_muon_can_be_disabled_and_its_values_changed() -> None:
    assert parsed("--muon-lr", "0")[0] == replace(PRESETS["small"], muon_lr=0.0)
    recipe, _ = parsed("--preset", "large", "--muon-lr", "0.01", "--muon-weight-decay", "0.1")
    assert recipe == replace(PRESETS["large"], muon_lr=0.01, muon_weight_decay=0.1)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("cell", CELLS)
def test_each_cell_has_its_sizes(cell: str, name: str) -> None:
    assert parsed("--cell", cell, "--preset", name)[0] == preset(name, 0, cell=cell)


def test_residual_connections_can_be_turned_on_and_off() -> None:
    assert parsed("--layers", "2", "--residual")[0] == replace(PRESETS["small"], layers=2, residual=True)
    conv, _ = parsed("--cell", "conv", "--no-residual")
    assert conv == replace(preset("small", 0, cell="conv"), residual=False)


@pytest.mark.parametrize("words", [["--teacher", "a", "b", "c"], ["--teacher", "a", "--teacher", "b", "c"]])
def test_a_run_can_have_several_teachers(words: list[str]) -> None:
    run = parse(["text.txt", *words]).run
    assert run
    assert run.teachers == ["a", "b", "c"]


def test_classic_recipe() -> None:
    assert parsed("--recipe", "classic") == (ClassicRecipe(), Budget(epochs=CLASSIC_EPOCHS))
    recipe, budget = parsed("--recipe", "classic", "--window", "40", "--batch", "64", "--minutes", "2")
    assert recipe == ClassicRecipe(window=40, batch=64)
    assert budget == Budget(minutes=2.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"recipe": "classic", "hyperparameters": {"layers": 2}},
            "layers is not an option of the classic recipe",
        ),
        ({"hyperparameters": {"window": 40}}, "window is not an option of the default recipe"),
        (
            {"hyperparameters": {"muon_lr": 0.0, "muon_weight_decay": 0.1}},
            "muon_weight_decay has no effect while muon_lr is 0: pass muon_lr too",
        ),
        (
            {"hyperparameters": {"layers": 1, "residual": True}},
            "residual has no effect on a single layer: pass layers too",
        ),
        ({"hyperparameters": {"units": True}}, "units must be an integer from 1 to 16384, not True"),
        ({"hyperparameters": {"dropout": "much"}}, "dropout must be a number from 0 to 0.99, not 'much'"),
        ({"recipe": "classic", "records": "lines"}, "records is not an option of the classic recipe"),
        ({"recipe": "classic", "level": "word"}, "level is not an option of the classic recipe"),
        ({"recipe": "classic", "teachers": ["a"]}, "teachers is not an option of the classic recipe"),
        ({"teachers": []}, "teachers must be one or more texts, not []"),
        ({"teachers": "a"}, "teachers must be one or more texts, not 'a'"),
        ({"held_out_file": ["a"]}, "held_out_file must be a text, not ['a']"),
        ({"teacher_weight": 0.5}, "teacher_weight requires teachers MODEL"),
        ({"teachers": ["a"], "teacher_weight": 0.0}, "teacher_weight must be a number above 0 and at most 1"),
        ({"minutes": 1.0, "epochs": 2}, "epochs is not allowed with minutes"),
        ({"held_out": 1.0}, "held_out must be a number above 0 and below 1, not 1.0"),
        ({"seed": 2**70}, "seed must be an integer of 0 or more and below 2^63, not 1180591620717411303424"),
        ({"device": "abacus"}, "device must be one of auto, cpu, cuda, mps, not 'abacus'"),
        ({"extend": "yes"}, "extend must be true or false, not 'yes'"),
    ],
)
def test_invalid_options_are_named_as_parameters_and_as_options(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError) as caught:
        RunOptions("text.txt", **options)
    error = caught.value
    assert str(error).startswith(message)
    assert error.parameter == message.partition(" ")[0]
    name = {"teachers": "teacher"}.get(error.parameter, error.parameter)
    assert error.spelled(option).startswith(f"--{name.replace('_', '-')} ")


def test_help_states_the_default_values() -> None:
    text = " ".join(parser().format_help().split())
    example = text.partition("Three values such as ")[2].partition(" ")[0]
    assert f"units per layer (default: {example}; classic: 128)" in text
    assert "add the input to the output (default: no)" in text
    assert "convolutions (default: lstm)" in text
    assert "sequences per batch; a short text gives fewer (default: 32; classic: 128)" in text
    assert "weight decay of AdamW (default: 0.05/0.05/0.1)" in text
    assert "window length in characters (default: 60)" in text
    # The classic recipe has no such option.
    assert "maximum norm of the gradient (default: 1)" in text
