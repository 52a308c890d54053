"""The state of random generators as a plain value, and back."""

import random
from typing import Any

import torch
from torch import Tensor

from textgen_train.errors import TrainingError


def python_rng_state(rng: random.Random) -> list[Any]:
    """The state of one of Python's generators, made of numbers, lists and None."""
    version, numbers, gauss = rng.getstate()
    return [version, list(numbers), gauss]


def python_rng(state: list[Any]) -> random.Random:
    """A generator in this state.

    Raises:
        TrainingError: If it is not a state of a generator.
    """
    rng = random.Random()
    try:
        version, numbers, gauss = state
        rng.setstate((version, tuple(numbers), gauss))
    except (TypeError, ValueError, OverflowError) as error:
        raise TrainingError(f"this is not the state of a random generator: {error}") from error
    return rng


def torch_rng(state: Tensor) -> torch.Generator:
    """A generator in the state that its ``get_state`` returned.

    Raises:
        TrainingError: If it is not a state of a generator.
    """
    rng = torch.Generator()
    try:
        rng.set_state(state)
    except (TypeError, RuntimeError) as error:
        raise TrainingError("this is not the state of a random generator") from error
    return rng
