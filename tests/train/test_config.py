"""The options of a run: help, checkpoint, ranges, what excludes what, and the hyperparameters."""

import json
import os
from dataclasses import fields
from typing import Any

import pytest
from textgen_train import _core
from textgen_train.cli import make_config, parser, spell
from textgen_train.config import (
    CELL_PRESETS,
    CELLS,
    CLASSIC,
    CLASSIC_EPOCHS,
    DEFAULT_MINUTES,
    INTERNAL,
    MAX_MINUTES,
    NO_REGULARIZATION,
    PRESETS,
    REGULARIZATION,
    Config,
    hyperparameters,
    option_name,
)
from textgen_train.errors import RecipeError

OPTIONS = [option for option in fields(Config) if option.metadata]


def config(**options: Any) -> Config:
    return Config("text.txt", **options)


def test_the_help_has_each_option_with_its_text_and_the_values_of_the_presets() -> None:
    text = " ".join(parser().format_help().split()).replace("- ", "-")
    for option in OPTIONS:
        name = (
            "CORPUS"
            if option.name == "corpus"
            else f"--{option_name(option.metadata.get('option', option.name))} "
        )
        assert f" {name}" in text
        assert " ".join(option.metadata["help"].split()).replace("- ", "-") in text
    small = _core.choose_preset("small", 0, 500_000, None)
    for parameter in [*hyperparameters(), *CLASSIC]:
        name = option_name(parameter.name)
        assert f"--{name} " in text or f"--{name}, --no-{name}" in text
    units = "/".join(f"{_core.choose_preset(name, 0, 500_000, None)['units']:g}" for name in PRESETS)
    assert f"(default: {units}; classic: 128)" in text
    assert f"(default: {small['warmup']:g})" in text
    assert not any(f"--{name} N" in text for name in INTERNAL)


def test_a_checkpoint_has_every_option() -> None:
    choices: dict[str, Any] = {
        "unicode": "NFKD",
        "level": "word",
        "records": "blank",
    }
    choices |= {"learner": "torch", "device": "cuda", "cell": "gru", "preset": "large"}
    other = {"held_out", "minutes", "recipe", "parent", "extend", "quantize", "precision"}
    values: dict[str, Any] = {"hyperparameters": {"units": 9, "muon_lr": 0.5}}
    for option in OPTIONS:
        if option.name not in other:
            kind = str(option.type)
            found = True if "bool" in kind else 3 if "int" in kind else 0.5 if "float" in kind else "/x"
            values[option.name] = choices.get(option.name, ["/a"] if "list" in kind else found)
    for whole in (
        Config(**values),
        Config(
            "/x", held_out=0.25, minutes=2.5, quantize=True, parent="a", extend=True, precision="bfloat16"
        ),
        Config("names", recipe="classic", hyperparameters={"window": 7}),
    ):
        stored = json.loads(json.dumps(whole.as_json()))
        assert Config(**stored) == whole
        assert {*stored} == {option.name for option in fields(Config)}
    stored = config(held_out_file="-", teachers=["a", "nietzsche"]).as_json()
    paths = (stored["corpus"], stored["held_out_file"], *stored["teachers"])
    assert paths == (os.path.abspath("text.txt"), "-", os.path.abspath("a"), "nietzsche")  # noqa: PTH100
    assert {*Config(**values).changed} == {option.name for option in OPTIONS} - other | {"units", "muon_lr"}


