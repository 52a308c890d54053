"""Checkpoint files whose JSON has been changed, as by another version or by hand."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.numpy
from textgen_runtime.system.json_text import from_json, to_json
from textgen_train.errors import TrainingError
from textgen_train.loop import checkpoint_file

# Replacements for a value. No number of a checkpoint is negative.
OTHER_VALUES: tuple[Any, ...] = (None, True, -1, 0.5, 2**64, "", "x", [], [None], {}, {"x": 1})

# Of a longer list, only these first items are changed.
CHANGED_ITEMS = 2


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

    def write(self, content: object) -> None:
        text = to_json(content)
        keys = {
            checkpoint_file.CONTENT_KEY: text,
            checkpoint_file.CHECKSUM_KEY: str(checkpoint_file._checksum(text, self._arrays)),
        }
        self._path.write_bytes(safetensors.numpy.save(self._arrays, keys))


def changes(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Yield changed copies of a JSON value, each with a description of its change.

    Each part of the value is replaced by values of other types and removed, and each dict gets another key.
    """
    for other in OTHER_VALUES:
        if other != value or type(other) is not type(value):
            yield f"{place} = {other!r}", other
    if isinstance(value, dict):
        yield f"{place} has another key", {**value, "another\n": 1}
    keys = range(min(len(value), CHANGED_ITEMS)) if isinstance(value, list) else value
    for key in keys if isinstance(value, dict | list) else ():
        without = copy.copy(value)
        del without[key]
        yield f"{place}/{key} is missing", without
        for change, part in changes(value[key], f"{place}/{key}"):
            changed = copy.copy(value)
            changed[key] = part
            yield change, changed


def message(call: Callable[[], object]) -> str | None:
    """Return the message of the ``TrainingError`` of a call; None without an error."""
    try:
        call()
    except TrainingError as error:
        return str(error)
    return None
