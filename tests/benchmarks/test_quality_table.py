"""The quality table takes a model that was trained before only for what it is."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import textgen_runtime as textgen
from textgen_train.cli._arguments import parser, recipe_from
from textgen_train.loop.provenance import stored_recipe

from benchmarks.quality import table


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Training that only notes its command and what a model file would say of its recipe."""
    noted: list[list[str]] = []
    models: dict[Path, SimpleNamespace] = {}

    def train(command: list[str], *, check: bool) -> None:
        assert check
        noted.append(command)
        asked = parser().parse_args(command[1:])
        asked.output.mkdir(exist_ok=asked.overwrite)
        finished = asked.output.with_suffix("")
        recipe = {**stored_recipe(recipe_from(asked)), "seed": asked.seed}
        normalization = textgen.Normalization(asked.lowercase, asked.unicode)
        models[finished / "model.onnx"] = SimpleNamespace(
            training={"recipe": recipe}, metadata=SimpleNamespace(normalization=normalization)
        )

    monkeypatch.setattr(subprocess, "run", train)
    monkeypatch.setattr(textgen, "load", models.__getitem__)
    return noted


@pytest.mark.parametrize("options", [[], ["--dropout=0.5", "--seed", "3", "--held-out", "0.5"]])
def test_a_model_is_trained_once(tmp_path: Path, commands: list[list[str]], options: list[str]) -> None:
    for _ in range(2):
        assert table.trained("nietzsche", "small:1", tmp_path, options) == tmp_path / "nietzsche-small-1"
    (command,) = commands
    asked = parser().parse_args(command[1:])
    assert (asked.corpus, asked.minutes, asked.held_out, asked.lowercase) == ("nietzsche", 1.0, 0.1, True)
    assert (tmp_path / "nietzsche-small-1").is_dir()


@pytest.mark.parametrize(
    ("option", "value", "name"), [("--dropout", "0.5", "dropout"), ("--seed", "3", "seed")]
)
@pytest.mark.usefixtures("commands")
def test_a_model_of_other_numbers_is_refused(tmp_path: Path, option: str, value: str, name: str) -> None:
    table.trained("nietzsche", "small:1", tmp_path, [])
    with pytest.raises(SystemExit, match=f"nietzsche-small-1 was trained with another {name}: remove it"):
        table.trained("nietzsche", "small:1", tmp_path, [option, value])


@pytest.mark.usefixtures("commands")
def test_a_model_of_another_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="tinyshakespeare-small-1 was trained with another normalization"):
        table.trained("tinyshakespeare", "small:1", tmp_path, ["--lowercase"])


def test_an_unfinished_training_is_begun_again(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = subprocess.run

    def fail(command: list[str], **_: object) -> None:
        parser().parse_args(command[1:]).output.mkdir()
        raise subprocess.CalledProcessError(130, command)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(subprocess.CalledProcessError):
        table.trained("nietzsche", "small:1", tmp_path, [])
    monkeypatch.setattr(subprocess, "run", train)
    table.trained("nietzsche", "small:1", tmp_path, [])
    assert len(commands) == 1
