"""bfloat16 where it is known to be fast."""

import torch

# x86-64 ones, as torch names them. Without them it takes bfloat16 apart in software, which is slower than
# float32.
BFLOAT16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16")


def has_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 matrices in hardware."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in BFLOAT16_INSTRUCTIONS)


def matrix_dtype() -> torch.dtype:
    """What to multiply matrices in where a few digits are enough."""
    return torch.bfloat16 if has_bfloat16() else torch.float32


def autocast() -> torch.autocast:
    """A context in which matrix products are done in bfloat16 where the processor has it.

    Weights, gradients, the carried state and the loss stay in float32.
    """
    # The cache of converted weights is one for all threads, and would mix up the gradients of replicas.
    return torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16(), cache_enabled=False)
