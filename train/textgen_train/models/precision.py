"""The use of bfloat16 on processors with hardware support for it."""

import torch

# Names of instruction sets of x86-64 in torch. Without any of them, torch emulates bfloat16 in software,
# which is slower than float32.
BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in BFLOAT16_INSTRUCTIONS)


def matrix_dtype() -> torch.dtype:
    """Return the dtype of matrix products that need only a few digits."""
    return torch.bfloat16 if has_bfloat16() else torch.float32


def autocast() -> torch.autocast:
    """Return a context that computes matrix products in bfloat16 if the processor supports it.

    Weights, gradients, the carried state and the loss stay in float32.
    """
    # torch's cache of converted weights is shared by all threads and would mix the gradients of replicas.
    return torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16(), cache_enabled=False)
