"""From a model file to a ``Model``."""

import hashlib
import os
from pathlib import Path
from typing import Literal, TypeAlias

from .contract import Contract
from .engine import Engine
from .errors import ModelFileError
from .generator import Model
from .shipped import locate, shipped

EngineName: TypeAlias = Literal["auto", "native", "onnxruntime"]


def load(path: str | os.PathLike[str], *, engine: EngineName = "auto", threads: int = 1) -> Model:
    """Load a model file.

    Args:
        path: A ``.onnx`` file that ``textgen-train`` wrote, or any that keeps the same contract; or a folder
            that holds one called ``model.onnx``; or the name of a model that ships, one of ``shipped()``.
        engine: What runs it. ``"native"`` is far faster and knows the graphs that ``textgen-train`` writes;
            ``"onnxruntime"`` runs any graph with the contract's inputs and outputs; ``"auto"`` takes the
            native one where it knows the graph. ``Model.engine.name`` says which it is.
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
    file = locate(path)
    try:
        content = file.read_bytes()
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        if missing and file != Path(path):
            raise ModelFileError(f"the folder {path} holds no {file.name}") from None
        hint = f"; models that ship: {', '.join(shipped())}" if missing and not file.suffix else ""
        raise ModelFileError(f"cannot read the model file {file}: {error.strerror or error}{hint}") from None
    if not content:
        raise ModelFileError(f"the model file {path} is empty")
    try:
        return open_model(content, engine, threads)
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error


def open_model(content: bytes, engine: EngineName = "auto", threads: int = 1) -> Model:
    """What ``load`` makes of a file's content; arguments and errors are the same."""
    opened, contract = _open(content, engine, threads)
    if opened.vocabulary_size != len(contract.vocabulary):
        raise ModelFileError(
            f"its vocabulary has {len(contract.vocabulary)} characters but its logits "
            f"{opened.vocabulary_size} values: export it again"
        )
    return Model(opened, contract, hashlib.sha256(content).hexdigest())


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
