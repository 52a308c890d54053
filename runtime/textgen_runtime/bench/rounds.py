"""Timing contestants against each other on a machine whose speed drifts."""

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter

LEAST_ROUNDS = 5


@dataclass(frozen=True)
class Contestant:
    """Something to time.

    Attributes:
        run: Does ``size`` units of work.
        size: So many that a round takes some milliseconds.
    """

    run: Callable[[], object]
    size: int


def sized(run: Callable[[int], object], round_seconds: float = 0.02) -> Contestant:
    """A contestant whose rounds take about so long; it is tried with ever more work until they do."""
    size = 1
    while True:
        # The better of two, or a moment in which the machine did something else would end the search.
        took = min(_seconds(run, size) for _ in range(2))
        if took >= round_seconds / 2:
            break
        size = max(size + 1, min(size * 8, int(size * round_seconds / max(took, 1e-9))))
    return Contestant(lambda: run(size), size)


def _seconds(run: Callable[[int], object], size: int) -> float:
    start = perf_counter()
    run(size)
    return perf_counter() - start


def interleave(contestants: Mapping[str, Contestant], seconds: float) -> dict[str, list[float]]:
    """Time contestants in turn, so that a drift of the machine's speed hits all alike.

    Args:
        contestants: By name; sizing them was their warm-up.
        seconds: About how long to go on; each has at least ``LEAST_ROUNDS`` rounds.

    Returns:
        For each contestant the seconds per unit of work of each round.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    started = perf_counter()
    rounds = 0
    while rounds < LEAST_ROUNDS or perf_counter() - started < seconds:
        for name, contestant in contestants.items():
            start = perf_counter()
            contestant.run()
            times[name].append((perf_counter() - start) / contestant.size)
        rounds += 1
    return times


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Each contestant's median."""
    return {name: statistics.median(rounds) for name, rounds in times.items()}
