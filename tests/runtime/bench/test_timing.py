"""Timing by ``textgen-bench``: rounds, deadlines, spreads, warnings and tables."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from textgen_runtime.bench import _many_streams, machine, rounds, sections
from textgen_runtime.bench._one_stream import prompts
from textgen_runtime.bench._processes import (
    memory,
    peak_memory,
    python_command,
    run_to_end,
    run_to_first_byte,
)
from textgen_runtime.bench.context import BenchContext
from textgen_runtime.bench.machine import ProcessorTime, load_warning, spread_warning, wait_warning
from textgen_runtime.bench.report import Section, microseconds, per_second, times
from textgen_runtime.bench.rounds import Deadline, Spread, ratios
from textgen_runtime.engines.base import Stream
from textgen_runtime.engines.native import NativeEngine
from textgen_runtime.generation import feeding
from textgen_runtime.generation.feeding import feed_chunk

from tests.helpers.paths import TINY


class Clock:
    """A clock that the candidates advance."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    fake_clock = Clock()
    monkeypatch.setattr(rounds, "perf_counter", fake_clock)
    return fake_clock


def test_many_streams_keep_the_order_of_their_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline stops the first measurement of the first row."""
    names = [
        "native, 1 thread",
        "native, 2 threads",
        "onnxruntime batched, 1 thread",
        "onnxruntime batched, 2 threads",
    ]

    def measure_streams(_: object, streams: int, __: object) -> tuple[dict[str, list[float]], list[str]]:
        # One row is never measured.
        measured = [name for name in names[:3] if streams > 1 or name != names[0]]
        return {name: [1e-6] for name in measured}, []

    monkeypatch.setattr(_many_streams, "measure_streams", measure_streams)
    context = BenchContext(b"", ("native",), 1.0, 0.1, 2, 10)
    section = _many_streams.many_streams(context, rounds.NO_DEADLINE)
    assert [name for name, _ in section.rows] == list(section.figures) == names[:3]
    assert section.rows[0][1] == ["", *["4,000,000", "16,000,000", "64,000,000", "256,000,000"]]


def test_calibration_reaches_the_round_duration(clock: Clock) -> None:
    candidate = rounds.calibrate(lambda size: clock.work(size * 1e-5), round_seconds=0.02)
    assert 1000 <= candidate.size <= 2000
    slow = rounds.calibrate(lambda size: clock.work(size * 3.0))
    assert slow.size == 1
    assert rounds.calibrate(lambda size: clock.work(size * 3.0), least=7).size == 7


def test_alternating_rounds_cancel_a_drift_of_speed(clock: Clock) -> None:
    order: list[str] = []
    speed = 1.0

    def run(name: str, seconds: float) -> None:
        nonlocal speed
        order.append(name)
        clock.work(seconds * speed)
        # The machine slows down by 2% per round.
        speed *= 1.02

    candidates = {
        name: rounds.Candidate(lambda name=name, seconds=seconds: run(name, seconds), 10)  # type: ignore[misc]
        for name, seconds in (("fast", 0.1), ("slow", 0.2))
    }
    times_by_name = rounds.interleave(candidates, seconds=8.0)
    assert order[:6] == ["fast", "slow"] * 3
    assert len(times_by_name["fast"]) == len(times_by_name["slow"]) > 10
    medians = rounds.medians(times_by_name)
    assert medians["slow"] / medians["fast"] == pytest.approx(2.0, rel=0.05)
    assert times_by_name["fast"][0] == pytest.approx(0.01)


def test_there_is_a_minimum_number_of_rounds(clock: Clock) -> None:
    times_by_name = rounds.interleave({"a": rounds.Candidate(lambda: clock.work(1), 1)}, seconds=0)
    assert times_by_name == {"a": [1.0] * rounds.MIN_ROUNDS}


def test_a_share_is_a_fraction_of_the_remaining_time(clock: Clock) -> None:
    end = Deadline(10)
    first = end.share(0.25)
    assert first.seconds_left == 2.5
    clock.work(2.5)
    assert first.passed
    assert not end.passed
    # Half of the remaining 7.5 seconds.
    assert end.share(0.5).seconds_left == 3.75
    clock.work(60)
    assert end.seconds_left == 0
    assert not Deadline().share(0.1).is_finite


def test_calibration_stops_at_the_deadline(clock: Clock) -> None:
    def run(size: int) -> None:
        clock.work(size * 1e-4)

    assert rounds.calibrate(run, 1.0).size > 1000
    assert rounds.calibrate(run, 1.0, deadline=Deadline(0)).size == 1


def test_notes_list_candidates_that_the_deadline_stopped(clock: Clock) -> None:
    """Each operation takes one second, and there is time for seven."""
    factories = {name: lambda: clock.work for name in "abcde"}
    end = Deadline(7)
    candidates = rounds.calibrate_all(factories, end)
    # Calibration runs each candidate twice, and has half of the time.
    assert list(candidates) == ["a", "b"]
    seconds = rounds.interleave(candidates, 100, end)
    assert seconds == {"a": [1.0, 1.0], "b": [1.0]}
    assert clock.now == 7
    assert rounds.deadline_notes(factories, seconds) == [
        "not measured, out of time: c; d; e",
        "out of time after 1 of 5 rounds: a; b",
    ]


def test_a_stopped_candidate_has_no_round(clock: Clock) -> None:
    def stopped() -> None:
        clock.work(1)
        raise rounds.DeadlineError

    candidates = {"a": rounds.Candidate(lambda: clock.work(1), 1), "b": rounds.Candidate(stopped, 1)}
    assert rounds.interleave(candidates, 0) == {"a": [1.0]}


def test_processes_are_stopped_at_the_deadline() -> None:
    endless = python_command("while True: pass")
    for run in (run_to_end, run_to_first_byte):
        with pytest.raises(rounds.DeadlineError):
            run(endless, Deadline(0))
    with pytest.raises(rounds.DeadlineError):
        peak_memory(TINY.read_bytes(), "native", 10**9, Deadline(0))


def test_sections_share_the_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unused time of a section is available to the following sections."""
    shares: dict[str, float] = {}

    def section(name: str, used: float) -> Callable[[object, Deadline], Section]:
        def run(_: object, end: Deadline) -> Section:
            shares[name] = end.seconds_left
            clock.work(end.seconds_left * used)
            return Section(name, [], [])

        return run

    names = ("one-stream", "prompts", "many-streams")
    in_order = {
        name: (section(name, name != "many-streams"), share)
        for name, share in (("one-stream", 1.0), ("many-streams", 2.0), ("prompts", 1.0))
    }
    monkeypatch.setattr(sections, "SECTIONS", in_order)
    assert [name for name, _ in sections.measure(context(), names, Deadline(8))] == list(in_order)
    assert shares == pytest.approx({"one-stream": 2.0, "many-streams": 4.0, "prompts": 6.0})
    assert clock.now == pytest.approx(8.0)


