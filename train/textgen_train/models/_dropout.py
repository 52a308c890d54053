"""Fast dropout that draws from a given random generator.

``torch.nn.functional.dropout`` draws from the global generator of the process. With parallel threads, its
masks would depend on timing. It is also slower, because it calls the generator once per element.
"""

import torch
from torch import Tensor

# Each element uses 16 random bits, so the probability is rounded to a multiple of 1 / LEVELS.
LEVELS = 2**16


def dropout(values: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Set random elements to zero and scale the others, so that the expected value does not change.

    N. Srivastava and others, Dropout: a simple way to prevent neural networks from overfitting, Journal of
    Machine Learning Research 15, 2014.

    Args:
        values: Any shape, floating point.
        p: Probability of an element to be zeroed, in [0, 1).
        generator: The source of the mask; None for torch's global generator.

    Returns:
        A tensor of the same shape and dtype.
    """
    threshold = min(round(LEVELS * p), LEVELS - 1)
    if not threshold:
        return values
    count = values.numel()
    # One draw of 64 bits serves four elements.
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None, generator=generator)
    bits = words.view(torch.int16)[:count].view(values.shape)
    mask = (bits >= threshold - LEVELS // 2).to(values.dtype)
    return values * mask.mul_(LEVELS / (LEVELS - threshold))
