"""The models that come with the package, known by their names."""

import os
from pathlib import Path

FOLDER = Path(__file__).with_name("models")
SUFFIX = ".onnx"

# What textgen-train calls the model in its folder.
FILE_IN_FOLDER = "model.onnx"


def shipped() -> list[str]:
    """Names of the models that ship; each can stand where the path of a model file can."""
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def locate(model: str | os.PathLike[str]) -> Path:
    """The file of a model.

    Args:
        model: A path, or one of ``shipped()`` as a string. A file that is called like one of those is
            reached by a path such as ``./nietzsche``, or by any ``Path``, which is never taken for a name.
    """
    return FOLDER / f"{model}{SUFFIX}" if model in shipped() else Path(model)
