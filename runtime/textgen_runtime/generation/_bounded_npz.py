"""Reading of untrusted .npz archives: sizes are checked before anything is read, and nothing is unpickled."""

import io
import os
from collections.abc import Sequence
from math import prod
from struct import Struct
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from textgen_runtime.errors import SavedGenerationError

if TYPE_CHECKING:
    from zipfile import ZipFile

NOT_A_SAVED_GENERATION = "the file is not a saved generation, or is damaged"

# The end record of a zip archive: signature, number of entries, size of the directory, length of the comment.
END_OF_DIRECTORY = Struct("<4s6xHL4xH")
ZIP64_LOCATOR_BYTES = 20
STORED = 0  # The number of zip's method without compression.

# numpy writes a header of 128 bytes before an array, and about 60 bytes per directory entry.
MAX_HEADER_BYTES = 1024
MAX_ENTRY_BYTES = 256


def check_directory(file: BinaryIO, names: Sequence[str]) -> int:
    """Check that the archive's directory has one entry per name and no more; return the size of the file.

    zipfile creates an object per entry when it opens an archive, so the directory is checked first. Archives
    in the zip64 format, which ``save`` never writes, are refused: their directory can be anywhere.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - ZIP64_LOCATOR_BYTES - END_OF_DIRECTORY.size))
    locator = file.read(ZIP64_LOCATOR_BYTES)
    signature, entries, length, comment = END_OF_DIRECTORY.unpack(file.read())
    if signature != b"PK\5\6" or comment or locator.startswith(b"PK\6\7"):
        raise SavedGenerationError(NOT_A_SAVED_GENERATION)
    if entries != len(names) or length > sum(MAX_ENTRY_BYTES + len(name.encode()) for name in names):
        raise SavedGenerationError(NOT_A_SAVED_GENERATION)
    return size


def read_string(archive: "ZipFile", name: str, max_bytes: int) -> str:
    """Return a string that is stored as an array without dimensions."""
    data, shape, dtype = _read_array(archive, name, max_bytes)
    if shape != () or dtype.kind != "U" or len(data) != dtype.itemsize:
        raise SavedGenerationError(f"the array {name!r} must be a string: the file is damaged")
    return str(np.frombuffer(data, dtype)[0])


def read_floats(archive: "ZipFile", name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return a float32 array of this shape."""
    size = 4 * prod(shape)
    data, stored_shape, dtype = _read_array(archive, name, size + MAX_HEADER_BYTES)
    if stored_shape != shape or dtype != np.dtype("<f4") or len(data) != size:
        raise SavedGenerationError(
            f"the array {name!r} must be float32 of shape {shape}: the file is damaged"
        )
    # The copy is aligned and writable.
    return np.frombuffer(data, dtype).reshape(shape).astype(np.float32)


def _read_array(
    archive: "ZipFile", name: str, max_bytes: int
) -> tuple[bytes, tuple[int, ...], np.dtype[Any]]:
    """Return the data, the shape and the dtype of a member of at most ``max_bytes``."""
    member = archive.getinfo(f"{name}.npy")
    # Without compression no member is larger than the file.
    if member.compress_type != STORED or member.file_size != member.compress_size:
        raise SavedGenerationError("the archive was compressed: save the generation again")
    if member.file_size > max_bytes:
        raise SavedGenerationError(f"the array {name!r} is larger than the model needs: the file is damaged")
    content = io.BytesIO(archive.read(member))
    if np.lib.format.read_magic(content) != (1, 0):
        raise SavedGenerationError(
            f"the array {name!r} must be in version 1.0 of numpy's .npy format: the file is damaged"
        )
    shape, column_major, dtype = np.lib.format.read_array_header_1_0(content)
    if column_major:
        raise SavedGenerationError(f"the array {name!r} must be in row-major order: the file is damaged")
    return content.read(), shape, dtype
