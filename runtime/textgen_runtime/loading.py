"""From a model file to a ``Model``."""

import os
from pathlib import Path

from .errors import ModelFileError
from .generator import Model


def load(path: str | os.PathLike[str], *, threads: int = 1) -> Model:
    """Load a model file.

    Args:
        path: A ``.onnx`` file that ``textgen-train`` wrote, or any that keeps the same contract.
        threads: How many threads one step may use; more than 1 only helps large models.

    Raises:
        ModelFileError: If the file is missing, damaged, or not a text generator; one line says which.
        ValueError: If ``threads`` is below 1.
    """
    if threads < 1:
        raise ValueError(f"threads must be 1 or more, not {threads}")
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot read the model file {path}: {error.strerror or error}") from None
    if not content:
        raise ModelFileError(f"the model file {path} is empty")
    # Here and not above: onnxruntime is most of the start-up time, and importing the package for its
    # sampler alone does not need it.
    from .onnx_engine import open_onnx

    try:
        return Model(*open_onnx(content, threads))
    except ModelFileError as error:
        raise ModelFileError(f"{path}: {error}") from error
