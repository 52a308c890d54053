"""The content of a model file: from a path, a bundled name, bytes or an open file."""

import os
import stat
from typing import TypeAlias

from textgen_runtime.errors import ModelFileError, shorten
from textgen_runtime.system.binary_files import BinaryReader, file_object_name, read_file_object

from .bundled import bundled_models, find_model_file

# A path or a shipped model's name, a model file's content, or an open file.
ModelSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryReader

# protobuf, which ONNX files are written in, has no message of 2 GiB.
MAX_FILE_SIZE = 2**31


def read_model(source: ModelSource) -> bytes:
    """The content of a model file, not yet looked into; the argument and the errors are those of ``load``."""
    name = name_source(source)
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
    elif isinstance(source, str | os.PathLike):
        content = _read_path(source)
    elif hasattr(source, "read"):
        try:
            content = read_file_object(source, check_size)
        except ModelFileError as error:
            raise ModelFileError(f"{name}: {error}") from None
        except OSError as error:
            raise ModelFileError(f"cannot read {name}: {error.strerror or error}") from None
    else:
        raise TypeError(
            f"a model is loaded from a path, from bytes or from an open binary file, not from "
            f"{type(source).__name__}"
        )
    if not content:
        raise ModelFileError(f"{name} is empty")
    return content


def name_source(source: ModelSource) -> str:
    """What to call a model in a message."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "the given content"
    return shorten(str(source) if isinstance(source, str | os.PathLike) else file_object_name(source))


def _read_path(path: str | os.PathLike[str]) -> bytes:
    file = find_model_file(path)
    try:
        return _read_file(file)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        name = os.path.basename(file)
        if missing and file != os.fspath(path):
            raise ModelFileError(f"the folder {shorten(str(path))} holds no {name}") from None
        hint = (
            f"; models that ship: {', '.join(bundled_models())}"
            if missing and not os.path.splitext(name)[1]
            else ""
        )
        raise ModelFileError(
            f"cannot read the model file {shorten(file)}: {error.strerror or error}{hint}"
        ) from None
    except ModelFileError as error:
        raise ModelFileError(f"{shorten(str(path))}: {error}") from None


def _read_file(file: str) -> bytes:
    """A file's content; one that is too large is not read."""
    with open(file, "rb") as opened:
        status = os.fstat(opened.fileno())
        if stat.S_ISREG(status.st_mode):
            check_size(status.st_size)
            return opened.read()
        return read_file_object(opened, check_size)


def check_size(size: int) -> None:
    if size >= MAX_FILE_SIZE:
        raise ModelFileError("it has 2 GiB or more, and an ONNX file has less")
