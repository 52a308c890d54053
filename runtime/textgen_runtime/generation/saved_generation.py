"""``save`` and ``resume``: store a generation in a file, and continue it exactly from its position.

The file is a numpy .npz archive with the state, the logits of the next token, the sampling parameters and the
position of the random stream. Nothing in it is ever unpickled.
"""

import io
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from textgen_runtime.engines.base import State
from textgen_runtime.errors import OutputError, SavedGenerationError, path_failure, shorten
from textgen_runtime.system.binary_files import (
    BinaryReader,
    BinaryWriter,
    file_object_name,
    read_file_object,
    write_file_object,
)
from textgen_runtime.system.files import replace_file
from textgen_runtime.system.json_text import from_json, to_json

from ._bounded_npz import NOT_A_SAVED_GENERATION, check_directory, read_floats, read_string
from ._saved_description import END_OF_TEXT, check_format, describe, read_end, restore
from .generation import Generation
from .model import Model

LOGITS, DESCRIPTION = "logits", "description"

# State arrays that are stored under their own names. All others get a prefix, since their names could be
# those above.
UNPREFIXED_STATES = ("hidden", "cell")


def save(generation: Generation, file: str | os.PathLike[str] | BinaryWriter) -> None:
    """Save a generation to a file.

    Args:
        generation: The generation. It does not change.
        file: A path, or a binary file object. A file at the path is replaced atomically.

    Raises:
        OutputError: If the file cannot be written.
        TypeError: If ``file`` is not a path or a binary file object.
    """
    save_with_end(generation, "", file)


def save_with_end(generation: Generation, end: str, file: str | os.PathLike[str] | BinaryWriter) -> None:
    """Save a generation with the end of its text, which a generation itself does not keep.

    Args:
        generation: The generation. It does not change.
        end: The end of the text; empty if it is not known.
        file: As in ``save``.

    Raises:
        OutputError, TypeError: As ``save``.
    """
    description = describe(generation) | ({END_OF_TEXT: end} if end else {})
    arrays = {member_name(name): array for name, array in generation.state.items()}
    arrays[LOGITS] = generation.logits
    content = io.BytesIO()
    # numpy stores Fortran-ordered arrays in column-major order, which ``resume`` refuses.
    contiguous: dict[str, Any] = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    np.savez(content, **contiguous, description=np.array(to_json(description)))
    if isinstance(file, str | os.PathLike):
        replace_file(file, content.getvalue())
        return
    if not hasattr(file, "write"):
        raise TypeError(f"the file must be a path or a binary file object, not {type(file).__name__}")
    try:
        write_file_object(file, content.getvalue())
    except OSError as error:
        raise OutputError(f"cannot write {file_object_name(file)}: {error.strerror or error}") from error


def resume(model: Model, file: str | os.PathLike[str] | BinaryReader) -> Generation:
    """Load a saved generation. It continues exactly as the original generation would.

    The file is untrusted input: sizes are checked against the model before anything is read, and peak memory
    is a small multiple of the file size.

    Args:
        model: The model of the saved generation.
        file: A path, or a binary file object, which is read to its end.

    Returns:
        A generation at the position of the saved one.

    Raises:
        SavedGenerationError: If the file cannot be read, is damaged, or was saved from another model.
        TypeError: If ``file`` is not a path or a binary file object.
    """
    return resume_with_end(model, file)[0]


def resume_with_end(model: Model, file: str | os.PathLike[str] | BinaryReader) -> tuple[Generation, str]:
    """Load a saved generation, and the end of its text, which is empty if it was not saved.

    Arguments and errors are those of ``resume``.
    """
    name = shorten(str(file) if isinstance(file, str | os.PathLike) else file_object_name(file))
    try:
        with _open(file) as opened:
            return _read(model, opened)
    except SavedGenerationError as error:
        raise SavedGenerationError(f"{name}: ", *error.args) from None
    except OSError as error:
        raise SavedGenerationError(f"cannot read {name}: {error.strerror or error}") from None


def _open(file: str | os.PathLike[str] | BinaryReader) -> BinaryIO:
    if isinstance(file, str | os.PathLike):
        try:
            return Path(file).open("rb")
        except ValueError as error:
            raise SavedGenerationError(path_failure(error)) from None
    if not hasattr(file, "read"):
        raise TypeError(f"the file must be a path or a binary file object, not {type(file).__name__}")
    # zipfile needs a seekable file, which a pipe is not.
    return io.BytesIO(read_file_object(file))


def _read(model: Model, file: BinaryIO) -> tuple[Generation, str]:
    try:
        return _restore(model, file)
    except (SavedGenerationError, OSError, MemoryError):
        raise
    # zipfile, numpy and json raise many types of errors for a damaged archive.
    except Exception as error:
        raise SavedGenerationError(NOT_A_SAVED_GENERATION) from error


def _restore(model: Model, file: BinaryIO) -> tuple[Generation, str]:
    # Imported here because it takes milliseconds and most programs do not need it.
    from zipfile import ZipFile

    shapes = {name: (layers, 1, units) for name, (layers, units) in model.engine.network.state.items()}
    size = check_directory(file, [*map(member_name, shapes), LOGITS, DESCRIPTION])
    with ZipFile(file) as archive:
        description = from_json(read_string(archive, DESCRIPTION, size))
        check_format(description)
        if description["model"] != model.sha256:
            raise SavedGenerationError("the generation was saved from another model: load that model")
        state = {name: read_floats(archive, member_name(name), shape) for name, shape in shapes.items()}
        logits = read_floats(archive, LOGITS, (len(model.tokenizer),))
    # A logit of -inf marks an impossible token. At least one token must be possible.
    if not (all(np.isfinite(array).all() for array in state.values()) and np.isfinite(logits.max())):
        raise SavedGenerationError("the state or the logits contain NaN or infinity: the file is damaged")
    return restore(model, description, logits, State(state)), read_end(description)


def member_name(state: str) -> str:
    """Return the name under which an array of the state is stored."""
    return state if state in UNPREFIXED_STATES else f"state {state}"
