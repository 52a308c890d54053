"""Dropout from a random generator of one's own, fast.

torch's own draws from one generator of the whole process, for which threads would race, and spends a
call of the generator on every element.
"""

import torch
from torch import Tensor

# An element takes 16 random bits, so that shares are rounded to a multiple of 1 / LEVELS.
LEVELS = 2**16


def dropout(values: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Set a share of the elements to zero and scale the others so that the expected value stays.

    N. Srivastava and others, Dropout: a simple way to prevent neural networks from overfitting, Journal of
    Machine Learning Research 15, 2014.

    Args:
        values: Any shape, floating point.
        share: Probability that an element is dropped, in [0, 1).
        generator: Where the rng comes from; None takes torch's own.

    Returns:
        The same shape and dtype.
    """
    dropped = min(round(LEVELS * share), LEVELS - 1)
    if not dropped:
        return values
    count = values.numel()
    # Four elements share the 64 bits of one draw.
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    bits = words.view(torch.int16)[:count].view(values.shape)
    kept = (bits >= dropped - LEVELS // 2).to(values.dtype)
    return values * kept.mul_(LEVELS / (LEVELS - dropped))
