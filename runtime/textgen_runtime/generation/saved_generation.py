"""A running generation kept in a file, to go on exactly where it stood.

All of it is kept: the state, the logits of the next token, the sampling and the position of the random
numbers. The file is a numpy .npz; nothing in it is ever unpickled.
"""

import io
import os
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.engines.base import Generated, State
from textgen_runtime.errors import OutputError, SavedGenerationError, quote, shorten
from textgen_runtime.sampling.parameters import Sampling, make_sampler
from textgen_runtime.system.binary_files import (
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

if TYPE_CHECKING:
    from zipfile import ZipFile

LOGITS, DESCRIPTION = "logits", "description"

# Arrays of the state that are stored under their names; others could be called as the two above.
PLAIN_STATE = ("hidden", "cell")

# The end of a zip file: signature, entries, the directory's size and the length of a comment.
END_OF_DIRECTORY = Struct("<4s6xHL4xH")
ZIP64_LOCATOR_BYTES = 20
STORED = 0  # zip's number of the method that does not compress.

# numpy writes 128 bytes before an array, and some 60 for an entry of the directory.
LARGEST_HEADER = 1024
LARGEST_ENTRY = 256


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
        "sampling": generation.sampling.as_dict(),
        "seed": sampler.seed,
        "substream": sampler.substream,
        "position": sampler.position,
    }
    if generation.tail:
        described["tail"] = list(generation.tail)
    arrays = {member(name): array for name, array in generation.state.items()}
    arrays[LOGITS] = generation.logits
    content = io.BytesIO()
    # Contiguous, because numpy would store some layouts by columns.
    stored: dict[str, Any] = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    np.savez(content, **stored, description=np.array(to_json(described)))
    if isinstance(file, str | os.PathLike):
        replace_file(file, content.getvalue())
        return
    if not hasattr(file, "write"):
        raise TypeError(
            f"a generation is saved to a path or an open binary file, not to {type(file).__name__}"
        )
    try:
        write_file_object(file, content.getvalue())
    except OSError as error:
        raise OutputError(f"cannot write {file_object_name(file)}: {error.strerror or error}") from error


def resume(model: Model, file: str | os.PathLike[str] | BinaryReader) -> Generation:
    """Read a generation back; what it goes on with is what the saved one would have gone on with.

    Nothing that the file holds is trusted: sizes are checked against the model before anything is read, and
    reading takes a few times the memory of the file at most.

    Args:
        model: The model that it was saved from.
        file: The path of a saved generation, or a file open for reading in binary mode, which is read to its
            end.

    Raises:
        SavedGenerationError: If the file cannot be read, is damaged, or was saved from another model.
        TypeError: If ``file`` is neither, or open in text mode.
    """
    name = shorten(str(file) if isinstance(file, str | os.PathLike) else file_object_name(file))
    try:
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
    return io.BytesIO(read_file_object(file))


def _read(model: Model, file: BinaryIO) -> Generation:
    try:
        return _restore(model, file)
    except (SavedGenerationError, OSError, MemoryError):
        raise
    # A damaged archive makes zipfile, numpy and json raise whatever they come upon.
    except Exception as error:
        raise SavedGenerationError("not a saved generation, or damaged") from error


def _restore(model: Model, file: BinaryIO) -> Generation:
    # Only here, because importing it takes milliseconds that most programs can do without.
    from zipfile import ZipFile

    shapes = {name: (layers, 1, units) for name, (layers, units) in model.engine.network.state.items()}
    size = _check_directory(file, [*map(member, shapes), LOGITS, DESCRIPTION])
    with ZipFile(file) as archive:
        described = _read_description(archive, size)
        if described["model"] != model.sha256:
            raise SavedGenerationError("it was saved from another model: load that one")
        state = {name: _read_floats(archive, member(name), shape) for name, shape in shapes.items()}
        logits = _read_floats(archive, LOGITS, (len(model.tokenizer),))
    # Logits of -inf mark tokens that are impossible, so they must not all be that.
    if not (all(np.isfinite(array).all() for array in state.values()) and np.isfinite(logits.max())):
        raise SavedGenerationError("its state or its logits are not finite: it is damaged")
    sampler = make_sampler(_sampling(described), described["seed"], described["substream"])
    sampler.position = described["position"]
    prompt = described["prompt"]
    # A text that cannot be encoded cannot be written out.
    prompt.encode()
    tokens = described.get("tail", [])
    if not all(type(token) is int and 0 <= token < len(model.tokenizer) for token in tokens):
        raise SavedGenerationError("not a saved generation, or damaged: it ends with unknown tokens")
    return Generation.restored(model, sampler, prompt, Generated(tokens, logits, State(state), None))


