"""The checkpoint file: the complete state of a training run on disk, and when a run writes it.

The file is in the safetensors format, so reading it runs no code. Its tensors are those of ``TrainingState``.
One text in its metadata is JSON: the description of the run, and all of the state that is not a tensor.
Another one is the CRC-32 of this text and the tensors, because safetensors has no checksum.
"""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray
from textgen_runtime.corpus import CHECKPOINT_FILE
from textgen_runtime.errors import Name, OutputError, quote, shorten
from textgen_runtime.files import replace_file
from textgen_runtime.json_text import from_json, to_json

from textgen_train.errors import TrainingError

from .events import EvaluationHistory, Status, Watcher

if TYPE_CHECKING:
    from torch import Tensor

    from .checkpoint import TrainingState
    from .run import TrainingRun

# Raise it when the structure of the file changes, from the first release on. Files of other formats are
# refused. ``Checkpoint.state`` refuses a state with other fields.
FORMAT = 1

CONTENT_KEY = "textgen.checkpoint"
CHECKSUM_KEY = "textgen.crc32"

# The file begins with the length of its header, in eight bytes.
LENGTH_BYTES = 8

# In the JSON text, an object with this single key stands for a tensor of the file.
TENSOR_KEY = "tensor"

# Checkpoints take at most this fraction of the time. The next one is assumed to take as long as the last one.
MAX_FRACTION = 0.01

# Minimum time between two checkpoints that no other event causes.
MIN_SECONDS_BETWEEN = 10.0


@dataclass(frozen=True)
class Checkpoint:
    """The content of a checkpoint file.

    Attributes:
        run: The description of the run, as it was passed to ``write_checkpoint``.
        complete: Whether the run is complete, so that there is nothing to resume.
    """

    path: Path
    run: dict[str, Any]
    complete: bool
    _state: dict[str, Any]
    _arrays: dict[str, NDArray[Any]]

    def state(self) -> "TrainingState":
        """Return the state of the run.

        Raises:
            TrainingError: If the file does not contain such a state of this version.
        """
        import torch

        from .checkpoint import TrainingState

        tensors = {name: torch.from_numpy(array) for name, array in self._arrays.items()}
        try:
            return TrainingState.from_dict(_join(self._state, tensors))
        except (KeyError, TypeError, RecursionError) as error:
            raise _damaged(self.path) from error
        except ValueError as error:
            raise TrainingError(
                f"{shorten(str(self.path))} does not have the state of this version of textgen-train "
                f"({error}): resume the run with the version that wrote it, or start it again with ",
                Name("overwrite"),
            ) from error


