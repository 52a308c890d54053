"""``textgen-bench`` and the way it times."""

import json
import re
from pathlib import Path

import pytest
from textgen_runtime import __version__
from textgen_runtime.bench import processes, rounds, sections
from textgen_runtime.bench.report import Section, microseconds, per_second, times
from textgen_runtime.cli import bench
from textgen_runtime.cli.bench import main

from .make_tiny_model import PATH

Captured = pytest.CaptureFixture[str]


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
    assert measured == {"a": [1.0] * rounds.LEAST_ROUNDS}


def test_tables_line_up() -> None:
    section = Section("title", ["one", "two"], [("a", ["1", "22"]), ("longer", ["333", ""])])
    assert str(section) == "title\n          one  two\n  a         1   22\n  longer  333"


def test_figures_in_words() -> None:
    assert microseconds(2.5e-6) == "2.50 us"
    assert per_second(2.5e-6) == "400,000/s"
    assert (times(1.234), times(12345.6)) == ("1.23 x", "12,346 x")


def test_the_whole_report(capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "QUICK_SECONDS", 0.01)
    monkeypatch.setattr(rounds, "LEAST_ROUNDS", 1)
    monkeypatch.setattr(sections, "STREAMS", (1, 4))
    figures, picture = tmp_path / "figures.json", tmp_path / "figures.png"
    assert main([str(PATH), "--quick", "--json", str(figures), "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    for title in ("one stream", "latency", "many streams", "reading a prompt", "fresh process", "memory"):
        assert re.search(rf"^\S*.*{title}", out, re.MULTILINE)
    assert picture.read_bytes().startswith(b"\x89PNG")
    document = json.loads(figures.read_text())
    assert document["machine"]["textgen-onnx"] == __version__
    one = document["sections"]["one stream"]["seconds"]
    assert {"native", "onnxruntime", "weights streamed once"} < set(one)
    assert all(seconds > 0 for seconds in one.values())
    latency = document["sections"]["latency"]["native"]
    points = list(latency["percentiles"].values())
    assert points == sorted(points)
    assert latency["model_seconds"] > 0
    assert latency["sampler_seconds"] > 0


def test_a_model_that_is_not_there(capsys: Captured) -> None:
    assert main(["none.onnx"]) == 1
    assert "cannot read the model file none.onnx" in capsys.readouterr().err


def test_memory_is_of_the_run_alone() -> None:
    """Not of this process, which it is forked from and which has torch in it."""
    found = processes.peak(PATH, "native", 10)
    assert found is None or found < 80