def member(state: str) -> str:
    """The name under which an array of the state is stored."""
    return state if state in PLAIN_STATE else f"state {state}"


def _sampling(described: Mapping[str, Any]) -> Sampling:
    """The sampling, which the first versions stored as a temperature alone."""
    if "sampling" not in described:
        return Sampling(described["temperature"])
    options = described["sampling"]
    more = set(options) - set(Sampling.__slots__)
    if more:
        raise SavedGenerationError(
            f"it has parameters of generation that this version does not know, {quote(sorted(more))}: "
            "upgrade textgen-onnx"
        )
    return Sampling(**options)


def _check_directory(file: BinaryIO, names: Sequence[str]) -> int:
    """See that the archive's directory is as short as that of a saved generation; the file's size.

    zipfile makes an object of each entry when it opens an archive, and the directory of a large archive
    (zip64), which ``save`` never writes, may be anywhere in the file.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - ZIP64_LOCATOR_BYTES - END_OF_DIRECTORY.size))
    locator = file.read(ZIP64_LOCATOR_BYTES)
    signature, entries, length, comment = END_OF_DIRECTORY.unpack(file.read())
    if signature != b"PK\5\6" or comment or locator.startswith(b"PK\6\7"):
        raise SavedGenerationError("not a saved generation, or damaged")
    if entries != len(names) or length > sum(LARGEST_ENTRY + len(name.encode()) for name in names):
        raise SavedGenerationError("not a saved generation, or damaged")
    return size


def _read_description(archive: "ZipFile", size: int) -> Any:
    """What the file of this size says beside its arrays."""
    data, shape, dtype = _read_member(archive, DESCRIPTION, size)
    if shape != () or dtype.kind != "U" or len(data) != dtype.itemsize:
        raise SavedGenerationError("its description is not a text")
    return from_json(str(np.frombuffer(data, dtype)[0]))


def _read_floats(archive: "ZipFile", name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """An array of this shape."""
    size = 4 * prod(shape)
    data, found, dtype = _read_member(archive, name, size + LARGEST_HEADER)
    if found != shape or dtype != np.dtype("<f4") or len(data) != size:
        raise SavedGenerationError("its arrays are not of this model's shapes")
    # A copy, which is aligned and may be written to.
    return np.frombuffer(data, dtype).reshape(shape).astype(np.float32)


def _read_member(archive: "ZipFile", name: str, largest: int) -> tuple[bytes, tuple[int, ...], np.dtype[Any]]:
    """The data of a member that has at most so many bytes, its shape and its type."""
    member = archive.getinfo(f"{name}.npy")
    # Nothing is compressed, so nothing can be larger than the file.
    if member.compress_type != STORED or member.file_size != member.compress_size:
        raise SavedGenerationError("it is compressed, as no saved generation is")
    if member.file_size > largest:
        raise SavedGenerationError("its arrays are not of this model's shapes")
    content = io.BytesIO(archive.read(member))
    if np.lib.format.read_magic(content) != (1, 0):
        raise SavedGenerationError("its arrays are of another version of numpy's format")
    shape, by_columns, dtype = np.lib.format.read_array_header_1_0(content)
    if by_columns:
        raise SavedGenerationError("its arrays are not of this model's shapes")
    return content.read(), shape, dtype
