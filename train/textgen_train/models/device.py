"""The device on which a network is trained: the processor, or a GPU through CUDA or MPS; its bfloat16."""

import torch
from textgen_runtime.errors import Name

from textgen_train.errors import TrainingError

# Names of instruction sets of x86-64 in torch. Without any of them, torch emulates bfloat16 in software,
# which is slower than float32.
BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")

CPU = torch.device("cpu")


def has_bfloat16(device: torch.device = CPU) -> bool:
    """Whether a device multiplies bfloat16 matrices in hardware. On MPS, it is not used."""
    if device.type == "cpu":
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name, False) for name in BFLOAT16_INSTRUCTIONS)
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)


def matrix_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype of matrix products that need only a few digits."""
    return torch.bfloat16 if has_bfloat16(device) else torch.float32


def autocast(device: torch.device) -> torch.autocast:
    """Return a context that computes matrix products in bfloat16 if the device supports it.

    Weights, gradients, the carried state and the loss stay in float32.
    """
    # torch's cache of converted weights is shared by all threads and would mix the gradients of replicas.
    return torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device), cache_enabled=False)


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
            Name("device", "cpu"),
        )
    return torch.device(name, index)


def describe_device(device: torch.device) -> str:
    """Return the kind of a device, and the name of a CUDA device."""
    return f"cuda ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else device.type


def _cuda_count() -> int:
    return torch.cuda.device_count() if torch.cuda.is_available() else 0
