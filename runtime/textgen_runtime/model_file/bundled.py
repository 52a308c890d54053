"""Where a model's file is: in the package under a name, at a path, or in the folder at a path."""

import os

FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bundled_models")
SUFFIX = ".onnx"

# What textgen-train calls the model in its folder.
MODEL_FILE = "model.onnx"


def bundled_models() -> list[str]:
    """Names of the models that ship; each can stand where the path of a model file can."""
    return sorted(name.removesuffix(SUFFIX) for name in os.listdir(FOLDER) if name.endswith(SUFFIX))


def find_model_file(model: str | os.PathLike[str]) -> str:
    """The path of a model's file.

    Args:
        model: The path of a model file, the path of a folder that holds ``model.onnx``, or the name of a
            bundled model as a ``str``. A ``Path`` is never a name. Use ``./nietzsche`` for a file or folder
            that has the name of a bundled model.
    """
    if model in bundled_models():
        return os.path.join(FOLDER, f"{model}{SUFFIX}")
    path = os.fspath(model)
    return os.path.join(path, MODEL_FILE) if os.path.isdir(path) else path


def unambiguous_path(path: str | os.PathLike[str]) -> str:
    """A path as a user can give it to any command: never the name of a model that ships."""
    return os.path.join(os.curdir, path) if os.fspath(path) in bundled_models() else os.fspath(path)
