"""``save`` and ``resume``: store a generation in a file, and continue it exactly from its position.

The file is a saved text of the C core (``runtime/core/saved.c``), the same as in C and JavaScript: the
state, the logits of the next token, the random stream, the filters, and a description as JSON. It is
untrusted input. The core checks each number against its range. There is no checksum.
"""

import io
import os
from pathlib import Path
from typing import Any

from ._core import PARAMETERS, read_description
from .errors import (
    Name,
    OutputError,
    SamplingError,
    SavedGenerationError,
    path_failure,
    quote,
    shorten,
)
from .files import (
    BinaryReader,
    BinaryWriter,
    file_object_name,
    read_file_object,
    replace_file,
)
from .json_text import from_json, to_json
from .model import Generation, Model
from .sampling import Sampling

# The parts of the description. The last two are optional: the end of the text, for a person who goes on with
# it, and the hash of the corpus that the text must not copy.
PROMPT, SAMPLING, END_OF_TEXT, NOVEL = "prompt", "sampling", "end_of_text", "novel"


def save(
    generation: Generation, file: str | os.PathLike[str] | BinaryWriter, *, end_of_text: str = ""
) -> None:
    """Save a generation to a file.

    Args:
        generation: The generation. It does not change.
        file: A path, or a binary file object. A file at the path is replaced atomically.
        end_of_text: The end of the text, which a generation itself does not keep, for a person who goes on.

    Raises:
        OutputError: If the file cannot be written.
        TypeError: If ``file`` is not a path or a binary file object.
    """
    description: dict[str, Any] = {PROMPT: generation.prompt, SAMPLING: generation.sampling.changed()}
    if end_of_text:
        description[END_OF_TEXT] = end_of_text
    if generation.sampling.max_copy:
        description[NOVEL] = generation.model.novel_digest
    content = generation.position.save(to_json(description).encode())
    if isinstance(file, str | os.PathLike):
        replace_file(file, content)
        return
    if not hasattr(file, "write"):
        raise TypeError(f"the file must be a path or a binary file object, not {type(file).__name__}")
    try:
        written = file.write(content)
        if isinstance(file, io.RawIOBase) and written != len(content):
            raise BlockingIOError("only a part was written")
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
    text = read_description(content)
    description = _read_description(text or b"{}")
    position = model.engine.new_stream()
    # The block of the text has these. A description adds only what the block does not have.
    numbers = position.parameters
    try:
        options = {name: value for name, value in description[SAMPLING].items() if name not in numbers}
        sampling, corpus = Sampling(**options), model.novel_digest
        # C and JavaScript store no hash of the corpus.
        if sampling.max_copy and (not corpus or description.get(NOVEL, corpus) != corpus):
            raise SavedGenerationError(
                f"the text copies at most {sampling.max_copy} tokens of a corpus: pass this corpus as ",
                Name("novel"),
                " first",
            )
        generation = Generation(model, position, sampling, description[PROMPT])
        position.resume(content)
        sampling = sampling.replace(**position.parameters)
    except (SamplingError, TypeError) as error:
        raise SavedGenerationError("the sampling parameters cannot be used: ", *error.args) from None
    if position.has_spans and not text:
        raise SavedGenerationError(
            "the text has max_copy, but its corpus was not saved: continue it in C, where it was saved"
        )
    if position.logit_bias and not (sampling.logit_bias or sampling.allowed or sampling.banned):
        raise SavedGenerationError(
            "the text has a logit bias for tokens, not characters: continue it in C, where it was saved"
        )
    generation._sampling = sampling  # noqa: SLF001 (the setter would configure the position)
    return generation, description.get(END_OF_TEXT, "")


def _read_description(text: bytes) -> dict[str, Any]:
    """Return the description."""
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
