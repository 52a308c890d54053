"""Find a model file by its path, its folder or the name of a bundled model, and read its content."""

import codecs
import os
import stat
from typing import TypeAlias

from textgen_runtime.errors import ModelFileError, nearest_name, path_failure, shorten
from textgen_runtime.system.file_content import BinaryReader, file_object_name, read_file_object

BUNDLED_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bundled_models")
SUFFIX = ".onnx"

# The file name of a model in a folder that textgen-train writes.
MODEL_FILE = "model.onnx"

# A path or the name of a bundled model, the content of a model file, or an open binary file.
ModelSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryReader

# ONNX files are protobuf messages, which must be smaller than 2 GiB.
MAX_FILE_SIZE = 2**31

# Bytes at the beginning of a file that tell whether it is a text, and those that no text has.
TEXT_SIZE = 4096
CONTROL_CHARACTERS = bytes(set(range(0x20)) - set(b"\t\n\f\r"))


def bundled_models() -> list[str]:
    """Return the names of the bundled models. ``load`` accepts each of them instead of a path."""
    return sorted(name.removesuffix(SUFFIX) for name in os.listdir(BUNDLED_FOLDER) if name.endswith(SUFFIX))


def find_model_file(model: str | os.PathLike[str]) -> str:
    """Return the path of the file of a model. The file need not exist.

    Args:
        model: The path of a model file, the path of a folder that holds ``model.onnx``, or the name of a
            bundled model as a ``str``. A ``Path`` is never a name. Use ``./nietzsche`` for a file or folder
            with the name of a bundled model.
    """
    if model in bundled_models():
        return os.path.join(BUNDLED_FOLDER, f"{model}{SUFFIX}")
    path = os.fspath(model)
    return os.path.join(path, MODEL_FILE) if os.path.isdir(path) else path


def unambiguous_path(path: str | os.PathLike[str]) -> str:
    """Return a path that no command takes for the name of a bundled model, or for an option."""
    name = os.fspath(path)
    return os.path.join(os.curdir, name) if name.startswith("-") or name in bundled_models() else name


def read_model(source: ModelSource) -> bytes:
    """Return the content of a model file, which may be damaged.

    Raises:
        ModelFileError: If the file cannot be read, is empty, is a text, or has 2 GiB or more.
        TypeError: If ``source`` is of the wrong type.
    """
    name = name_source(source)
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
    elif isinstance(source, str | os.PathLike):
        content = _read_path(source)
    elif hasattr(source, "read"):
        try:
            content = read_file_object(source, check_size)
        except ModelFileError as error:
            raise ModelFileError(f"{name}: ", *error.args) from None
        except OSError as error:
            raise ModelFileError(f"cannot read {name}: {error.strerror or error}") from None
    else:
        raise TypeError(
            f"the model must be a path, bytes or a binary file object, not {type(source).__name__}"
        )
    if not content:
        raise ModelFileError(f"{name}: the file is empty: copy or export it again")
    if _is_text(content[:TEXT_SIZE]):
        raise ModelFileError(f"{name}: this is a text, not a model: train on it first, with textgen-train")
    return content


def _is_text(beginning: bytes) -> bool:
    """Return whether a file begins as a text in UTF-8. An ONNX file begins with a control character."""
    try:
        codecs.utf_8_decode(beginning, "strict", False)
    except UnicodeDecodeError:
        return False
    return beginning == beginning.translate(None, CONTROL_CHARACTERS)


def name_source(source: ModelSource) -> str:
    """Return the name of a source for messages."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "the given bytes"
    return shorten(str(source) if isinstance(source, str | os.PathLike) else file_object_name(source))


def _read_path(path: str | os.PathLike[str]) -> bytes:
    file = find_model_file(path)
    try:
        return _read_file(file)
    except (OSError, ValueError) as error:
        missing = isinstance(error, FileNotFoundError)
        name = os.path.basename(file)
        if missing and file != os.fspath(path):
            raise ModelFileError(f"the folder {shorten(str(path))} has no {name}") from None
        # Nobody types such a path for a name.
        is_path = os.path.isabs(file) or os.path.splitext(name)[1]
        hint = _bundled_hint(name) if missing and not is_path else ""
        raise ModelFileError(
            f"cannot read the model file {shorten(file)}: {path_failure(error)}{hint}"
        ) from None
    except ModelFileError as error:
        raise ModelFileError(f"{shorten(str(path))}: ", *error.args) from None


def _bundled_hint(name: str) -> str:
    """Return which bundled model may be meant by a name that is no file."""
    nearest = nearest_name(name.lower(), bundled_models())
    return f"; did you mean {nearest}?" if nearest else f"; bundled models: {', '.join(bundled_models())}"


def _read_file(file: str) -> bytes:
    """Return the content of a file. The size of a regular file is checked before it is read."""
    with open(file, "rb") as opened_file:
        status = os.fstat(opened_file.fileno())
        if stat.S_ISREG(status.st_mode):
            check_size(status.st_size)
            return opened_file.read()
        return read_file_object(opened_file, check_size)


def check_size(size: int) -> None:
    """Raise ``ModelFileError`` if a file is too large for an ONNX file."""
    if size >= MAX_FILE_SIZE:
        raise ModelFileError("the file has 2 GiB or more; an ONNX file must be smaller")
