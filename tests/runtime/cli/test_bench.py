"""The command ``textgen-bench``, and the rounds that it measures in."""

import itertools
import json
from argparse import Namespace
from functools import partial
from pathlib import Path

import pytest
import textgen_runtime as textgen
from textgen_runtime import ModelFileError
from textgen_runtime.bench import rounds
from textgen_runtime.bench.report import Section, microseconds, per_second, times
from textgen_runtime.bench.rounds import Candidate, calibrate, interleave, medians
from textgen_runtime.cli import bench
from textgen_runtime.cli.bench import Comparison, main
from textgen_runtime.files import is_output
from textgen_runtime.model import EngineName

from tests.helpers.commands import Captured, run_here
from tests.helpers.paths import FORMAT_2, TINY


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure two rounds of few streams."""
    monkeypatch.setattr(rounds, "MIN_ROUNDS", 2)
    monkeypatch.setattr(bench, "STREAM_COUNTS", (3,))
    monkeypatch.setattr(bench, "available_processors", lambda: 2)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize(
    ("model", "engine", "first"),
    [
        (TINY, "native", bench.WEIGHTS),
        (TINY, "onnxruntime", "one stream"),
        (FORMAT_2 / "records.onnx", "native", bench.WEIGHTS),
    ],
)
def test_the_report_has_each_figure_as_a_ratio(
    capsys: Captured, tmp_path: Path, model: Path, engine: EngineName, first: str
) -> None:
    path = tmp_path / "figures.json"
    options = ("--engine", engine, "--seconds", "0.01", "--temp", "0.7", "--json", str(path))
    code, out, err = run_here(main, capsys, str(model), *options)
    assert (code, err) == (0, "")
    report = json.loads(path.read_text(encoding="utf-8"))
    assert (report["sha256"], report["temperature"]) == (textgen.load(model, engine=engine).sha256, 0.7)
    assert report["engine"].startswith(engine)
    one, many, new = report["sections"]
    assert [one["baseline"], many["baseline"], new["baseline"]] == [first, "one stream", bench.IMPORT_NUMPY]
    assert set(many["figures"]) == {"one stream", "3 streams, 1 thread", "3 streams, 2 threads"}
    for section in report["sections"]:
        assert next(iter(section["figures"])) == section["baseline"]
        base = section["figures"][section["baseline"]]["seconds"]
        for name, figure in section["figures"].items():
            assert figure["ratio"] == pytest.approx(figure["seconds"] / base)
            assert f"\n  {name}  " in out
    latencies = list(report["latency"].values())
    assert latencies[0] > 0
    assert latencies == sorted(latencies)
    # An earlier report is replaced.
    assert is_output(path)


def test_a_figure_is_the_median_of_its_rounds() -> None:
    figures = Comparison("", "a", {"a": [9.0, 2.0, 4.0], "b": [8.0, 8.0, 1.0]}).figures()
    assert [(row["seconds"], row["ratio"]) for row in figures.values()] == [(4.0, 1.0), (8.0, 2.0)]


@pytest.mark.parametrize("seconds", [0.0, 60.0])
def test_candidates_take_turns(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """The clock shows a second more at each look."""
    monkeypatch.setattr(rounds, "perf_counter", itertools.count().__next__)
    calls: list[str] = []
    candidates = {name: Candidate(partial(calls.append, name), size) for name, size in (("a", 1), ("b", 4))}
    found = interleave(candidates, seconds)
    assert medians(found) == {"a": 1.0, "b": 0.25}
    assert calls == ["a", "b"] * len(found["a"])
    assert (len(calls) > 10) == (seconds > 0)
    assert len(calls) >= 2 * rounds.MIN_ROUNDS


@pytest.mark.parametrize("least", [1, 700])
def test_a_round_is_as_long_as_asked(monkeypatch: pytest.MonkeyPatch, least: int) -> None:
    now = 0.0

    def run(size: int) -> None:
        nonlocal now
        now += 1e-4 * size

    monkeypatch.setattr(rounds, "perf_counter", lambda: now)
    candidate = calibrate(run, 0.02, least)
    assert candidate.size == (700 if least == 700 else pytest.approx(200, rel=0.5))
    before = now
    candidate.run()
    assert now - before == pytest.approx(1e-4 * candidate.size)


def test_a_table_has_aligned_columns() -> None:
    rows = [("a", [microseconds(4.02e-6), times(1.5)]), ("long", [per_second(4.02e-6), times(123.4)])]
    assert str(Section("title", ["x", "y"], rows, ["why"])).splitlines() == [
        "title",
        "              x       y",
        "  a     4.02 us  1.50 x",
        "  long  248,756   123 x",
        "  (why)",
    ]


def test_a_new_process_imports_nothing_from_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("numpy", "textgen_runtime", "re"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} of the folder')\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    # The variable has the same effect as -P.
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    bench.run_process(bench.python_command("import numpy, textgen_runtime, re"))
    with pytest.raises(ModelFileError, match="exit code 3"):
        bench.run_process(bench.python_command("raise SystemExit(3)"))


@pytest.mark.usefixtures("fast")
def test_streams_of_a_batch_share_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[tuple[str, int]] = []

    def load(path: str, *, engine: EngineName, threads: int) -> textgen.Model:
        loaded.append((engine, threads))
        return textgen.load(path, engine=engine, threads=threads)

    monkeypatch.setattr(bench, "load", load)
    monkeypatch.setattr(bench, "calibrate", lambda run, least=1: Candidate(lambda: run(least), 7))
    arguments = Namespace(model=str(TINY), engine="onnxruntime", temp=1.0)
    runs = bench.many_streams(textgen.load(TINY), arguments)
    assert [candidate.size for candidate in runs.values()] == [7, 21, 21]
    assert loaded == [("onnxruntime", 1), ("onnxruntime", 2)]
