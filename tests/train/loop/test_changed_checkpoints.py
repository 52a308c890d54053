"""Checkpoints whose JSON has been changed, as by another version or by hand: each change is told."""

from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from textgen_train.errors import TrainingError
from textgen_train.loop.checkpoint_file import read_checkpoint, write_checkpoint
from textgen_train.recipe import AnyRecipe, ClassicRecipe

from tests.helpers.checkpoint_files import CheckpointFile, changes, message
from tests.helpers.training_runs import RECIPE, make_run

# All changes take seconds. With a stride that is a prime number, each kind of change is tested.
STRIDE = 17


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The checkpoint of a run that was interrupted after an update after its first evaluation."""
    return write(tmp_path, RECIPE)


def write(folder: Path, recipe: AnyRecipe) -> Path:
    run, _ = make_run(folder, epochs=1, recipe=recipe, samples=False)
    left = 4

    def check_interrupt() -> None:
        nonlocal left
        left -= 1
        if not left:
            write_checkpoint(folder / "checkpoint", {}, run.state(), complete=False)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(check_interrupt)
    return folder / "checkpoint"


def restore(path: Path, recipe: AnyRecipe = RECIPE) -> None:
    run, _ = make_run(path.parent, epochs=1, recipe=recipe, samples=False)
    run.restore(read_checkpoint(path).state())


@pytest.mark.parametrize("recipe", [RECIPE, ClassicRecipe(units=8, window=12, batch=64)])
def test_every_change_is_harmless_or_one_line(tmp_path: Path, recipe: AnyRecipe) -> None:
    path = write(tmp_path, recipe)
    run, _ = make_run(tmp_path, epochs=1, recipe=recipe, samples=False)
    file = CheckpointFile(path)
    told = 0
    for change, state in islice(changes(file.content["state"]), 0, None, STRIDE):
        file.write({**file.content, "state": state})
        line = message(lambda: run.restore(read_checkpoint(path).state()))
        assert "\n" not in (line or ""), change
        told += line is not None
    assert told > 40


@pytest.mark.parametrize(
    ("keys", "value", "reason"),
    [
        (("evaluations", 0, "seconds"), "1", "'evaluations.0.seconds' has an invalid value"),
        (("evaluations", 0, "new"), 1.0, "'evaluations.0.new' is unknown"),
        (("evaluations", 0, "held_out_nats"), None, "'evaluations.0.held_out_nats' has an invalid value"),
        (("since_evaluation", "updates"), 1.5, "'since_evaluation.updates' has an invalid value"),
        (("since_evaluation", "last"), {"step": 1}, "'since_evaluation.last.epochs' is missing"),
        (("eval_schedule",), [], "'eval_schedule' has an invalid value"),
        (("trainer", "step"), -1, "'trainer.step' has an invalid value"),
        (("samples",), [], "'samples' has an invalid value"),
    ],
)
def test_a_field_that_differs_is_named(path: Path, keys: tuple[Any, ...], value: object, reason: str) -> None:
    file = CheckpointFile(path)
    restore(path)
    place = file.content["state"]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    file.write(file.content)
    with pytest.raises(TrainingError) as caught:
        restore(path)
    assert str(caught.value) == (
        f"{path} does not have the state of this version of textgen-train ({reason}): resume the run with "
        "the version that wrote it, or start it again with --overwrite"
    )


def test_a_missing_field_is_named(path: Path) -> None:
    file = CheckpointFile(path)
    del file.content["state"]["evaluations"][0]["step"]
    file.write(file.content)
    with pytest.raises(TrainingError, match=r"\('evaluations.0.step' is missing\)"):
        restore(path)


def test_a_tensor_of_another_type_is_told(path: Path) -> None:
    file = CheckpointFile(path)
    file.content["state"]["trainer"]["weights"]["output.bias"]["tensor"] = "/trainer/dropout_rngs/0"
    file.write(file.content)
    with pytest.raises(TrainingError, match="the training state is from another network"):
        restore(path)
