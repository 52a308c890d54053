"""The checks of the lanes of a call, before any lane draws."""

from collections.abc import Sequence

from .base import Lane
from .core import NO_LANES_ERROR, SHARED_SAMPLER_ERROR, check_guide


def check_lanes(lanes: Sequence[Lane], steps: int, vocabulary_size: int) -> None:
    """Check the steps, samplers, lengths and guides of a call of ``Engine.generate``.

    Args:
        lanes: The lanes.
        steps: The maximum number of tokens per lane.
        vocabulary_size: The vocabulary size of the model.

    Raises:
        ValueError: If one is invalid.
        SamplingError: If a text must end, and needs more tokens to match than its lane may have.
        TypeError: If a guide is not a ``Guide``.
    """
    if steps < 0:
        raise ValueError(f"steps must be 0 or more, not {steps}")
    if not lanes:
        raise ValueError(NO_LANES_ERROR)
    if len({id(lane.sampler) for lane in lanes}) != len(lanes):
        raise ValueError(SHARED_SAMPLER_ERROR)
    for lane in lanes:
        if lane.length < 1:
            raise ValueError(f"the length of a lane must be 1 or more, not {lane.length}")
        if lane.guide is not None:
            check_guide(lane.guide, lane.length, vocabulary_size)
