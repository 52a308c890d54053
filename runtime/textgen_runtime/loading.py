"""From a model file, or its content, to a ``Model``."""

import os
import stat
from operator import index
from typing import TYPE_CHECKING, Literal, TypeAlias

from .binary_file import BinaryReader, name_of, read_open
from .contract import Contract, check_format
from .engines.base import Engine
from .errors import ModelFileError, TooLargeError, UnknownGraphError, shorten
from .model import Model
from .shipped import locate, shipped

if TYPE_CHECKING:
    from .engines.native import NativeEngine

EngineName: TypeAlias = Literal["auto", "native", "onnxruntime"]

# A path or a shipped model's name, a model file's content, or an open file.
ModelSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryReader

# protobuf, which ONNX files are written in, has no message of 2 GiB.
LARGEST_FILE = 2**31


def load(source: ModelSource, *, engine: EngineName = "auto", threads: int = 1) -> Model:
    """Load a model.

    Args:
        source: A ``.onnx`` file that ``textgen-train`` wrote, or any that keeps the same contract: its path,
            or that of a folder that holds one called ``model.onnx``, or the name of a model that ships, one
            of ``shipped()``. Or the content of such a file: bytes, or a file that is open for reading in
            binary mode, which is read to its end. Bytes are never a path.
        engine: What runs it. ``"native"`` is far faster and knows the graphs that ``textgen-train`` writes.
            ``"onnxruntime"`` runs any graph with the contract's inputs and outputs: a graph can take any time
            and memory, so that is only for files that are trusted. ``"auto"`` is the native one.
            ``Model.engine.name`` says which it is.
        threads: How many threads may work at once: with the native engine on several texts side by side,
            with onnxruntime inside one step.

    Raises:
        ModelFileError: If the file is missing, damaged, or not a text generator; one line says which.
        ValueError: If ``engine`` or ``threads`` is not as stated.
        TypeError: If ``source`` is none of these.
    """
    if engine not in ("auto", "native", "onnxruntime"):
        raise ValueError(f"engine must be 'auto', 'native' or 'onnxruntime', not {engine!r}")
    threads = index(threads)
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    name = name_source(source)
    content = read_model(source)
    try:
        return open_model(content, engine, threads)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error


def read_model(source: ModelSource) -> bytes:
    """The content of a model file, not yet looked into; the argument and the errors are those of ``load``."""
    name = name_source(source)
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
    elif isinstance(source, str | os.PathLike):
        content = _read_path(source)
    elif hasattr(source, "read"):
        try:
            content = read_open(source, _check_size)
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
    return shorten(str(source) if isinstance(source, str | os.PathLike) else name_of(source))


def _read_path(path: str | os.PathLike[str]) -> bytes:
    file = locate(path)
    try:
        return _read_file(file)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        name = os.path.basename(file)
        if missing and file != os.fspath(path):
            raise ModelFileError(f"the folder {shorten(str(path))} holds no {name}") from None
        hint = (
            f"; models that ship: {', '.join(shipped())}" if missing and not os.path.splitext(name)[1] else ""
        )
        raise ModelFileError(
            f"cannot read the model file {shorten(file)}: {error.strerror or error}{hint}"
        ) from None
    except ModelFileError as error:
        raise ModelFileError(f"{shorten(str(path))}: {error}") from None


def open_model(content: bytes, engine: EngineName = "auto", threads: int = 1) -> Model:
    """What ``load`` makes of a file's content; arguments and errors are the same."""
    _check_size(len(content))
    opened, contract = _open(content, engine, threads)
    return Model(opened, contract, content, (open_model, (content, engine, threads)))


def _read_file(file: str) -> bytes:
    """A file's content; one that is too large is not read."""
    with open(file, "rb") as opened:
        status = os.fstat(opened.fileno())
        if stat.S_ISREG(status.st_mode):
            _check_size(status.st_size)
            return opened.read()
        return read_open(opened, _check_size)


def _check_size(size: int) -> None:
    if size >= LARGEST_FILE:
        raise ModelFileError("it has 2 GiB or more, and an ONNX file has less")


def _open(content: bytes, engine: EngineName, threads: int) -> tuple[Engine, Contract]:
    # The engines are imported here, because importing onnxruntime takes longer than making a short text.
    if engine == "onnxruntime":
        from .engines.onnxruntime import open_onnx

        return open_onnx(content, threads)
    try:
        return open_native(content, threads)
    except UnknownGraphError as error:
        raise ModelFileError(
            f"{why_not_native(error)}; if you trust the file, --engine onnxruntime (in Python "
            'engine="onnxruntime") runs it'
        ) from error


def why_not_native(error: UnknownGraphError) -> str:
    """Why the native engine does not run a model, in words for its user."""
    if isinstance(error, TooLargeError):
        return f"it is too large for the native engine ({error})"
    return f"its graph is not one that textgen-train writes ({error})"


def open_native(content: bytes, threads: int = 1) -> "tuple[NativeEngine, Contract]":
    """Open a model file's content with the native engine.

    Its sizes and its metadata are checked before its weights are read.

    Raises:
        UnknownGraphError: If its graph is not one that this project writes, or too large for this engine.
        ModelFileError: If it is damaged, or not a text generator of this project's contract.
    """
    from ._model_file import ModelFile
    from .engines.native import NativeEngine

    file = ModelFile(content)
    check_format(file.metadata)
    contract = Contract.from_metadata(file.metadata, file.vocabulary_size)
    return NativeEngine(file, threads, never_drawn=contract.tokenizer.unknown), contract
