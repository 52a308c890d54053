"""The packages that ``textgen-train`` needs."""

from importlib.util import find_spec

from textgen_runtime.errors import install_command

from textgen_train.errors import TrainingError

# The packages of the train extra, by their import names.
TRAIN_EXTRA = ("torch", "onnx", "safetensors", "pooch", "filelock", "tqdm", "matplotlib")


def check_dependencies(*, tensorboard: bool = False) -> None:
    """Check that the train extra is installed, and the tensorboard extra if it is needed.

    Raises:
        TrainingError: If a package is missing.
    """
    missing = [name for name in TRAIN_EXTRA if find_spec(name) is None]
    if missing:
        raise TrainingError(f"training requires {', '.join(missing)}: {install_command('train')}")
    if tensorboard and find_spec("tensorboard") is None:
        raise TrainingError(f"--tensorboard requires tensorboard: {install_command('tensorboard')}")
