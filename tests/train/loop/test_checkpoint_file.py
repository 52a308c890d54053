"""The checkpoint file: what it returns, and how it refuses files that are damaged or foreign."""

import pickle
from pathlib import Path

import pytest
import safetensors.torch
import torch
from textgen_train.errors import TrainingError
from textgen_train.loop import checkpoint_file
from textgen_train.loop.checkpoint import TrainingState
from textgen_train.loop.checkpoint_file import read_checkpoint, write_checkpoint
from textgen_train.recipe import AnyRecipe, ClassicRecipe

from tests.helpers.paths import TINY
from tests.helpers.training_runs import RECIPE, make_run
from tests.helpers.training_states import same

# With a quotation mark, a backslash and half of a surrogate pair.
DESCRIPTION = {
    "name": 'a "run"\\',
    "options": {"corpus": "b\udcffk", "epochs": 3, "lowercase": False, "x": None},
}


def states(folder: Path, recipe: AnyRecipe) -> list[TrainingState]:
    """The state before the first update, and the final state."""
    run, _ = make_run(folder, epochs=1, recipe=recipe)
    before = run.state()
    run.run()
    return [before, run.state()]


@pytest.fixture
def file(tmp_path: Path) -> bytes:
    """The content of a checkpoint file."""
    path = tmp_path / "checkpoint"
    write_checkpoint(path, DESCRIPTION, states(tmp_path, RECIPE)[0], complete=False)
    return path.read_bytes()


@pytest.mark.parametrize("recipe", [RECIPE, ClassicRecipe(units=8, window=12, batch=64)])
def test_a_state_is_read_as_it_was_written(tmp_path: Path, recipe: AnyRecipe) -> None:
    path = tmp_path / "checkpoint"
    for complete, state in enumerate(states(tmp_path, recipe)):
        write_checkpoint(path, DESCRIPTION, state, complete=bool(complete))
        checkpoint = read_checkpoint(path)
        assert (checkpoint.run, checkpoint.complete) == (DESCRIPTION, bool(complete))
        assert same(checkpoint.state().as_dict(), state.as_dict())


def test_the_tensors_are_those_of_a_safetensors_file(file: bytes) -> None:
    tensors = safetensors.torch.load(file)
    assert tensors["/trainer/weights/output.bias"].shape == (12,)


def assert_refused(path: Path, content: bytes, message: str) -> None:
    path.write_bytes(content)
    with pytest.raises(TrainingError, match=message) as caught:
        read_checkpoint(path).state()
    assert "\n" not in str(caught.value)


def test_every_damage_is_noticed(tmp_path: Path, file: bytes) -> None:
    path = tmp_path / "checkpoint"
    for position in (*range(0, 600, 7), *range(600, len(file), 997), len(file) - 1):
        damaged = bytearray(file)
        damaged[position] ^= 1
        assert_refused(path, bytes(damaged), "is damaged, or is not a checkpoint of textgen-train")


def test_a_changed_shape_is_noticed(tmp_path: Path, file: bytes) -> None:
    for old, new in ((b'"shape":[32,4]', b'"shape":[4,32]'), (b'"dtype":"F32"', b'"dtype":"I32"')):
        assert old in file
        assert_refused(tmp_path / "checkpoint", file.replace(old, new, 1), "is damaged")


def test_a_truncated_or_longer_file_is_refused(tmp_path: Path, file: bytes) -> None:
    path = tmp_path / "checkpoint"
    for content in (*(file[:length] for length in (0, 1, 7, 8, 9, 500, len(file) - 1)), file + b"\0"):
        assert_refused(path, content, "is damaged")


@pytest.mark.parametrize(
    "content",
    [
        pickle.dumps({"state": 1}),
        TINY.read_bytes(),
        b"\xff" * 100,
        safetensors.torch.save({"weight": torch.zeros(3)}),
        safetensors.torch.save({"weight": torch.zeros(3)}, {"format": "pt"}),
        (2).to_bytes(8, "little") + b"[]",
        (20_000).to_bytes(8, "little") + b"[" * 20_000,
    ],
)
def test_files_of_other_programs_are_refused(tmp_path: Path, content: bytes) -> None:
    assert_refused(tmp_path / "checkpoint", content, "is damaged, or is not a checkpoint")


def test_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = states(tmp_path, RECIPE)[0]
    monkeypatch.setattr(checkpoint_file, "FORMAT", 2)
    path = tmp_path / "checkpoint"
    write_checkpoint(path, DESCRIPTION, state, complete=False)
    monkeypatch.undo()
    assert_refused(path, path.read_bytes(), "format 2, but .* supports only 1: resume the")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"cannot read .*none: No such file or directory"):
        read_checkpoint(tmp_path / "none")
