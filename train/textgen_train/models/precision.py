"""The use of bfloat16 on devices with hardware support for it."""

import torch

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
