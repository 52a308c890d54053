"""Where a model's file is: in the package under a name, at a path, or in the folder at a path."""

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
        model: The path of the file or of the folder that holds it as ``model.onnx``; or one of ``shipped()``
            as a string. What is called like one of those is reached by a path such as ``./nietzsche``, or by
            any ``Path``, which is never taken for a name.
    """
    if model in shipped():
        return FOLDER / f"{model}{SUFFIX}"
    path = Path(model)
    # Not Path.is_dir, which raises an error where a folder above may not be searched.
    return path / FILE_IN_FOLDER if os.path.isdir(path) else path  # noqa: PTH112


def shown_path(path: Path) -> str:
    """A path as a user can give it to any command: never the name of a model that ships."""
    return os.path.join(os.curdir, path) if str(path) in shipped() else str(path)  # noqa: PTH118
