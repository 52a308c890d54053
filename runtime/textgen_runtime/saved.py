"""A running generation kept in a file, to go on exactly where it stood.

All of it is kept: the state, the logits of the next character, the temperature and the position of the
random stream. The file is a numpy .npz; nothing in it is ever unpickled.
"""

import io
import os
from pathlib import Path
from typing import Any

import numpy as np

from ._sampler import sampler_at
from .atomic import replace_file
from .engine import State, initial_state
from .errors import SavedGenerationError
from .generator import Generation, Model
from .json_text import from_json, to_json


def save(generation: Generation, path: str | os.PathLike[str]) -> None:
    """Write a generation to a file, whole or not at all.

    Raises:
        OutputError: If the file cannot be written.
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
    replace_file(path, content.getvalue())


def resume(model: Model, path: str | os.PathLike[str]) -> Generation:
    """Read a generation back; what it goes on with is what the saved one would have gone on with.

    Raises:
        SavedGenerationError: If the file cannot be read, is damaged, or was saved from another model.
    """
    try:
        # Opened here, because numpy leaves the file open when it is no archive.
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as content:
            return _restore(model, content)
    except SavedGenerationError as error:
        raise SavedGenerationError(f"{path}: {error}") from None
    except OSError as error:
        raise SavedGenerationError(f"{path}: cannot be read ({error.strerror or error})") from None
    # A damaged archive makes numpy, zipfile and zlib raise whatever they come upon.
    except Exception as error:
        raise SavedGenerationError(f"{path}: not a saved generation, or damaged") from error


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