@pytest.mark.parametrize(
    ("name", "refused", "accepted"),
    [
        ("minutes", [0, -1.0, MAX_MINUTES + 1, float("nan"), "1", True], [1e-6, MAX_MINUTES, 3]),
        ("epochs", [0, 1.0, 2**63, True, "2"], [1, 2**63 - 1]),
        ("held_out", [0.0, 1.0, 1], [1e-9, 0.9999]),
        ("seed", [-1, 2**63, 1.0, None], [0, 2**63 - 1]),
        ("threads", [0, 257], [1, 256]),
        ("min_count", [0], [1, 9]),
        ("vocabulary_size", [1], []),
        ("teacher_weight", [0.0, 1.1], []),
        ("lowercase", [1, "yes", None], [True]),
        ("held_out_file", [["a"], 1], ["a"]),
        ("parent", [7], ["a"]),
        ("teachers", [[], "a"], [["a", "b"]]),
        ("level", ["words", None], ["byte"]),
        ("unicode", ["nfc"], ["none", "NFD"]),
        ("records", ["paragraphs", 1], ["lines", "blank"]),
        ("device", ["abacus"], ["mps"]),
        ("cell", ["rnn"], ["conv"]),
        ("preset", ["huge"], ["medium"]),
        ("units", [0, 16_385, 1.5, "8"], [1, 16_384]),
        ("dropout", [-0.1, 1.0, "much"], [0, 0.99]),
        ("learning_rate", [0.0, float("inf")], [0.1]),
        ("warmup", [-1], [0]),
        *((name, [1], []) for name in ("window", "parts", "precision_", "mystery")),
    ],
)
def test_the_range_of_an_option(name: str, refused: list[Any], accepted: list[Any]) -> None:
    def options(value: Any) -> dict[str, Any]:
        return (
            {name: value}
            if name in {option.name for option in OPTIONS}
            else {"hyperparameters": {name: value}}
        )

    for value in accepted:
        assert config(**options(value)).changed.get(name, value) == value
    spelled = option_name({"parent": "from", "teachers": "teacher"}.get(name, name))
    for value in refused:
        with pytest.raises(RecipeError) as caught:
            config(**options(value))
        assert caught.value.parameter == name
        assert caught.value.spelled(spell).startswith(f"--{spelled} ")


CLASSIC_RECIPE = {"recipe": "classic"}


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"corpus": ""}, "corpus"),
        ({"held_out": 0.1, "held_out_file": "a"}, "held_out_file"),
        ({"minutes": 1.0, "epochs": 2}, "epochs"),
        ({"preset": "small", **CLASSIC_RECIPE}, "recipe"),
        *(
            ({"level": "byte", name: value}, name)
            for name, value in (("lowercase", True), ("unicode", "NFD"))
        ),
        *(({"level": "byte", name: value}, name) for name, value in (("min_count", 2), ("unwrap", True))),
        *(({"parent": "a", "hyperparameters": {name: 1}}, name) for name in ("units", "layers", "embedding")),
        ({"parent": "a", "hyperparameters": {"residual": 1, "layers": 2}}, "layers"),
        ({"parent": "a", "hyperparameters": {"residual": 1}}, "residual"),
        ({"parent": "a", "lowercase": True}, "lowercase"),
        ({"parent": "a", "unicode": "none"}, "unicode"),
        ({"parent": "a", "min_count": 2}, "min_count"),
        ({"parent": "a", "cell": "gru"}, "cell"),
        ({"parent": "a", "level": "byte"}, "level"),
        ({"parent": "a", "level": "word", "vocabulary_size": 9}, "level"),
        ({"parent": "a", "vocabulary_size": 9}, "vocabulary_size"),
        ({"parent": "a", "records": "lines"}, "records"),
        ({"parent": "a", **CLASSIC_RECIPE}, "recipe"),
        ({"records": "lines", **CLASSIC_RECIPE}, "records"),
        ({"level": "word", **CLASSIC_RECIPE}, "level"),
        ({"teachers": ["a"], **CLASSIC_RECIPE}, "teachers"),
        ({"cell": "conv", **CLASSIC_RECIPE}, "cell"),
        ({"hyperparameters": {"layers": 2}, **CLASSIC_RECIPE}, "layers"),
        *(({"learner": "core", name: value}, name) for name, value in (("cell", "gru"), ("device", "cuda"))),
        ({"vocabulary_size": 99}, "vocabulary_size"),
        ({"extend": True}, "extend"),
        ({"teacher_weight": 0.5}, "teacher_weight"),
        ({"quantize": True, "cell": "conv"}, "quantize"),
        ({"hyperparameters": {"residual": True, "layers": 1}}, "residual"),
        ({"hyperparameters": {"residual": True, "layers": 1}, "preset": "large"}, "residual"),
    ],
)
def test_options_that_exclude_or_require_each_other(options: dict[str, Any], name: str) -> None:
    with pytest.raises(RecipeError) as caught:
        Config(**{"corpus": "text.txt", **options})
    assert caught.value.parameter == name


