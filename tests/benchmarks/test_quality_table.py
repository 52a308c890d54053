"""Training and reuse of models for the quality table."""

import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import textgen_runtime as textgen
from textgen_train.cli._arguments import parse
from textgen_train.loop.specification import stored_recipe
from textgen_train.options import RunOptions

from benchmarks.quality import table


def parsed(command: list[str]) -> tuple[RunOptions, Path]:
    """The options of a command that trains a model anew, and its output folder."""
    result = parse(command[1:])
    assert result.run
    assert result.call.output
    assert result.call.overwrite
    return result.run, result.call.output


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Replace training: record the commands, and provide models with their recipes."""
    recorded: list[list[str]] = []
    models: dict[Path, SimpleNamespace] = {}

    def train(command: list[str], *, check: bool) -> None:
        assert check
        recorded.append(command)
        options, folder = parsed(command)
        folder.mkdir(exist_ok=True)
        trained_folder = folder.with_suffix("")
        stored = {**stored_recipe(options.choose_recipe()), "seed": options.seed}
        models[trained_folder / "model.onnx"] = SimpleNamespace(
            training={"recipe": stored},
            metadata=SimpleNamespace(normalization=options.normalization),
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
    trained, _ = parsed(command)
    assert (trained.corpus, trained.minutes, trained.held_out) == ("nietzsche", 1.0, 0.1)
    assert trained.lowercase
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
        parsed(command)[1].mkdir()
        raise subprocess.CalledProcessError(130, command)

    monkeypatch.setattr(subprocess, "run", fail)
    with pytest.raises(subprocess.CalledProcessError):
        table.trained_model("nietzsche", "small:1", tmp_path, [])
    monkeypatch.setattr(subprocess, "run", train)
    table.trained_model("nietzsche", "small:1", tmp_path, [])
    assert len(commands) == 1
