"""Create the engine for the content of a model file."""

from typing import Literal, TypeAlias

from textgen_runtime.errors import (
    ModelFileError,
    Name,
    TextgenError,
    TooLargeError,
    UnknownGraphError,
    first_line,
)
from textgen_runtime.model_file.metadata import Metadata
from textgen_runtime.model_file.reader import ModelFile
from textgen_runtime.text.tokenizer import BYTE

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
        ModelFileError: If the file is damaged, if it is not a text generator, or if the engine cannot run it.
        TextgenError: If the engine is onnxruntime, which is not installed.
    """
    # Import on use: the import of onnxruntime takes longer than the generation of a short text.
    if engine == "onnxruntime":
        try:
            from .onnxruntime import open_onnx
        except ImportError as error:
            raise TextgenError(
                f"cannot import onnxruntime ({first_line(error)}): pip install numpy onnxruntime, or omit ",
                Name("engine", "onnxruntime"),
            ) from None

        return open_onnx(content, threads)
    try:
        return open_native(content, threads)
    except UnknownGraphError as error:
        raise ModelFileError(
            f"{why_not_native(error)}; if you trust the file, use ", Name("engine", "onnxruntime")
        ) from error


def why_not_native(error: UnknownGraphError) -> str:
    """Return the reason why the native engine cannot run a model, for a message."""
    if isinstance(error, TooLargeError):
        return f"the model is too large for the native engine ({error})"
    return f"the native engine does not support the graph ({error})"


def open_native(content: bytes, threads: int = 1) -> tuple[NativeEngine, Metadata]:
    """Create a native engine for the content of a model file.

    The sizes and the metadata are checked before the weights are packed.

    Raises:
        UnknownGraphError: If the graph is not one that ``textgen-train`` writes, or if it exceeds the limits
            of the engine.
        ModelFileError: If the file is damaged, or not a text generator.
    """
    file = ModelFile(content)
    metadata = Metadata.from_props(file.metadata, file.vocabulary_size)
    tokenizer = metadata.tokenizer
    engine = NativeEngine(file, threads, special=tokenizer.special, is_bytes=tokenizer.level == BYTE)
    return engine, metadata
