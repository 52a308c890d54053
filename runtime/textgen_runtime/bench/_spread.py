"""Medians, quartiles and ratios of repeated measurements."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Spread:
    """The distribution of one figure over its rounds.

    Attributes:
        median: Median of the rounds. This is the reported figure.
        lower: First quartile.
        upper: Third quartile.
        rounds: Number of rounds.
    """

    median: float
    lower: float
    upper: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Summarize at least one value."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0], 1)
        lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, lower, upper, len(values))

    @property
    def relative_iqr(self) -> float:
        """The interquartile range divided by the median."""
        return (self.upper - self.lower) / self.median

    def as_json(self) -> dict[str, Any]:
        return {"median": self.median, "quartiles": [self.lower, self.upper], "rounds": self.rounds}


@dataclass(frozen=True)
class Ratio:
    """One figure divided by another figure of the same run. Lower is better.

    Attributes:
        value: Ratio of the two medians, as in the tables.
        lower: First quartile of the ratios of the individual rounds.
        upper: Third quartile of the ratios of the individual rounds.
        rounds: Number of rounds that both figures have.
    """

    value: float
    lower: float
    upper: float
    rounds: int

    @classmethod
    def of(cls, numerators: Sequence[float], denominators: Sequence[float]) -> "Ratio":
        """Divide two figures that were measured in alternating rounds, with at least one round each.

        The quartiles are those of the ratios of individual rounds: a drift of the machine's speed affects
        both figures of a round equally.
        """
        value = statistics.median(numerators) / statistics.median(denominators)
        spread = Spread.of([a / b for a, b in zip(numerators, denominators, strict=False)])
        return cls(value, spread.lower, spread.upper, spread.rounds)

    def as_json(self) -> dict[str, Any]:
        return {"value": self.value, "quartiles": [self.lower, self.upper], "rounds": self.rounds}


def spreads(times: dict[str, list[float]]) -> dict[str, Spread]:
    """Summarize the rounds of each figure."""
    return {name: Spread.of(rounds) for name, rounds in times.items()}


def ratios(
    times: dict[str, list[float]], numerators: Sequence[str], denominators: Sequence[str]
) -> dict[str, Ratio]:
    """Divide each numerator by each denominator. Pairs with a figure that was not measured are omitted."""
    return {
        f"{numerator} / {denominator}": Ratio.of(times[numerator], times[denominator])
        for numerator in numerators
        for denominator in denominators
        if numerator != denominator and numerator in times and denominator in times
    }
