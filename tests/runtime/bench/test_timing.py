"""The way ``textgen-bench`` times, and what it makes of the times."""

import math
import os
from collections.abc import Callable
from typing import Any

import pytest
from textgen_runtime.bench import _rounds as rounds
from textgen_runtime.bench import busy, deadline, sections
from textgen_runtime.bench._one_stream import prompts
from textgen_runtime.bench._processes import finished, first_byte, memory, peak, python
from textgen_runtime.bench._spread import Ratio, Spread, ratios
from textgen_runtime.bench.busy import ProcessorTime, busy_before, busy_meanwhile, disagreement
from textgen_runtime.bench.context import Bench
from textgen_runtime.bench.deadline import Deadline
from textgen_runtime.bench.report import Section, microseconds, per_second, times
from textgen_runtime.engines.native import NativeEngine

from tests.helpers.paths import TINY


class Clock:
    """A clock that the contestants move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(rounds, "perf_counter", made)
    monkeypatch.setattr(deadline, "perf_counter", made)
    return made


def test_contestants_are_sized_to_their_rounds(clock: Clock) -> None:
    contestant = rounds.sized(lambda size: clock.work(size * 1e-5), round_seconds=0.02)
    assert 1000 <= contestant.size <= 2000
    slow = rounds.sized(lambda size: clock.work(size * 3.0))
    assert slow.size == 1


def test_rounds_alternate_so_that_a_drift_hits_all_alike(clock: Clock) -> None:
    order: list[str] = []
    speed = 1.0

    def run(name: str, seconds: float) -> None:
        nonlocal speed
        order.append(name)
        clock.work(seconds * speed)
        # The machine slows down to a half over the run.
        speed *= 1.02

    contestants = {
        name: rounds.Contestant(lambda name=name, each=each: run(name, each), 10)  # type: ignore[misc]
        for name, each in (("fast", 0.1), ("slow", 0.2))
    }
    measured = rounds.interleave(contestants, seconds=8.0)
    assert order[:6] == ["fast", "slow"] * 3
    assert len(measured["fast"]) == len(measured["slow"]) > 10
    middle = rounds.medians(measured)
    assert middle["slow"] / middle["fast"] == pytest.approx(2.0, rel=0.05)
    assert measured["fast"][0] == pytest.approx(0.01)


def test_a_short_time_still_has_a_few_rounds(clock: Clock) -> None:
    measured = rounds.interleave({"a": rounds.Contestant(lambda: clock.work(1), 1)}, seconds=0)
    assert measured == {"a": [1.0] * rounds.MIN_ROUNDS}


def test_a_deadline_is_shared(clock: Clock) -> None:
    end = Deadline(10)
    first = end.share(0.25)
    assert first.left == 2.5
    clock.work(2.5)
    assert first.passed
    assert not end.passed
    # What the first left over would be there for the second.
    assert end.share(0.5).left == 3.75
    clock.work(60)
    assert end.left == 0
    assert not Deadline().share(0.1).is_finite


def test_sizing_ends_at_the_deadline(clock: Clock) -> None:
    def run(size: int) -> None:
        clock.work(size * 1e-4)

    assert rounds.sized(run, 1.0).size > 1000
    assert rounds.sized(run, 1.0, deadline=Deadline(0)).size == 1


def test_a_slow_machine_measures_less_and_says_so(clock: Clock) -> None:
    """Each operation takes a second, and there are seven of them."""
    makers = {name: lambda: clock.work for name in "abcde"}
    end = Deadline(7)
    contestants = rounds.sized_in_time(makers, end)
    # Sizing tries each twice, and has half of the time.
    assert list(contestants) == ["a", "b"]
    taken = rounds.interleave(contestants, 100, end)
    assert taken == {"a": [1.0, 1.0], "b": [1.0]}
    assert clock.now == 7
    assert rounds.cut_short(makers, taken) == [
        "not measured, for want of time: c; d; e",
        "cut short, from 5 rounds to 1: a; b",
    ]


def test_a_contestant_that_is_stopped_has_no_round(clock: Clock) -> None:
    def stopped() -> None:
        clock.work(1)
        raise deadline.DeadlineError

    contestants = {"a": rounds.Contestant(lambda: clock.work(1), 1), "b": rounds.Contestant(stopped, 1)}
    assert rounds.interleave(contestants, 0) == {"a": [1.0]}


def test_a_process_is_stopped_at_the_deadline() -> None:
    endless = python("while True: pass")
    for run in (finished, first_byte):
        with pytest.raises(deadline.DeadlineError):
            run(endless, Deadline(0))
    with pytest.raises(deadline.DeadlineError):
        peak(TINY.read_bytes(), "native", 10**9, Deadline(0))


def test_sections_share_the_time(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A section that takes all that it may leaves the others theirs; one that takes less leaves them more."""
    shares: dict[str, float] = {}

    def section(name: str, used: float) -> Callable[[object, Deadline], Section]:
        def run(_: object, end: Deadline) -> Section:
            shares[name] = end.left
            clock.work(end.left * used)
            return Section(name, [], [])

        return run

    names = ("one-stream", "prompts", "many-streams")
    monkeypatch.setattr(sections, "SHARES", {"one-stream": 1.0, "many-streams": 2.0, "prompts": 1.0})
    monkeypatch.setattr(
        sections, "_functions", lambda: {name: section(name, name != "many-streams") for name in names}
    )
    assert [name for name, _ in sections.measure(bench(), names, Deadline(8))] == list(sections.SHARES)
    assert shares == pytest.approx({"one-stream": 2.0, "many-streams": 4.0, "prompts": 6.0})
    assert clock.now == pytest.approx(8.0)


