"""Checkpoints whose JSON has been changed, as by another version or by hand: each change is told."""

from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy
from textgen_runtime.json_text import from_json, to_json
from textgen_train.errors import TrainingError
from textgen_train.loop import checkpoint_file
from textgen_train.loop.checkpoint_file import read_checkpoint, write_checkpoint

from tests.helpers.training_runs import make_run


class CheckpointFile:
    """A checkpoint file in parts, which ``write`` puts together again with a valid checksum.

    Attributes:
        content: The JSON of the file.
    """

    def __init__(self, path: Path) -> None:
        file = path.read_bytes()
        start = checkpoint_file.LENGTH_BYTES
        header = from_json(file[start : start + int.from_bytes(file[:start], "little")])
        self._path, self._arrays = path, safetensors.numpy.load(file)
        self.content: Any = from_json(header["__metadata__"][checkpoint_file.CONTENT_KEY])

    def write(self) -> None:
        text = to_json(self.content)
        keys = {
            checkpoint_file.CONTENT_KEY: text,
            checkpoint_file.CHECKSUM_KEY: str(checkpoint_file._checksum(text, self._arrays)),
        }
        self._path.write_bytes(safetensors.numpy.save(self._arrays, keys))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The checkpoint of a run that was interrupted after an update after its first evaluation."""
    run, _ = make_run(tmp_path, epochs=1, samples=False)
    left = 4

    def check_interrupt() -> None:
        nonlocal left
        left -= 1
        if not left:
            write_checkpoint(tmp_path / "checkpoint", {}, run.state(), complete=False)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.run(check_interrupt)
    return tmp_path / "checkpoint"


def restore(path: Path) -> None:
    run, _ = make_run(path.parent, epochs=1, samples=False)
    run.restore(read_checkpoint(path).state())


@pytest.mark.parametrize(
    ("keys", "value", "reason"),
    [
        (("evaluations", 0, "new"), 1, "Evaluation.__init__() got an unexpected keyword argument 'new'"),
        (("trainer",), {}, "TrainerState.__init__() missing 7 required positional arguments: 'step', "),
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
    file.write()
    with pytest.raises(TrainingError) as caught:
        restore(path)
    message = str(caught.value)
    assert message.startswith(f"{path} does not have the state of this version of textgen-train ({reason}")
    assert message.endswith(
        "): resume the run with the version that wrote it, or start it again with overwrite"
    )


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ("/trainer/carried_state/hidden", "the training state is from another network"),
        ("/none", "is damaged, or is not"),
    ],
)
def test_a_tensor_of_another_type_or_of_another_name_is_told(path: Path, tensor: str, message: str) -> None:
    file = CheckpointFile(path)
    file.content["state"]["trainer"]["weights"]["output.bias"]["tensor"] = tensor
    file.write()
    with pytest.raises(TrainingError, match=message):
        restore(path)
