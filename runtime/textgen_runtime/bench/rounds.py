"""Timing in alternating rounds, on a machine whose speed drifts, and within a time limit."""

import math
import statistics
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter, thread_time
from typing import Any

from .machine import ProcessorTime

MIN_ROUNDS = 5


class DeadlineError(Exception):
    """A measurement was stopped at its deadline. The caller continues without its result."""


class Deadline:
    """A point in time at which measurements end.

    Args:
        seconds: Time from now; infinite for no deadline.
    """

    def __init__(self, seconds: float = math.inf) -> None:
        self._end = perf_counter() + seconds

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline; 0 once it has passed."""
        return max(0.0, self._end - perf_counter())

    @property
    def passed(self) -> bool:
        return self.seconds_left == 0.0

    @property
    def is_finite(self) -> bool:
        return math.isfinite(self._end)

    def share(self, fraction: float) -> "Deadline":
        """Return an earlier deadline, for the first of several measurements that share the time.

        Args:
            fraction: Fraction of the remaining time, in (0, 1].
        """
        return Deadline(self.seconds_left * fraction)


NO_DEADLINE = Deadline()


@dataclass(frozen=True)
class Candidate:
    """Code to time.

    Attributes:
        run: Performs one round: ``size`` units of work.
        size: Units of work per round, usually characters.
        single_threaded: Whether all of the work runs in the calling thread, without waiting for anything.
    """

    run: Callable[[], object]
    size: int
    single_threaded: bool = False


def calibrate(
    run: Callable[[int], object],
    round_seconds: float = 0.02,
    *,
    least: int = 1,
    single_threaded: bool = False,
    deadline: Deadline = NO_DEADLINE,
) -> Candidate:
    """Create a candidate, and choose the size of its rounds by running it with increasing sizes.

    Args:
        run: Performs the given number of units of work.
        round_seconds: Approximate duration of a round.
        least: The smallest size of a round, which can then take longer.
        single_threaded: See ``Candidate``.
        deadline: When to stop increasing the size. Rounds are shorter than requested after that.
    """
    size = least
    while True:
        # The minimum of two runs, so that one interruption by another program does not end the search.
        seconds = min(_seconds(run, size) for _ in range(2))
        if seconds >= round_seconds / 2 or deadline.passed:
            break
        size = max(size + 1, min(size * 8, int(size * round_seconds / max(seconds, 1e-9))))
    return Candidate(lambda: run(size), size, single_threaded)


def _seconds(run: Callable[[int], object], size: int) -> float:
    start = perf_counter()
    run(size)
    return perf_counter() - start


def calibrate_all(
    factories: Mapping[str, Callable[[], Callable[[int], object]]],
    deadline: Deadline,
    *,
    least: int = 1,
    multithreaded: Container[str] = (),
) -> dict[str, Candidate]:
    """Create and calibrate candidates within half of the time. The other half is for their rounds.

    Args:
        factories: By name, a function that returns the ``run`` argument of ``calibrate``.
        deadline: Deadline of calibration and rounds together. Candidates without any time are omitted.
        least: The smallest size of a round.
        multithreaded: Names of the candidates that use several threads.
    """
    calibration = deadline.share(0.5)
    candidates = {}
    for name, create in factories.items():
        if calibration.passed:
            break
        single = name not in multithreaded
        candidates[name] = calibrate(create(), least=least, single_threaded=single, deadline=calibration)
    return candidates


def interleave(
    candidates: Mapping[str, Candidate],
    seconds: float,
    deadline: Deadline = NO_DEADLINE,
    processor_time: ProcessorTime | None = None,
) -> dict[str, list[float]]:
    """Time candidates in turn, so that a drift of the machine's speed affects all of them equally.

    There is no separate warm-up: calibration is one.

    Args:
        candidates: By name.
        seconds: Approximate duration. Each candidate runs at least ``MIN_ROUNDS`` rounds, unless the
            deadline passes.
        deadline: When to stop in any case.
        processor_time: Accumulates the times of the single-threaded candidates.

    Returns:
        By name, the seconds per unit of work of each round. Candidates without a round are omitted.
    """
    times: dict[str, list[float]] = {}
    total = processor_time or ProcessorTime()
    started = perf_counter()
    rounds = 0
    while candidates and (rounds < MIN_ROUNDS or perf_counter() - started < seconds):
        for name, candidate in candidates.items():
            if deadline.passed:
                return times
            start, processor_start = perf_counter(), thread_time()
            try:
                candidate.run()
            except DeadlineError:
                return times
            elapsed = perf_counter() - start
            times.setdefault(name, []).append(elapsed / candidate.size)
            if candidate.single_threaded:
                total.add(elapsed, thread_time() - processor_start)
        rounds += 1
    return times


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median round of each candidate."""
    return {name: statistics.median(rounds) for name, rounds in times.items()}


def deadline_notes(names: Iterable[str], times: Mapping[str, list[float]]) -> list[str]:
    """Return notes about candidates that a deadline left with too few rounds, or without any.

    Args:
        names: All candidates that were requested.
        times: The result of ``interleave``.
    """
    missing = [name for name in names if name not in times]
    incomplete = [name for name, rounds in times.items() if len(rounds) < MIN_ROUNDS]
    notes = []
    if missing:
        notes.append(f"not measured, out of time: {'; '.join(missing)}")
    if incomplete:
        fewest = min(len(times[name]) for name in incomplete)
        notes.append(f"out of time after {fewest} of {MIN_ROUNDS} rounds: {'; '.join(incomplete)}")
    return notes


@dataclass(frozen=True)
class Spread:
    """A figure, and its distribution over its rounds.

    Attributes:
        value: The reported figure: the median of the rounds, or the ratio of two medians.
        lower: First quartile of the rounds.
        upper: Third quartile of the rounds.
        rounds: Number of rounds.
    """

    value: float
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

    @classmethod
    def of_ratio(cls, numerators: Sequence[float], denominators: Sequence[float]) -> "Spread":
        """Divide two figures that were measured in alternating rounds, with at least one round each.

        The value is the ratio of the two medians, as in the tables. The quartiles are those of the ratios of
        individual rounds: a drift of the machine's speed affects both figures of a round equally.
        """
        value = statistics.median(numerators) / statistics.median(denominators)
        spread = cls.of([a / b for a, b in zip(numerators, denominators, strict=False)])
        return cls(value, spread.lower, spread.upper, spread.rounds)

    @property
    def relative_iqr(self) -> float:
        """The interquartile range divided by the figure."""
        return (self.upper - self.lower) / self.value

    def as_json(self, name: str = "median") -> dict[str, Any]:
        """Return the spread as it is stored in the report, with a name for the figure."""
        return {name: self.value, "quartiles": [self.lower, self.upper], "rounds": self.rounds}


def spreads(times: dict[str, list[float]]) -> dict[str, Spread]:
    """Summarize the rounds of each figure."""
    return {name: Spread.of(rounds) for name, rounds in times.items()}


def ratios(
    times: dict[str, list[float]], numerators: Sequence[str], denominators: Sequence[str]
) -> dict[str, Spread]:
    """Divide each numerator by each denominator. Pairs with a figure that was not measured are omitted."""
    return {
        f"{numerator} / {denominator}": Spread.of_ratio(times[numerator], times[denominator])
        for numerator in numerators
        for denominator in denominators
        if numerator != denominator and numerator in times and denominator in times
    }
