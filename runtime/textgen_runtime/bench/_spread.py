"""Repeated measurements of one figure: their middle, and how far they lie apart."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """What repeated rounds came to.

    Attributes:
        median: Of all rounds; the figure that is reported.
        lower: The first quartile.
        upper: The third quartile.
        rounds: How many there were.
    """

    median: float
    lower: float
    upper: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, lower, upper, len(values))

    @property
    def width(self) -> float:
        """From the first quartile to the third, as a share of the median."""
        return (self.upper - self.lower) / self.median

    def as_json(self) -> dict[str, Any]:
        return {"median": self.median, "quartiles": [self.lower, self.upper], "rounds": self.rounds}


@dataclass(frozen=True)
class Ratio:
    """One figure as a multiple of another from the same run; less is better.

    Attributes:
        value: Of the two reported figures, which is what the tables show.
        lower: The first quartile of the ratios of single rounds.
        upper: The third quartile.
        rounds: How many rounds both figures have.
    """

    value: float
    lower: float
    upper: float
    rounds: int

    @classmethod
    def of(cls, ones: Sequence[float], others: Sequence[float]) -> "Ratio":
        """Of two figures that were measured in turn, at least once each.

        A drift of the machine's speed hits both figures of a round alike, so that rounds are compared first.
        """
        value = statistics.median(ones) / statistics.median(others)
        spread = Spread.of([one / other for one, other in zip(ones, others, strict=False)])
        return cls(value, spread.lower, spread.upper, spread.rounds)

    def as_json(self) -> dict[str, Any]:
        return {"value": self.value, "quartiles": [self.lower, self.upper], "rounds": self.rounds}


def spreads(times: dict[str, list[float]]) -> dict[str, Spread]:
    """Of several figures."""
    return {name: Spread.of(rounds) for name, rounds in times.items()}


def ratios(times: dict[str, list[float]], ones: Sequence[str], others: Sequence[str]) -> dict[str, Ratio]:
    """Each of some figures as a multiple of each of some others, where both were measured."""
    return {
        f"{one} / {other}": Ratio.of(times[one], times[other])
        for one in ones
        for other in others
        if one != other and one in times and other in times
    }
