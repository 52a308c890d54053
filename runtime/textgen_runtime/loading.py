"""From a model file to a ``Model``."""

import hashlib
import os
import stat
from pathlib import Path
from typing import Literal, TypeAlias

from .contract import Contract
from .engine import Engine
from .errors import ModelFileError, shorten
from .generator import Model
from .shipped import locate, shipped

EngineName: TypeAlias = Literal["auto", "native", "onnxruntime"]

# protobuf, which ONNX files are written in, has no message of 2 GiB.
LARGEST_FILE = 2**31

PIPE_PIECE = 2**20


def load(path: str | os.PathLike[str], *, engine: EngineName = "auto", threads: int = 1) -> Model:
    """Load a model file.

    Args:
        path: A ``.onnx`` file that ``textgen-train`` wrote, or any that keeps the same contract; or a folder
            that holds one called ``model.onnx``; or the name of a model that ships, one of ``shipped()``.
        engine: What runs it. ``"native"`` is far faster and knows the graphs that ``textgen-train`` writes.
            ``"onnxruntime"`` runs any graph with the contract's inputs and outputs: a graph can take any time
            and memory, so that is only for files that are trusted. ``"auto"`` takes the native one, or
            onnxruntime where a graph is one that ``textgen-train`` writes but too large for the native one;
            it refuses all other graphs. ``Model.engine.name`` says which it is.
        threads: How many threads may work at once: with the native engine on several texts side by side,
            with onnxruntime inside one step.

    Raises:
        ModelFileError: If the file is missing, damaged, or not a text generator; one line says which.
        ValueError: If ``engine`` or ``threads`` is not as stated.
    """
    if engine not in ("auto", "native", "onnxruntime"):
        raise ValueError(f"engine must be 'auto', 'native' or 'onnxruntime', not {engine!r}")
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    file, name = locate(path), shorten(str(path))
    try:
        content = _read_file(file)
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        if missing and file != Path(path):
            raise ModelFileError(f"the folder {name} holds no {file.name}") from None
        hint = f"; models that ship: {', '.join(shipped())}" if missing and not file.suffix else ""
        raise ModelFileError(
            f"cannot read the model file {shorten(str(file))}: {error.strerror or error}{hint}"
        ) from None
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from None
    if not content:
        raise ModelFileError(f"the model file {name} is empty")
    try:
        return open_model(content, engine, threads)
    except ModelFileError as error:
        raise ModelFileError(f"{name}: {error}") from error


def open_model(content: bytes, engine: EngineName = "auto", threads: int = 1) -> Model:
    """What ``load`` makes of a file's content; arguments and errors are the same."""
    _check_size(len(content))
    opened, contract = _open(content, engine, threads)
    return Model(opened, contract, hashlib.sha256(content).hexdigest())


def _read_file(file: Path) -> bytes:
    """A file's content; one that is too large is not read."""
    with file.open("rb") as opened:
        status = os.fstat(opened.fileno())
        if stat.S_ISREG(status.st_mode):
            _check_size(status.st_size)
            return opened.read()
        # A pipe, or a device that never ends, has no size.
        content = bytearray()
        while piece := opened.read(PIPE_PIECE):
            content += piece
            _check_size(len(content))
        return bytes(content)


def _check_size(size: int) -> None:
    if size >= LARGEST_FILE:
        raise ModelFileError("it has 2 GiB or more, and an ONNX file has less")


def _open(content: bytes, engine: EngineName, threads: int) -> tuple[Engine, Contract]:
    # The engines are imported here: onnxruntime alone takes longer to import than a short text takes to
    # make, and whoever imports the package for its sampler needs neither.
    if engine != "onnxruntime":
        from .native_engine import open_native
        from .native_graph import UnknownGraphError
        from .native_weights import TooLargeError
        from .onnx_file import described_fields, parse

        try:
            return open_native(content, threads)
        except UnknownGraphError as error:
            raise ModelFileError(
                f"its graph is not one that textgen-train writes ({error}); if you trust the file, "
                '--engine onnxruntime (in Python engine="onnxruntime") runs it'
            ) from error
        except TooLargeError as error:
            if engine == "native":
                raise ModelFileError(f"{error}: use --engine onnxruntime") from error
        # The graph was checked, so onnxruntime gets it, and gets nothing that was not checked.
        content = described_fields(parse(content))
    from .onnx_engine import open_onnx

    return open_onnx(content, threads)
