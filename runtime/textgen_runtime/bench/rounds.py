"""Timing in alternating rounds, on a machine whose speed drifts."""

import statistics
from collections.abc import Callable, Mapping
from functools import partial
from time import perf_counter
from typing import NamedTuple

MIN_ROUNDS = 5


class Candidate(NamedTuple):
    """Code to time.

    Attributes:
        run: Performs one round: ``size`` units of work.
        size: Units of work per round, usually characters.
    """

    run: Callable[[], object]
    size: int = 1


def calibrate(run: Callable[[int], object], round_seconds: float = 0.02, least: int = 1) -> Candidate:
    """Create a candidate, and choose the size of its rounds by running it with increasing sizes.

    Args:
        run: Performs the given number of units of work.
        round_seconds: Approximate duration of a round.
        least: The smallest size of a round, which can then take longer.
    """
    size = least
    while True:
        # The minimum of two runs, so that one interruption by another program does not end the search.
        seconds = min(_seconds(run, size) for _ in range(2))
        if seconds >= round_seconds / 2:
            return Candidate(partial(run, size), size)
        size = max(size + 1, min(size * 8, int(size * round_seconds / max(seconds, 1e-9))))


def _seconds(run: Callable[[int], object], size: int) -> float:
    start = perf_counter()
    run(size)
    return perf_counter() - start


def interleave(candidates: Mapping[str, Candidate], seconds: float) -> dict[str, list[float]]:
    """Time candidates in turn, so that a drift of the machine's speed affects all of them equally.

    There is no separate warm-up: calibration is one.

    Args:
        candidates: By name.
        seconds: Approximate duration. Each candidate runs at least ``MIN_ROUNDS`` rounds.

    Returns:
        By name, the seconds per unit of work of each round.
    """
    times: dict[str, list[float]] = {name: [] for name in candidates}
    started, rounds = perf_counter(), 0
    while rounds < MIN_ROUNDS or perf_counter() - started < seconds:
        for name, candidate in candidates.items():
            start = perf_counter()
            candidate.run()
            times[name].append((perf_counter() - start) / candidate.size)
        rounds += 1
    return times


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median round of each candidate."""
    return {name: statistics.median(rounds) for name, rounds in times.items()}
