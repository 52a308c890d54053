"""Open a model file's content with an engine."""

from typing import TYPE_CHECKING, Literal, TypeAlias

from textgen_runtime.errors import ModelFileError, TooLargeError, UnknownGraphError
from textgen_runtime.model_file.metadata import Metadata, check_format

from .base import Engine

if TYPE_CHECKING:
    from .native import NativeEngine

EngineName: TypeAlias = Literal["auto", "native", "onnxruntime"]


def open_engine(content: bytes, engine: EngineName, threads: int) -> tuple[Engine, Metadata]:
    # The engines are imported here, because importing onnxruntime takes longer than making a short text.
    if engine == "onnxruntime":
        from .onnxruntime import open_onnx

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


def open_native(content: bytes, threads: int = 1) -> "tuple[NativeEngine, Metadata]":
    """Open a model file's content with the native engine.

    Its sizes and its metadata are checked before its weights are read.

    Raises:
        UnknownGraphError: If its graph is not one that this project writes, or too large for this engine.
        ModelFileError: If it is damaged, or not a text generator of this project's contract.
    """
    from textgen_runtime.model_file.reader import ModelFile

    from .native import NativeEngine

    file = ModelFile(content)
    check_format(file.metadata)
    metadata = Metadata.from_props(file.metadata, file.vocabulary_size)
    return NativeEngine(file, threads, never_drawn=metadata.tokenizer.unknown), metadata
