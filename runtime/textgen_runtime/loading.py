"""From a model file, or its content, to a ``Model``."""

import hashlib
import os
from typing import Literal, TypeAlias

from .binary_file import BinaryReader, name_of, read_open
from .contract import Contract
from .engine import Engine
from .errors import ModelFileError
from .generator import Model
from .shipped import FILE_IN_FOLDER, locate, shipped

EngineName: TypeAlias = Literal["auto", "native", "onnxruntime"]

# A path or a shipped model's name, a model file's content, or an open file.
ModelSource: TypeAlias = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryReader


def load(source: ModelSource, *, engine: EngineName = "auto", threads: int = 1) -> Model:
    """Load a model.

    Args:
        source: A ``.onnx`` file that ``textgen-train`` wrote, or any that keeps the same contract: its path,
            or the name of a model that ships, one of ``shipped()``. Or the content of such a file: bytes, or
            a file that is open for reading in binary mode, which is read to its end. Bytes are never a path.
        engine: What runs it. ``"native"`` is far faster and knows the graphs that ``textgen-train`` writes;
            ``"onnxruntime"`` runs any graph with the contract's inputs and outputs; ``"auto"`` takes the
            native one where it knows the graph. ``Model.engine.name`` says which it is.
        threads: How many threads may work at once: with the native engine on several texts side by side,
            with onnxruntime inside one step.

    Raises:
        ModelFileError: If the file is missing, damaged, or not a text generator; one line says which.
        ValueError: If ``engine`` or ``threads`` is not as stated.
        TypeError: If ``source`` is none of these.
    """
    if engine not in ("auto", "native", "onnxruntime"):
        raise ValueError(f"engine must be 'auto', 'native' or 'onnxruntime', not {engine!r}")
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    name = _name(source)
    content = read_model(source)
    try:
        return open_model(content, engine, threads)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error


def read_model(source: ModelSource) -> bytes:
    """The content of a model file, not yet looked into; the argument and the errors are those of ``load``."""
    if isinstance(source, bytes | bytearray | memoryview):
        content = bytes(source)
    elif isinstance(source, str | os.PathLike):
        content = _read_file(source)
    elif hasattr(source, "read"):
        try:
            content = read_open(source)
        except OSError as error:
            raise ModelFileError(f"cannot read {_name(source)}: {error.strerror or error}") from None
    else:
        raise TypeError(
            f"a model is loaded from a path, from bytes or from an open binary file, not from "
            f"{type(source).__name__}"
        )
    if not content:
        raise ModelFileError(f"{_name(source)} is empty")
    return content


def _name(source: ModelSource) -> str:
    """What to call a model in a message."""
    if isinstance(source, bytes | bytearray | memoryview):
        return "the given content"
    return str(source) if isinstance(source, str | os.PathLike) else name_of(source)


def _read_file(path: str | os.PathLike[str]) -> bytes:
    file = locate(path)
    try:
        return file.read_bytes()
    except OSError as error:
        inside, hint = file / FILE_IN_FOLDER, ""
        if isinstance(error, IsADirectoryError) and inside.exists():
            hint = f"; did you mean {inside}?"
        elif isinstance(error, FileNotFoundError) and not file.suffix:
            hint = f"; models that ship: {', '.join(shipped())}"
        raise ModelFileError(f"cannot read the model file {path}: {error.strerror or error}{hint}") from None


def open_model(content: bytes, engine: EngineName = "auto", threads: int = 1) -> Model:
    """What ``load`` makes of a file's content; arguments and errors are the same."""
    opened, contract = _open(content, engine, threads)
    check_vocabulary(contract, opened.vocabulary_size)
    model = Model(opened, contract, hashlib.sha256(content).hexdigest())
    # The model is immutable for everyone else.
    object.__setattr__(model, "_reopen", (open_model, (content, engine, threads)))
    return model


def check_vocabulary(contract: Contract, logits: int) -> None:
    """See that there are as many logits as characters.

    Raises:
        ModelFileError: If there are not.
    """
    if logits != len(contract.vocabulary):
        raise ModelFileError(
            f"its vocabulary has {len(contract.vocabulary)} characters but its logits "
            f"{logits} values: export it again"
        )


def _open(content: bytes, engine: EngineName, threads: int) -> tuple[Engine, Contract]:
    # The engines are imported here: onnxruntime alone takes longer to import than a short text takes to
    # make, and whoever imports the package for its sampler needs neither.
    if engine != "onnxruntime":
        from .native_engine import open_native
        from .native_graph import UnknownGraphError

        try:
            return open_native(content, threads)
        except UnknownGraphError as error:
            if engine == "native":
                raise ModelFileError(f"the native engine does not know its graph: {error}") from error
    from .onnx_engine import open_onnx

    return open_onnx(content, threads)
