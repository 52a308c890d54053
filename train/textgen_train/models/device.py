"""The device on which a network is trained: the processor, or a GPU through CUDA or MPS."""

import torch
from textgen_runtime.errors import Name

from textgen_train.errors import TrainingError


def choose_device(name: str, index: int = 0) -> torch.device:
    """Return the device of this name.

    Args:
        name: One of auto, cpu, cuda and mps. ``auto`` is CUDA if there is such a GPU, else MPS, else the
            processor.
        index: Number of this process among those of its machine. Each process uses a GPU of its own.

    Raises:
        TrainingError: If there is no such device, or not one for each process.
    """
    gpus = {"cuda": _cuda_count(), "mps": int(torch.backends.mps.is_available())}
    if name == "auto":
        name = next((kind for kind, count in gpus.items() if count), "cpu")
    if name == "cpu":
        return torch.device(name)
    if not gpus[name]:
        raise TrainingError(
            f"this machine has no {name} device that torch {torch.__version__} can use: choose another with ",
            Name("device"),
        )
    if index >= gpus[name]:
        raise TrainingError(
            f"process {index + 1} of this machine has no GPU, because torch finds {gpus[name]}: start at "
            f"most {gpus[name]} per machine, or choose ",
            Name("device"),
            " cpu",
        )
    return torch.device(name, index)


def describe_device(device: torch.device) -> str:
    """Return the kind of a device, and the name of a CUDA device."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def _cuda_count() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
