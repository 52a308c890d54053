"""Find the file of a model from the name of a bundled model, a path, or a folder."""

import os

BUNDLED_FOLDER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "bundled_models")
SUFFIX = ".onnx"

# The file name of a model in a folder that textgen-train writes.
MODEL_FILE = "model.onnx"


def bundled_models() -> list[str]:
    """Return the names of the bundled models. ``load`` accepts each of them instead of a path."""
    return sorted(name.removesuffix(SUFFIX) for name in os.listdir(BUNDLED_FOLDER) if name.endswith(SUFFIX))


def find_model_file(model: str | os.PathLike[str]) -> str:
    """Return the path of the file of a model. The file need not exist.

    Args:
        model: The path of a model file, the path of a folder that holds ``model.onnx``, or the name of a
            bundled model as a ``str``. A ``Path`` is never a name. Use ``./nietzsche`` for a file or folder
            with the name of a bundled model.
    """
    if model in bundled_models():
        return os.path.join(BUNDLED_FOLDER, f"{model}{SUFFIX}")
    path = os.fspath(model)
    return os.path.join(path, MODEL_FILE) if os.path.isdir(path) else path


def unambiguous_path(path: str | os.PathLike[str]) -> str:
    """Return a path that no command takes for the name of a bundled model, or for an option."""
    name = os.fspath(path)
    return os.path.join(os.curdir, name) if name.startswith("-") or name in bundled_models() else name
