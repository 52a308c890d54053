"""Where a model's file is: in the package under a name, at a path, or in the folder at a path."""

import os

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "models")
SUFFIX = ".onnx"

# What textgen-train calls the model in its folder.
FILE_IN_FOLDER = "model.onnx"


def shipped() -> list[str]:
    """Names of the models that ship; each can stand where the path of a model file can."""
    return sorted(name.removesuffix(SUFFIX) for name in os.listdir(FOLDER) if name.endswith(SUFFIX))


def locate(model: str | os.PathLike[str]) -> str:
    """The path of a model's file.

    Args:
        model: The path of the file or of the folder that holds it as ``model.onnx``; or one of ``shipped()``
            as a string. What is called like one of those is reached by a path such as ``./nietzsche``, or by
            any ``Path``, which is never taken for a name.
    """
    if model in shipped():
        return os.path.join(FOLDER, f"{model}{SUFFIX}")
    path = os.fspath(model)
    return os.path.join(path, FILE_IN_FOLDER) if os.path.isdir(path) else path


def shown_path(path: str | os.PathLike[str]) -> str:
    """A path as a user can give it to any command: never the name of a model that ships."""
    return os.path.join(os.curdir, path) if os.fspath(path) in shipped() else os.fspath(path)
