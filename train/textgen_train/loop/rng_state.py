"""The state of random generators as plain values."""

import random
from typing import Any

import torch
from torch import Tensor

from textgen_train.errors import TrainingError


def python_rng_state(rng: random.Random) -> list[Any]:
    """Return the state of a Python generator as numbers, lists and None."""
    version, numbers, gauss = rng.getstate()
    return [version, list(numbers), gauss]


def python_rng_from_state(state: list[Any]) -> random.Random:
    """Create a Python generator from the result of ``python_rng_state``.

    Raises:
        TrainingError: If this is not the state of a Python generator.
    """
    rng = random.Random()
    try:
        version, numbers, gauss = state
        rng.setstate((version, tuple(numbers), gauss))
    except (TypeError, ValueError, OverflowError) as error:
        raise TrainingError(f"invalid state of a random generator: {error}") from error
    return rng


def torch_rng_from_state(state: Tensor, device: torch.device | None = None) -> torch.Generator:
    """Create a torch generator from the result of its ``get_state``.

    Args:
        state: The state; uint8, on the processor.
        device: The device of the generator; None for the processor.

    Raises:
        TrainingError: If this is not the state of a torch generator of this device.
    """
    rng = torch.Generator(device or "cpu")
    try:
        rng.set_state(state)
    except (TypeError, RuntimeError) as error:
        raise TrainingError(
            "invalid state of a random generator: restore an earlier state, or choose the same device"
        ) from error
    return rng
