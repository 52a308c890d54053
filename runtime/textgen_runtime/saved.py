"""A running generation kept in a file, to go on exactly where it stood.

All of it is kept: the state, the logits of the next character, the temperature and the position of the
random stream. The file is a numpy .npz; nothing in it is ever unpickled.
"""

import hashlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ._sampler import Sampler
from .atomic import replace_file
from .engine import State, initial_state
from .errors import SavedGenerationError
from .generator import Generation, Model


def save(generation: Generation, path: str | os.PathLike[str]) -> None:
    """Write a generation to a file, whole or not at all.

    Raises:
        OutputError: If the file cannot be written.
    """
    sampler = generation.sampler
    described = {
        "model": _fingerprint(generation.model),
        "prompt": generation.prompt,
        "temperature": sampler.temperature,
        "seed": sampler.seed,
        "stream": sampler.stream,
        "random": sampler.state,
    }
    content = io.BytesIO()
    np.savez(
        content,
        hidden=generation.state.hidden,
        cell=generation.state.cell,
        logits=generation.logits,
        description=np.array(json.dumps(described)),
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
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, RecursionError) as error:
        raise SavedGenerationError(f"{path}: not a saved generation, or damaged") from error


def _restore(model: Model, content: Any) -> Generation:
    described = json.loads(str(content["description"]))
    if described["model"] != _fingerprint(model):
        raise SavedGenerationError("it was saved from another model: load that one")
    fresh = initial_state(model.engine)
    state = State(content["hidden"], content["cell"])
    logits = content["logits"]
    expected = [*(array.shape for array in fresh), (len(model.vocabulary),)]
    restored = [*state, logits]
    if [array.shape for array in restored] != expected or any(a.dtype != np.float32 for a in restored):
        raise SavedGenerationError("its arrays are not of this model's shapes")
    sampler = Sampler(described["temperature"], described["seed"], described["stream"])
    sampler.state = described["random"]
    generation = object.__new__(Generation)
    generation.model, generation.sampler, generation.prompt = model, sampler, described["prompt"]
    generation.state, generation.logits = state, logits
    return generation


def _fingerprint(model: Model) -> str:
    """Tells models apart: what a model file says of itself, its training's figures and date included."""
    return hashlib.sha256(json.dumps(model.contract.to_metadata()).encode()).hexdigest()
