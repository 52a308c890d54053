"""Scales of a chart: positions, ticks, places of labels that do not overlap, and durations in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

MINUTE, HOUR = 60.0, 3600.0
# The smallest number of units on an axis.
MIN_TICKS = 3
# Below this number, the exponent has two digits.
MIN_OF_TWO_DIGITS = 1e-9
# Steps between ticks that are easy to read, as multiples of a power of ten.
STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """A linear map from values to positions.

    Attributes:
        low: The value at the position ``start``.
        high: The value at the position ``end``; not ``low``.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, count: int) -> list[float]:
    """Return about ``count`` round numbers from ``low`` to ``high``."""
    wanted = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(wanted))
    step = power * next(step for step in STEPS if step * power >= wanted * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [i * step for i in range(first, last + 1)]


def format_count(value: float) -> str:
    """Format a tick of a count, such as 500, 20k or 1.5M."""
    for unit, name in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{name}"
    return f"{value:g}"


def format_small(value: float) -> str:
    """Format a number below 10 in at most six characters, such as 0.012, 5.9e-9 or 2e-10."""
    text = f"{value:.2g}" if value >= MIN_OF_TWO_DIGITS or not value else f"{value:.0e}"
    return text.replace("e-0", "e-")


def time_unit(seconds: float) -> tuple[str, float]:
    """Return the unit of an axis up to this time: its name, and its length in seconds."""
    if seconds >= MIN_TICKS * HOUR:
        return "hours", HOUR
    return ("minutes", MINUTE) if seconds >= MIN_TICKS * MINUTE else ("seconds", 1.0)


def spread(positions: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Return positions with at least this distance, as near as simple shifts allow, from low to high.

    Args:
        positions: The wanted positions, in any order.
        distance: The minimum distance of two positions. It is reduced if they do not fit.
        low: The minimum position.
        high: The maximum position.
    """
    if not positions:
        return []
    order = sorted(range(len(positions)), key=positions.__getitem__)
    distance = min(distance, (high - low) / max(len(positions) - 1, 1))
    placed = [0.0] * len(positions)
    # Downward with the minimum distance, then back up from the end.
    before = low - distance
    for i in order:
        before = placed[i] = max(positions[i], before + distance)
    after = high + distance
    for i in reversed(order):
        after = placed[i] = min(placed[i], after - distance)
    return placed


def format_duration(seconds: float) -> str:
    """Format a duration as 45 s, 2:05 or 1:02:05."""
    minutes, remaining_seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02}:{remaining_seconds:02}"
    return f"{minutes}:{remaining_seconds:02}" if minutes else f"{remaining_seconds} s"