def test_options_that_fit_each_other() -> None:
    config(parent="a", extend=True, epochs=2, hyperparameters={"dropout": 0.1}, preset="large")
    config(level="byte", records="lines")
    config(cell="gru", hyperparameters={"layers": 2, "residual": False})
    assert config(hyperparameters={"residual": True, "layers": 2}).choose_recipe()["residual"] is True
    assert config(preset="large", hyperparameters={"residual": 1}).choose_recipe()["residual"] == 1


def test_the_budget_that_is_not_given() -> None:
    for given, budget in (
        ({}, (DEFAULT_MINUTES, None)),
        (CLASSIC_RECIPE, (None, CLASSIC_EPOCHS)),
        ({"minutes": 2.0, **CLASSIC_RECIPE}, (2.0, None)),
        ({"epochs": 3}, (None, 3)),
    ):
        made = make_config({"corpus": "text.txt", **given})
        assert (made.minutes, made.epochs) == budget


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("sizes", [(0, 500_000, None), (900, 500_000, 100), (50, 20_000, 3)])
def test_a_preset_is_that_of_the_core_for_a_text_and_a_cell(
    name: str, cell: str, sizes: tuple[int, int, float | None]
) -> None:
    core = {"cell": cell, **_core.choose_preset(name, *sizes), **CELL_PRESETS[cell].get(name, {})}
    assert config(preset=name, cell=cell).choose_recipe(*sizes) == core
    light, heavy = (
        config(preset=name, cell=cell, teachers=["a"], teacher_weight=weight).choose_recipe(*sizes)
        for weight in (0.79, 0.8)
    )
    assert light == core
    assert heavy == core | NO_REGULARIZATION
    assert {*REGULARIZATION} <= {*core}
    mine = {"dropout": 0.33, "units": 9}
    changed = config(preset=name, cell=cell, teachers=["a"], hyperparameters=mine)
    assert changed.usual_recipe(*sizes) == heavy
    assert changed.choose_recipe(*sizes) == heavy | mine


def test_the_classic_recipe_and_the_default_preset() -> None:
    classic = config(hyperparameters={"window": 40}, **CLASSIC_RECIPE)
    assert classic.choose_recipe(900, 9, 9) == {
        "units": 128,
        "window": 40,
        "window_step": 3,
        "batch": 128,
        "learning_rate": 0.01,
    }
    assert classic.normalization.lowercase
    assert config(level="byte").normalization.unicode is None
    assert config().choose_recipe() == config(preset="small").choose_recipe()
    assert (config().weight_of_teachers, config(teachers=["a"]).weight_of_teachers) == (0.0, 0.9)


def test_what_needs_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not config(learner="core", preset="large").needs_torch()
    assert config(learner="torch").needs_torch()
    for options in ({"device": "cuda"}, {"cell": "gru"}, CLASSIC_RECIPE):
        assert {*config(**options).needs_torch()} == {*options}
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert config().needs_torch()


@pytest.mark.parametrize("name", PRESETS)
def test_the_nearest_preset_of_a_network_is_its_own(name: str) -> None:
    values = _core.choose_preset(name, 0, 500_000, None)
    layers, units = int(values["layers"]), int(values["units"])
    for near in (units - units // 20, units, units + units // 20):
        assert _core.nearest_preset(layers, near) == name
