"""The model files that runs write, with the engine that can run them."""

from pathlib import Path

from textgen_runtime.errors import ModelFileError, UnknownGraphError
from textgen_runtime.model import Model, open_model
from textgen_runtime.model_file import Metadata, name_source, open_metadata, read_model

from textgen_train.recipe import LSTM


def open_written(content: bytes, threads: int = 1) -> Model:
    """Open a model file that this package wrote: with onnxruntime if the native engine cannot run its cells.

    Raises:
        ModelFileError: As ``textgen_runtime.load``.
    """
    try:
        return open_model(content, threads=threads)
    except UnknownGraphError:
        return open_model(content, "onnxruntime", threads)


def read_metadata(path: Path) -> Metadata:
    """Read the metadata of a model file, without its weights.

    Raises:
        ModelFileError: If the file cannot be read, or is damaged.
    """
    content = read_model(path)
    try:
        return Metadata.read(open_metadata(content))
    except ModelFileError as error:
        raise ModelFileError(f"{name_source(path)}: ", *error.args) from error


def is_native(metadata: Metadata) -> bool:
    """Whether the native engine, C and JavaScript run the cells of a model that was trained here."""
    recipe = metadata.training.get("recipe")
    return not isinstance(recipe, dict) or recipe.get("cell", LSTM) == LSTM
