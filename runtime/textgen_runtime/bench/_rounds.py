"""Timing contestants against each other on a machine whose speed drifts."""

import statistics
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from time import perf_counter, thread_time

from .busy import ProcessorTime
from .deadline import FOREVER, Deadline, DeadlineError

MIN_ROUNDS = 5


@dataclass(frozen=True)
class Contestant:
    """Something to time.

    Attributes:
        run: Does ``size`` units of work.
        size: So many that a round takes some milliseconds.
        one_thread: Whether it computes in the thread that calls it, and waits for nothing else.
    """

    run: Callable[[], object]
    size: int
    one_thread: bool = False


def sized(
    run: Callable[[int], object],
    round_seconds: float = 0.02,
    *,
    one_thread: bool = False,
    deadline: Deadline = FOREVER,
) -> Contestant:
    """A contestant whose rounds take about so long; it is tried with ever more work until they do.

    Args:
        run: Does so many units of work.
        round_seconds: How long a round is to take.
        one_thread: What ``Contestant`` says of it.
        deadline: When to stop trying; its rounds are shorter then.
    """
    size = 1
    while True:
        # The better of two, or a moment in which the machine did something else would end the search.
        took = min(_seconds(run, size) for _ in range(2))
        if took >= round_seconds / 2 or deadline.passed:
            break
        size = max(size + 1, min(size * 8, int(size * round_seconds / max(took, 1e-9))))
    return Contestant(lambda: run(size), size, one_thread)


def _seconds(run: Callable[[int], object], size: int) -> float:
    start = perf_counter()
    run(size)
    return perf_counter() - start


def sized_in_time(
    makers: Mapping[str, Callable[[], Callable[[int], object]]],
    deadline: Deadline,
    *,
    several_threads: Container[str] = (),
) -> dict[str, Contestant]:
    """Make and size contestants, until half of the time is over; the other half is for their rounds.

    Args:
        makers: By name, what makes a function that does so many units of work.
        deadline: Of sizes and rounds together. Those that it leaves no time for are left out.
        several_threads: Names of those that do not compute in one thread alone.
    """
    sizing = deadline.share(0.5)
    found = {}
    for name, make in makers.items():
        if sizing.passed:
            break
        found[name] = sized(make(), one_thread=name not in several_threads, deadline=sizing)
    return found


def interleave(
    contestants: Mapping[str, Contestant],
    seconds: float,
    deadline: Deadline = FOREVER,
    processor_time: ProcessorTime | None = None,
) -> dict[str, list[float]]:
    """Time contestants in turn, so that a drift of the machine's speed hits all alike.

    Args:
        contestants: By name; sizing them was their warm-up.
        seconds: About how long to go on; each has at least ``MIN_ROUNDS`` rounds, if the deadline allows.
        deadline: When to end in any case.
        processor_time: Where to add up what those that compute in one thread took.

    Returns:
        For each contestant the seconds per unit of work of each round; without those that had none.
    """
    times: dict[str, list[float]] = {name: [] for name in contestants}
    watch = processor_time or ProcessorTime()
    started = perf_counter()
    rounds = 0
    while contestants and (rounds < MIN_ROUNDS or perf_counter() - started < seconds):
        for name, contestant in contestants.items():
            if deadline.passed:
                return _measured(times)
            start, processor = perf_counter(), thread_time()
            try:
                contestant.run()
            except DeadlineError:
                return _measured(times)
            took = perf_counter() - start
            times[name].append(took / contestant.size)
            if contestant.one_thread:
                watch.add(took, thread_time() - processor)
        rounds += 1
    return _measured(times)


def _measured(times: Mapping[str, list[float]]) -> dict[str, list[float]]:
    return {name: rounds for name, rounds in times.items() if rounds}


def medians(times: Mapping[str, list[float]]) -> dict[str, float]:
    """Each contestant's median."""
    return {name: statistics.median(rounds) for name, rounds in times.items()}


def cut_short(wanted: Mapping[str, object], times: Mapping[str, list[float]]) -> list[str]:
    """What a deadline left out, a line for each kind."""
    missing = [name for name in wanted if name not in times]
    few = [name for name, rounds in times.items() if len(rounds) < MIN_ROUNDS]
    lines = []
    if missing:
        lines.append(f"not measured, for want of time: {'; '.join(missing)}")
    if few:
        least = min(len(times[name]) for name in few)
        lines.append(f"cut short, from {MIN_ROUNDS} rounds to {least}: {'; '.join(few)}")
    return lines
