"""Training and reuse of models for the quality table."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import textgen_runtime as textgen
from textgen_train.cli._arguments import parser
from textgen_train.cli._recipe_arguments import recipe_from
from textgen_train.loop.provenance import stored_recipe

from benchmarks.quality import table


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace training: record the commands, and provide models with their recipes."""
    recorded: list[list[str]] = []
    models: dict[Path, SimpleNamespace] = {}

    def train(command: list[str], *, check: bool) -> None:
        assert check
        recorded.append(command)
        parsed = parser().parse_args(command[1:])
        parsed.output.mkdir(exist_ok=parsed.overwrite)
        trained_folder = parsed.output.with_suffix("")
        recipe = recipe_from(parsed)
        stored = {**stored_recipe(recipe), "seed": parsed.seed}
        normalization = textgen.Normalization(parsed.lowercase, parsed.unicode)
        models[trained_folder / "model.onnx"] = SimpleNamespace(
            training={"recipe": stored},
            metadata=SimpleNamespace(normalization=normalization),
        )

    monkeypatch.setattr(subprocess, "run", train)
    monkeypatch.setattr(textgen, "load", models.__getitem__)
    return recorded


@pytest.mark.parametrize("options", [[], ["--dropout=0.5", "--seed", "3", "--held-out", "0.5"]])
def test_a_model_is_trained_once(tmp_path: Path, commands: list[list[str]], options: list[str]) -> None:
    for _ in range(2):
        folder = table.trained_model("nietzsche", "small:1", tmp_path, options)
        assert folder == tmp_path / "nietzsche-small-1"
    (command,) = commands
    parsed = parser().parse_args(command[1:])
    assert (parsed.corpus, parsed.minutes, parsed.held_out, parsed.lowercase) == ("nietzsche", 1.0, 0.1, True)
    assert (tmp_path / "nietzsche-small-1").is_dir()


@pytest.mark.parametrize(
    ("option", "value", "name"), [("--dropout", "0.5", "dropout"), ("--seed", "3", "seed")]
)
@pytest.mark.usefixtures("commands")
def test_a_model_with_other_hyperparameters_is_an_error(
    tmp_path: Path, option: str, value: str, name: str
) -> None:
    table.trained_model("nietzsche", "small:1", tmp_path, [])
    with pytest.raises(SystemExit, match=f"nietzsche-small-1 was trained with a different {name}: remove it"):
        table.trained_model("nietzsche", "small:1", tmp_path, [option, value])


@pytest.mark.usefixtures("commands")
def test_a_model_with_another_normalization_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        SystemExit, match="tinyshakespeare-small-1 was trained with a different normalization"
    ):
        table.trained_model("tinyshakespeare", "small:1", tmp_path, ["--lowercase"])


def test_an_interrupted_training_is_restarted(
    tmp_path: Path, commands: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = subprocess.run

    def fail(command: list[str], **_: object) -> None:
        parser().parse_args(command[1:]).output.mkdir()
        raise subprocess.CalledProcessError(130, command)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(subprocess.CalledProcessError):
        table.trained_model("nietzsche", "small:1", tmp_path, [])
    monkeypatch.setattr(subprocess, "run", train)
    table.trained_model("nietzsche", "small:1", tmp_path, [])
    assert len(commands) == 1
