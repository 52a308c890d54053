"""Create the engine for the content of a model file."""

from typing import Literal, TypeAlias

from textgen_runtime.errors import (
    Name,
    TextgenError,
    TooLargeError,
    UnknownGraphError,
    first_line,
)
from textgen_runtime.model_file.metadata import Metadata

from .base import Engine
from .native import NativeEngine

EngineName: TypeAlias = Literal["auto", "native", "onnxruntime"]


def open_engine(content: bytes, engine: EngineName, threads: int) -> tuple[Engine, Metadata]:
    """Create an engine for the content of a model file.

    Args:
        content: The content of the model file.
        engine: ``"onnxruntime"``, or ``"native"`` or ``"auto"`` for the native engine.
        threads: The number of threads of the engine, 1 or more.

    Returns:
        The engine, and the metadata of the file.

    Raises:
        UnknownGraphError: If the native engine does not run the graph.
        ModelFileError: If the file is damaged, or not a text generator, or if onnxruntime cannot run it.
        TextgenError: If the engine is onnxruntime, which is not installed.
    """
    # Import on use: the import of onnxruntime takes longer than the generation of a short text.
    if engine == "onnxruntime":
        try:
            from .onnxruntime import OnnxEngine
        except ImportError as error:
            raise TextgenError(
                f"cannot import onnxruntime ({first_line(error)}): pip install numpy onnxruntime, or omit ",
                Name("engine", "onnxruntime"),
            ) from None

        opened = OnnxEngine(content, threads)
        return opened, Metadata.read(opened.core)
    try:
        native = NativeEngine(content, threads)
        return native, Metadata.read(native.core)
    except UnknownGraphError as error:
        raise UnknownGraphError(
            f"{why_not_native(error)}; if you trust the file, use ", Name("engine", "onnxruntime")
        ) from error


def why_not_native(error: UnknownGraphError) -> str:
    """Return the reason why the native engine cannot run a model, for a message."""
    if isinstance(error, TooLargeError):
        return f"the model is too large for the native engine ({error})"
    return f"the native engine does not support the graph ({error})"