def bench() -> Bench:
    return Bench(TINY.read_bytes(), ("native",), 0.5, 0.01, 1, 500)


def test_a_prompt_is_read_as_a_generation_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks that an interrupt can wait for, with logits after the last token of each alone."""
    read: list[int] = []
    feed = NativeEngine.feed

    def watched(engine: NativeEngine, tokens: Any, state: Any) -> Any:
        read.append(len(tokens))
        return feed(engine, tokens, state)

    monkeypatch.setattr(NativeEngine, "feed", watched)
    monkeypatch.setattr(NativeEngine, "chunk_length", lambda *_: 200)
    prompts(bench(), Deadline())
    assert read[:3] == [200, 200, 112]


def test_a_spread_has_median_and_quartiles() -> None:
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0, 1)
    spread = Spread.of([5.0, 1.0, 2.0, 3.0, 4.0])
    assert spread == Spread(3.0, 2.0, 4.0, 5)
    assert spread.width == pytest.approx(2 / 3)
    assert spread.as_json() == {"median": 3.0, "quartiles": [2.0, 4.0], "rounds": 5}


def test_ratios_are_of_rounds_made_in_turn() -> None:
    """The machine halves its speed, which changes no ratio."""
    taken = {"a": [1.0, 1.0, 2.0, 2.0], "b": [2.0, 2.0, 4.0, 4.0], "c": [1.0]}
    assert ratios(taken, ["a", "c"], ["b", "none"]) == {
        "a / b": Ratio(0.5, 0.5, 0.5, 4),
        "c / b": Ratio(1 / 3, 0.5, 0.5, 1),
    }


def test_time_without_a_processor_is_found(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "thread_time", lambda: clock.now * 0.9)
    watch = ProcessorTime()
    contestants = {
        "one thread": rounds.Contestant(lambda: clock.work(1), 1, one_thread=True),
        "several": rounds.Contestant(lambda: clock.work(1), 1),
    }
    rounds.interleave(contestants, 0, processor_time=watch)
    assert watch.clock == 5
    assert watch.waited == pytest.approx(0.1)
    warning = busy_meanwhile(watch)
    assert warning is not None
    assert "waited for a processor 10% of the time" in warning
    assert busy_meanwhile(ProcessorTime(100.0, 96.0)) is None
    assert busy_meanwhile(ProcessorTime()) is None


def test_load_of_the_whole_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert busy_before([0.9, 9.0, 9.0]) is None
    assert busy_before(None) is None
    warning = busy_before([1.1, 0.0, 0.0])
    assert warning is not None
    assert "load average is 1.10 on 4 processors" in warning
    monkeypatch.delattr(os, "getloadavg", raising=False)
    assert busy.load_average() is None


def test_rounds_that_disagree() -> None:
    close, wide, wider = (Spread(1.0, 1.0 - half, 1.0 + half, 5) for half in (0.09, 0.11, 0.2))
    found = {"one-stream": Section("", [], [], spreads={"a": close}), "prompts": Section("", [], [])}
    assert disagreement(found) is None
    found["prompts"].spreads.update({"b": wide, "c": wider})
    warning = disagreement(found)
    assert warning is not None
    assert "2 figures disagree" in warning
    assert "'prompts: c' over 40%" in warning


def test_tables_line_up() -> None:
    section = Section("title", ["one", "two"], [("a", ["1", "22"]), ("longer", ["333", ""])])
    assert str(section) == "title\n          one  two\n  a         1   22\n  longer  333"
    noted = Section("title", ["one"], [("a", ["1"])], notes=["a note"])
    assert str(noted) == "title\n     one\n  a    1\n  (a note)"


def test_figures_in_words() -> None:
    assert microseconds(2.5e-6) == "2.50 us"
    assert per_second(2.5e-6) == "400,000/s"
    assert (times(1.234), times(12345.6)) == ("1.23 x", "12,346 x")


def test_memory_is_of_the_run_alone() -> None:
    """Not of this process, which it is forked from and which has torch in it."""
    found = peak(TINY.read_bytes(), "native", 10)
    assert found is None or found < 80


def test_memory_that_was_not_measured_leaves_its_place_empty() -> None:
    section = memory(bench(), Deadline(0))
    if section.rows[0][1][0] != "not known here":
        assert section.rows == [("native", ["", ""])]
        assert len(section.notes) == 2
        assert math.isclose(len(section.ratios), 0)
