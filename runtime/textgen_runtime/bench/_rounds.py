"""Time candidates in alternating rounds, on a machine whose speed drifts."""

import statistics
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter, thread_time

from .busy import ProcessorTime
from .deadline import NO_DEADLINE, Deadline, DeadlineError

MIN_ROUNDS = 5


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
    times: dict[str, list[float]] = {name: [] for name in candidates}
    total = processor_time or ProcessorTime()
    started = perf_counter()
    rounds = 0
    while candidates and (rounds < MIN_ROUNDS or perf_counter() - started < seconds):
        for name, candidate in candidates.items():
            if deadline.passed:
                return _non_empty(times)
            start, processor_start = perf_counter(), thread_time()
            try:
                candidate.run()
            except DeadlineError:
                return _non_empty(times)
            elapsed = perf_counter() - start
            times[name].append(elapsed / candidate.size)
            if candidate.single_threaded:
                total.add(elapsed, thread_time() - processor_start)
        rounds += 1
    return _non_empty(times)


def _non_empty(times: Mapping[str, list[float]]) -> dict[str, list[float]]:
    return {name: rounds for name, rounds in times.items() if rounds}


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
