"""A running generation kept in a file, to go on exactly where it stood.

All of it is kept: the state, the logits of the next character, the temperature and the position of the
random stream. The file is a numpy .npz; nothing in it is ever unpickled.
"""

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ._sampler import sampler_at
from .atomic import replace_file
from .binary_file import BinaryReader, BinaryWriter, name_of, read_open, write_open
from .engine import State, initial_state
from .errors import OutputError, SavedGenerationError
from .generator import Generation, Model
from .json_text import from_json, to_json


def save(generation: Generation, file: str | os.PathLike[str] | BinaryWriter) -> None:
    """Write a generation to a file: to a path whole or not at all, or to a file open in binary mode.

    Raises:
        OutputError: If the file cannot be written.
        TypeError: If ``file`` is neither, or open in text mode.
    """
    sampler = generation.sampler
    described = {
        "model": generation.model.sha256,
        "prompt": generation.prompt,
        "temperature": sampler.temperature,
        "seed": sampler.seed,
        "substream": sampler.substream,
        "position": sampler.position,
    }
    content = io.BytesIO()
    np.savez(
        content,
        hidden=generation.state.hidden,
        cell=generation.state.cell,
        logits=generation.logits,
        description=np.array(to_json(described)),
    )
    if isinstance(file, str | os.PathLike):
        replace_file(file, content.getvalue())
        return
    if not hasattr(file, "write"):
        raise TypeError(
            f"a generation is saved to a path or an open binary file, not to {type(file).__name__}"
        )
    try:
        write_open(file, content.getvalue())
    except OSError as error:
        raise OutputError(f"cannot write {name_of(file)}: {error.strerror or error}") from error


def resume(model: Model, file: str | os.PathLike[str] | BinaryReader) -> Generation:
    """Read a generation back; what it goes on with is what the saved one would have gone on with.

    Args:
        model: The model that it was saved from.
        file: The path of a saved generation, or a file open for reading in binary mode, which is read to its
            end.

    Raises:
        SavedGenerationError: If the file cannot be read, is damaged, or was saved from another model.
        TypeError: If ``file`` is neither, or open in text mode.
    """
    name = str(file) if isinstance(file, str | os.PathLike) else name_of(file)
    try:
        # Opened here, because numpy leaves the file open when it is no archive.
        with _opened(file) as opened:
            return _read(model, opened)
    except SavedGenerationError as error:
        raise SavedGenerationError(f"{name}: {error}") from None
    except OSError as error:
        raise SavedGenerationError(f"{name}: cannot be read ({error.strerror or error})") from None


def _opened(file: str | os.PathLike[str] | BinaryReader) -> BinaryIO:
    if isinstance(file, str | os.PathLike):
        return Path(file).open("rb")
    if not hasattr(file, "read"):
        raise TypeError(
            f"a generation is read from a path or an open binary file, not from {type(file).__name__}"
        )
    # As a whole, because a pipe cannot be searched through as an archive must be.
    return io.BytesIO(read_open(file))


def _read(model: Model, file: BinaryIO) -> Generation:
    try:
        with np.load(file, allow_pickle=False) as content:
            return _restore(model, content)
    except (SavedGenerationError, OSError):
        raise
    # A damaged archive makes numpy, zipfile and zlib raise whatever they come upon.
    except Exception as error:
        raise SavedGenerationError("not a saved generation, or damaged") from error


def _restore(model: Model, content: Any) -> Generation:
    described = from_json(str(content["description"]))
    if described["model"] != model.sha256:
        raise SavedGenerationError("it was saved from another model: load that one")
    fresh = initial_state(model.engine)
    state = State(content["hidden"], content["cell"])
    logits = content["logits"]
    expected = [*(array.shape for array in fresh), (len(model.vocabulary),)]
    restored = [*state, logits]
    if [array.shape for array in restored] != expected or any(a.dtype != np.float32 for a in restored):
        raise SavedGenerationError("its arrays are not of this model's shapes")
    sampler = sampler_at(*(described[name] for name in ("temperature", "seed", "substream", "position")))
    prompt = described["prompt"]
    if not isinstance(prompt, str):
        raise TypeError(prompt)
    generation = object.__new__(Generation)
    generation.model, generation.sampler, generation.prompt = model, sampler, prompt
    generation.state, generation.logits = state, logits
    return generation
