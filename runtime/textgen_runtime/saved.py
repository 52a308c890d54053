"""A running generation kept in a file, to go on exactly where it stood.

All of it is kept: the state, the logits of the next character, the temperature and the position of the
random stream. The file is a numpy .npz; nothing in it is ever unpickled.
"""

import io
import os
from math import prod
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ._sampler import sampler_at
from .atomic import replace_file
from .binary_file import BinaryReader, BinaryWriter, name_of, read_open, write_open
from .engine import State
from .errors import OutputError, SavedGenerationError, shorten
from .generator import Generation, Model
from .json_text import from_json, to_json

if TYPE_CHECKING:
    from zipfile import ZipFile

ARRAYS = ("hidden", "cell", "logits")

# The end of a zip file: signature, entries, the directory's size and the length of a comment.
END_OF_DIRECTORY = Struct("<4s6xHL4xH")
ZIP64_LOCATOR_BYTES = 20
STORED = 0  # zip's number of the method that does not compress.

# numpy writes 128 bytes before an array, and some 60 for an entry of the directory.
LARGEST_HEADER = 1024
LARGEST_DIRECTORY = 1024


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
    # Contiguous, because numpy would store some layouts by columns.
    np.savez(
        content,
        hidden=np.ascontiguousarray(generation.state.hidden),
        cell=np.ascontiguousarray(generation.state.cell),
        logits=np.ascontiguousarray(generation.logits),
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
    name = shorten(str(file) if isinstance(file, str | os.PathLike) else name_of(file))
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
    return io.BytesIO(read_open(file))


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

    size = _check_directory(file)
    state = (model.engine.layers, 1, model.engine.units)
    shapes = (state, state, (len(model.vocabulary),))
    with ZipFile(file) as archive:
        described = _read_description(archive, size)
        if described["model"] != model.sha256:
            raise SavedGenerationError("it was saved from another model: load that one")
        hidden, cell, logits = (
            _read_floats(archive, name, shape) for name, shape in zip(ARRAYS, shapes, strict=True)
        )
    # Logits of -inf mark characters that are impossible, so they must not all be that.
    if not (np.isfinite(hidden).all() and np.isfinite(cell).all() and np.isfinite(logits.max())):
        raise SavedGenerationError("its state or its logits are not finite: it is damaged")
    sampler = sampler_at(*(described[name] for name in ("temperature", "seed", "substream", "position")))
    prompt = described["prompt"]
    # A text that cannot be encoded cannot be written out.
    prompt.encode()
    generation = object.__new__(Generation)
    generation.model, generation.sampler, generation.prompt = model, sampler, prompt
    generation.state, generation.logits = State(hidden, cell), logits
    return generation


def _check_directory(file: BinaryIO) -> int:
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
    if entries != len(ARRAYS) + 1 or length > LARGEST_DIRECTORY:
        raise SavedGenerationError("not a saved generation, or damaged")
    return size


def _read_description(archive: "ZipFile", size: int) -> Any:
    """What the file of this size says beside its arrays."""
    data, shape, dtype = _read_member(archive, "description", size)
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
