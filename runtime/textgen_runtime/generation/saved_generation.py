"""``save`` and ``resume``: store a generation in a file, and continue it exactly from its position.

The file is a saved text of the C core (``runtime/core/saved.h``), the same as in C and JavaScript: the
state, the logits of the next token, the random stream, the filters, and a description as JSON. It is
untrusted input. The core checks each number against its range. There is no checksum.
"""

import os
from pathlib import Path
from typing import Any

from textgen_runtime.engines.core import read_saved
from textgen_runtime.errors import (
    Name,
    OutputError,
    SamplingError,
    SavedGenerationError,
    path_failure,
    quote,
    shorten,
)
from textgen_runtime.sampling.definition import PARAMETERS
from textgen_runtime.sampling.parameters import Sampling
from textgen_runtime.system.file_content import (
    BinaryReader,
    BinaryWriter,
    file_object_name,
    read_file_object,
    write_file_object,
)
from textgen_runtime.system.files import replace_file
from textgen_runtime.system.json_text import from_json, to_json

from .generation import Generation
from .model import Model

# The parts of the description. The last two are optional: the end of the text, for a person who goes on with
# it, and the hash of the corpus that the text must not copy.
PROMPT, SAMPLING, END_OF_TEXT, NOVEL = "prompt", "sampling", "end_of_text", "novel"

# The first bytes of a file.
MARK = b"textgen\0"


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
    description: dict[str, Any] = {PROMPT: generation.prompt, SAMPLING: generation.sampling.changed()}
    if end:
        description[END_OF_TEXT] = end
    if generation.sampling.max_copy:
        description[NOVEL] = generation.model.novel_digest
    model = bytes.fromhex(generation.model.sha256)
    content = generation.position.save(model, to_json(description).encode())
    if isinstance(file, str | os.PathLike):
        replace_file(file, content)
        return
    if not hasattr(file, "write"):
        raise TypeError(f"the file must be a path or a binary file object, not {type(file).__name__}")
    try:
        write_file_object(file, content)
    except OSError as error:
        raise OutputError(f"cannot write {file_object_name(file)}: {error.strerror or error}") from error


def resume(model: Model, file: str | os.PathLike[str] | BinaryReader) -> Generation:
    """Load a saved generation. It continues exactly as the original generation would.

    Args:
        model: The model of the saved generation.
        file: A path, or a binary file object, which is read to its end.

    Returns:
        A generation at the position of the saved one.

    Raises:
        SavedGenerationError: If the file cannot be read, is damaged, or was saved from another model or with
            another ``novel``.
        TypeError: If ``file`` is not a path or a binary file object.
    """
    return resume_with_end(model, file)[0]


def resume_with_end(model: Model, file: str | os.PathLike[str] | BinaryReader) -> tuple[Generation, str]:
    """Load a saved generation, and the end of its text, which is empty if it was not saved.

    Arguments and errors are those of ``resume``.
    """
    name = shorten(str(file) if isinstance(file, str | os.PathLike) else file_object_name(file))
    try:
        return _restore(model, _read(file))
    except SavedGenerationError as error:
        raise SavedGenerationError(f"{name}: ", *error.args) from None
    except OSError as error:
        raise SavedGenerationError(f"cannot read {name}: {error.strerror or error}") from None


def _read(file: str | os.PathLike[str] | BinaryReader) -> bytes:
    if isinstance(file, str | os.PathLike):
        try:
            return Path(file).read_bytes()
        except ValueError as error:
            raise SavedGenerationError(path_failure(error)) from None
    if not hasattr(file, "read"):
        raise TypeError(f"the file must be a path or a binary file object, not {type(file).__name__}")
    return read_file_object(file)


def _restore(model: Model, content: bytes) -> tuple[Generation, str]:
    sha256, text = read_saved(content)
    if sha256.hex() != model.sha256:
        raise SavedGenerationError("the generation was saved from another model: load that model")
    description = _read_description(text) if text else _description_in_core(model, content)
    try:
        sampling = Sampling(**description[SAMPLING])
        generation = Generation(model, model.engine.new_stream(), sampling, description[PROMPT])
    except (SamplingError, TypeError) as error:
        raise SavedGenerationError("the sampling parameters cannot be used: ", *error.args) from None
    # C stores no hash of the corpus.
    if sampling.max_copy and description.get(NOVEL, model.novel_digest) != model.novel_digest:
        raise SavedGenerationError(
            "the text was saved with max_copy and another corpus: load the model with the same ",
            Name("novel"),
        )
    generation.position.resume(content)
    # The file comes from anywhere: the description states the parameters, whatever the text has.
    generation.sampling = sampling
    return generation, description.get(END_OF_TEXT, "")


def _description_in_core(model: Model, content: bytes) -> dict[str, Any]:
    """Return the description of a text that was saved in C. It has only what the core knows."""
    stream = model.engine.new_stream()
    stream.resume(content)
    if stream.has_spans:
        raise SavedGenerationError(
            "the text has max_copy, but its corpus was not saved: continue it in C, where it was saved"
        )
    if stream.has_logit_bias:
        raise SavedGenerationError(
            "the text has a logit bias for tokens, not characters: continue it in C, where it was saved"
        )
    return {PROMPT: "", SAMPLING: stream.parameters}


def _read_description(text: bytes) -> dict[str, Any]:
    """Return the description, which C does not write."""
    try:
        description = from_json(text)
        values = {PROMPT: "", SAMPLING: {}, **description}
        # UTF-8 can encode these texts, or they could not be printed.
        texts = [values[PROMPT], values.get(END_OF_TEXT, "")]
        is_valid = all(isinstance(item, str) and item.encode() is not None for item in texts)
        is_valid = is_valid and isinstance(values[SAMPLING], dict)
        names = set(values[SAMPLING])
    except (ValueError, TypeError, RecursionError):
        is_valid = False
    if not is_valid:
        raise SavedGenerationError(
            "the description is damaged: save the generation again, or start a new one"
        )
    if unsupported := sorted(names - set(PARAMETERS)):
        raise SavedGenerationError(
            f"this version does not support the sampling parameters {quote(unsupported)}: "
            "upgrade textgen-onnx"
        )
    return values
