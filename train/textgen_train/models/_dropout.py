"""Fast dropout that draws from a given random generator.

``torch.nn.functional.dropout`` draws from the global generator of the process. With parallel threads, its
masks would depend on timing. It is also slower, because it calls the generator once per element.
"""

import torch
from torch import Tensor

# Each element uses 16 random bits, so the probability is rounded to a multiple of 1 / LEVELS.
LEVELS = 2**16

# Devices that cannot draw from the entire range of int64. Random bits are drawn in words of this type there.
SHORT_WORDS = {"mps": torch.int32}


def dropout(values: Tensor, p: float, generator: torch.Generator | None) -> Tensor:
    """Set random elements to zero and scale the others, so that the expected value does not change.

    N. Srivastava and others, Dropout: a simple way to prevent neural networks from overfitting, Journal of
    Machine Learning Research 15, 2014.

    Args:
        values: Any shape, floating point.
        p: Probability of an element to be zeroed, in [0, 1).
        generator: The source of the mask, on the device of the values; None for torch's global generator.

    Returns:
        A tensor of the same shape and dtype.
    """
    threshold = min(round(LEVELS * p), LEVELS - 1)
    if not threshold:
        return values
    count, dtype = values.numel(), SHORT_WORDS.get(values.device.type, torch.int64)
    # One draw of 64 bits serves four elements.
    words = torch.empty(-(-count * 2 // dtype.itemsize), dtype=dtype, device=values.device)
    words.random_(torch.iinfo(dtype).min, None, generator=generator)
    bits = words.view(torch.int16)[:count].view(values.shape)
    mask = (bits >= threshold - LEVELS // 2).to(values.dtype)
    return values * mask.mul_(LEVELS / (LEVELS - threshold))