def write_checkpoint(path: Path, run: dict[str, Any], state: "TrainingState", *, complete: bool) -> None:
    """Replace a checkpoint file atomically.

    Args:
        path: The file.
        run: A description of the run: everything that another process needs to resume it. It consists of
            plain values that JSON can represent.
        state: The state of the run.
        complete: Whether the run is complete.

    Raises:
        OutputError: If the file cannot be written, or if safetensors cannot represent the state, because it
            is too large. An existing file keeps its content.
    """
    import safetensors.numpy

    arrays: dict[str, NDArray[Any]] = {}
    content = {"format": FORMAT, "complete": complete, "run": run, "state": _split(state.as_dict(), arrays)}
    text = to_json(content, compact=True)
    keys = {CONTENT_KEY: text, CHECKSUM_KEY: str(_checksum(text, arrays))}
    try:
        file = safetensors.numpy.save(arrays, keys)
    except safetensors.SafetensorError as error:
        raise OutputError(f"cannot write a checkpoint: {error}") from error
    replace_file(path, file)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check a checkpoint file, without importing torch.

    Raises:
        TrainingError: If the file cannot be read, is damaged, is not a checkpoint, or has another format.
    """
    import safetensors.numpy

    try:
        file = path.read_bytes()
    except OSError as error:
        raise TrainingError(f"cannot read {shorten(str(path))}: {error.strerror or error}") from error
    try:
        # This also checks the length of the header and the place of each tensor.
        arrays = safetensors.numpy.load(file)
        header = file[LENGTH_BYTES : LENGTH_BYTES + int.from_bytes(file[:LENGTH_BYTES], "little")]
        texts = from_json(header)["__metadata__"]
        if texts[CHECKSUM_KEY] != str(_checksum(texts[CONTENT_KEY], arrays)):
            raise _damaged(path)
        content = from_json(texts[CONTENT_KEY])
        if content["format"] != FORMAT:
            raise TrainingError(
                f"{shorten(str(path))} has the checkpoint format {quote(content['format'])}, but this "
                f"version of textgen-train supports only {FORMAT}: resume the run with the version that "
                "wrote it, or start it again with ",
                Name("overwrite"),
            )
        return Checkpoint(path, dict(content["run"]), bool(content["complete"]), content["state"], arrays)
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise _damaged(path) from error


class CheckpointWriter(Watcher):
    """Writes the state of a run to a file, so that another process can resume the run.

    It writes before the first update, every few seconds, after an evaluation, before the last evaluation, and
    at the end. It writes at an interrupt, and nothing after that: the evaluation that follows is not one of
    the uninterrupted run.

    If the file cannot be written, the run continues, and the next checkpoint is tried as usual. Only the
    first of several successive failures is warned about.

    Args:
        run: The run.
        description: The description of the run that the file contains; see ``write_checkpoint``.
        folder: Output folder. If it has a checkpoint, it is one of this run, which is resumed.
        warn: Called with one line if the file cannot be written.
    """

    def __init__(
        self, run: "TrainingRun", description: dict[str, Any], folder: Path, warn: Callable[[str], None]
    ) -> None:
        self._run, self._description, self._warn = run, description, warn
        self._path = folder / CHECKPOINT_FILE
        self._failed = self._is_active = False
        # The end and the duration of the last attempt.
        self._last_end = self._seconds = 0.0
        self.files: list[str] = []

    def on_start(self) -> None:
        self._is_active = True
        self._write()

    def on_update(self, status: Status) -> None:
        del status
        if self._is_due(MIN_SECONDS_BETWEEN):
            self._write()

    def on_evaluation_start(self, status: Status) -> None:
        del status
        # The last evaluation may take long, or fail to write the model.
        if self._is_active and self._run.trainer.progress >= 1.0:
            self._write()

    def on_evaluation(self, history: EvaluationHistory) -> None:
        del history
        if self._is_active and self._is_due(0.0):
            self._write()

    def on_interrupt(self, status: Status | None) -> None:
        del status
        # Before the start there is nothing to resume.
        if self._is_active:
            self._write()
        self._is_active = False

    def on_end(self) -> None:
        if self._run.is_complete:
            self._write(complete=True)

    def _is_due(self, min_seconds: float) -> bool:
        interval = max(min_seconds, self._seconds * (1 / MAX_FRACTION - 1))
        return perf_counter() - self._last_end >= interval

    def _write(self, *, complete: bool = False) -> None:
        started = perf_counter()
        try:
            write_checkpoint(self._path, self._description, self._run.state(), complete=complete)
        except (OutputError, TrainingError) as error:
            if not self._failed:
                self._warn(f"{error}; the last state is not saved")
            self._failed, self.files = True, []
        else:
            self._failed, self.files = False, [CHECKPOINT_FILE]
        self._last_end = perf_counter()
        self._seconds = self._last_end - started


def _checksum(text: str, arrays: dict[str, NDArray[Any]]) -> int:
    """Return the CRC-32 of a text, and of the names, types, shapes and values of arrays."""
    checksum = zlib.crc32(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        checksum = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), checksum)
        checksum = zlib.crc32(array.data, checksum)
    return checksum


def _damaged(path: Path) -> TrainingError:
    return TrainingError(
        f"{shorten(str(path))} is damaged, or is not a checkpoint of textgen-train: start the run again "
        "with ",
        Name("overwrite"),
    )


def _split(value: Any, arrays: dict[str, NDArray[Any]], name: str = "") -> Any:
    """Return a state without its tensors, which are added to ``arrays`` under their paths in the state."""
    if isinstance(value, dict):
        return {key: _split(part, arrays, f"{name}/{key}") for key, part in value.items()}
    if isinstance(value, list):
        return [_split(part, arrays, f"{name}/{i}") for i, part in enumerate(value)]
    if value is None or isinstance(value, str | int | float):
        return value
    arrays[name] = value.contiguous().numpy()
    return {TENSOR_KEY: name}


def _join(value: Any, tensors: dict[str, "Tensor"]) -> Any:
    """Return the state whose parts ``_split`` returned."""
    if isinstance(value, list):
        return [_join(part, tensors) for part in value]
    if isinstance(value, dict):
        if list(value) == [TENSOR_KEY]:
            return tensors[value[TENSOR_KEY]]
        return {key: _join(part, tensors) for key, part in value.items()}
    return value
