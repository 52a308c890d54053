"""Whether the machine did something else while it was measured."""

import os
from dataclasses import dataclass
from typing import Any

# The load average of the minute before, for each processor of the machine, above which it was busy: on two
# processors, one process that computed half of the time. Such a process takes caches, memory bandwidth and
# clock rate from the one that is measured even where it leaves it a processor of its own.
BUSY_LOAD = 0.25

# The share of time that a computing thread had to wait for a processor, above which the machine was busy. On
# an idle machine it is below 1%; with 5% the figures themselves are off by about as much.
BUSY_WAIT = 0.05

# How far apart the quartiles of a figure's rounds may lie, as a share of the median, before the rounds
# disagree. The median of five such rounds is known to about a tenth, which is what one would compare.
WIDE_SPREAD = 0.2


def load_average() -> list[float] | None:
    """Of the last 1, 5 and 15 minutes, of the whole machine; None where the system does not tell."""
    try:
        return [round(each, 2) for each in os.getloadavg()]
    except (AttributeError, OSError):
        return None


@dataclass
class ProcessorTime:
    """What one computing thread took on the clock, and how long it had a processor meanwhile.

    Attributes:
        clock: Seconds.
        processor: Seconds.
    """

    clock: float = 0.0
    processor: float = 0.0

    def add(self, clock: float, processor: float) -> None:
        self.clock += clock
        self.processor += processor

    @property
    def waited(self) -> float | None:
        """The share of the time in which it waited for a processor; None if nothing was measured."""
        return max(0.0, 1.0 - self.processor / self.clock) if self.clock else None


def busy_before(load: list[float] | None) -> str | None:
    """A warning if the load average at the start says that other programs are running."""
    processors = os.cpu_count() or 1
    if load is None or load[0] / processors <= BUSY_LOAD:
        return None
    return (
        f"the machine was busy before: its load average is {load[0]:.2f} on {processors} processors (above "
        f"{BUSY_LOAD * processors:.2g}); figures may be too slow, ratios less so"
    )


def busy_meanwhile(time: ProcessorTime) -> str | None:
    """A warning if what was measured had to wait for a processor."""
    waited = time.waited
    if waited is None or waited <= BUSY_WAIT:
        return None
    return (
        f"the machine was busy: what was measured waited for a processor {waited:.0%} of the time (above "
        f"{BUSY_WAIT:.0%}); measure again when it is idle"
    )


def disagreement(sections: dict[str, Any]) -> str | None:
    """A warning if rounds of the same figure lie far apart.

    Args:
        sections: By name, each with the ``spreads`` of its figures.
    """
    wide = {
        f"{section}: {figure}": spread.width
        for section, measured in sections.items()
        for figure, spread in measured.spreads.items()
        if spread.width > WIDE_SPREAD
    }
    if not wide:
        return None
    worst = max(wide, key=lambda name: wide[name])
    return (
        f"the rounds of {len(wide)} figure{'s' * (len(wide) > 1)} disagree: half of them lie over more than "
        f"{WIDE_SPREAD:.0%} of the median, those of {worst!r} over {wide[worst]:.0%}; measure again"
    )