def context() -> BenchContext:
    return BenchContext(TINY.read_bytes(), ("native",), 0.5, 0.01, 1, 500)


def test_prompts_are_fed_in_chunks_as_in_a_generation(monkeypatch: pytest.MonkeyPatch) -> None:
    chunk_lengths: list[int] = []

    def recorded(position: Stream, tokens: Any, **options: bool) -> None:
        chunk_lengths.append(len(tokens))
        feed_chunk(position, tokens, **options)

    monkeypatch.setattr(feeding, "feed_chunk", recorded)
    monkeypatch.setattr(NativeEngine, "chunk_length", lambda *_: 200)
    prompts(context(), Deadline())
    assert chunk_lengths[:3] == [200, 200, 112]


def test_spread_is_median_and_quartiles() -> None:
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0, 1)
    spread = Spread.of([5.0, 1.0, 2.0, 3.0, 4.0])
    assert spread == Spread(3.0, 2.0, 4.0, 5)
    assert spread.relative_iqr == pytest.approx(2 / 3)
    assert spread.as_json() == {"median": 3.0, "quartiles": [2.0, 4.0], "rounds": 5}


def test_ratios_are_not_affected_by_a_drift_of_speed() -> None:
    """The machine halves its speed during the measurement."""
    seconds = {"a": [1.0, 1.0, 2.0, 2.0], "b": [2.0, 2.0, 4.0, 4.0], "c": [1.0]}
    assert ratios(seconds, ["a", "c"], ["b", "missing"]) == {
        "a / b": Spread(0.5, 0.5, 0.5, 4),
        "c / b": Spread(1 / 3, 0.5, 0.5, 1),
    }


def test_waiting_for_a_processor_is_a_warning(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "thread_time", lambda: clock.now * 0.9)
    total = ProcessorTime()
    candidates = {
        "single-threaded": rounds.Candidate(lambda: clock.work(1), 1, single_threaded=True),
        "multithreaded": rounds.Candidate(lambda: clock.work(1), 1),
    }
    rounds.interleave(candidates, 0, processor_time=total)
    assert total.clock == 5
    assert total.waited == pytest.approx(0.1)
    warning = wait_warning(total)
    assert warning is not None
    assert "waited for a processor 10% of the time" in warning
    assert wait_warning(ProcessorTime(100.0, 96.0)) is None
    assert wait_warning(ProcessorTime()) is None


def test_a_high_load_average_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert load_warning([0.9, 9.0, 9.0]) is None
    assert load_warning(None) is None
    warning = load_warning([1.1, 0.0, 0.0])
    assert warning is not None
    assert "load average 1.10 on 4 processors" in warning
    monkeypatch.delattr(os, "getloadavg", raising=False)
    assert machine.load_average() is None


def test_widely_spread_rounds_are_a_warning() -> None:
    close, wide, wider = (Spread(1.0, 1.0 - half, 1.0 + half, 5) for half in (0.09, 0.11, 0.2))
    measured = {"one-stream": Section("", [], [], spreads={"a": close}), "prompts": Section("", [], [])}
    assert spread_warning(measured) is None
    measured["prompts"].spreads.update({"b": wide, "c": wider})
    warning = spread_warning(measured)
    assert warning is not None
    assert "2 figures vary" in warning
    assert "the worst is prompts: c: its interquartile range is 40% of the median (limit 20%)" in warning


def test_table_columns_are_aligned() -> None:
    section = Section("title", ["one", "two"], [("a", ["1", "22"]), ("longer", ["333", ""])])
    assert str(section) == "title\n          one  two\n  a         1   22\n  longer  333"
    section = Section("title", ["one"], [("a", ["1"])], notes=["a note"], legend=["a definition"])
    assert str(section) == "title\n     one\n  a    1\n  (a definition)\n  (a note)"


def test_figures_are_formatted() -> None:
    assert microseconds(2.5e-6) == "2.50 us"
    assert per_second(2.5e-6) == "400,000"
    assert (times(1.234), times(12345.6)) == ("1.23 x", "12,346 x")


def test_peak_memory_excludes_this_process() -> None:
    """The run is forked from this process, which has imported torch."""
    mebibytes = peak_memory(TINY.read_bytes(), "native", 10)
    assert mebibytes is None or mebibytes < 80


def test_memory_cells_are_empty_if_time_runs_out() -> None:
    section = memory(context(), Deadline(0))
    if section.rows[0][1][0] != "not available":
        assert section.rows == [("native", ["", ""])]
        assert len(section.notes) == 2
        assert section.ratios == {}
