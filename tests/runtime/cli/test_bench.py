"""The command ``textgen-bench``."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import textgen_runtime as textgen
from textgen_runtime import __version__
from textgen_runtime.bench import _many_streams as many_streams
from textgen_runtime.bench import machine, rounds
from textgen_runtime.bench.context import BenchContext
from textgen_runtime.bench.plot import is_plot
from textgen_runtime.bench.report import Section
from textgen_runtime.bench.rounds import Spread
from textgen_runtime.bench.sections import SECTIONS
from textgen_runtime.cli import bench
from textgen_runtime.cli.bench import main

from tests.helpers.bench_reports import REPORT
from tests.helpers.commands import run_here
from tests.helpers.paths import TINY

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run every measurement briefly, with a single round, and to its end even on a busy machine."""
    monkeypatch.setattr(bench, "QUICK_SECONDS", 0.01)
    monkeypatch.setattr(bench, "QUICK_TOTAL", 3600.0)
    monkeypatch.setattr(bench, "QUICK_LONG_RUN", 1000)
    monkeypatch.setattr(rounds, "MIN_ROUNDS", 1)
    monkeypatch.setattr(many_streams, "STREAM_COUNTS", (1, 4))


@pytest.fixture
def fake_ratios(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Replace the measurements: each section reports the ratio in this dictionary, which tests may change."""
    values = {"one-stream": 0.5, "prompts": 2.0}

    def measure(context: Any, names: list[str], deadline: Any) -> Iterator[tuple[str, Section]]:
        del context, deadline
        for name, value in values.items():
            if name in names:
                ratio = Spread(value, value, value, 5)
                spreads = {"a": Spread(1.0, 1.0, 1.0, 5)}
                yield name, Section(name, [], [], {}, ratios={"a / b": ratio}, spreads=spreads)

    monkeypatch.setattr(bench, "measure", measure)
    return values


@pytest.fixture
def not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test if a measurement starts."""
    monkeypatch.setattr(bench, "measure", lambda *_: pytest.fail("a measurement started"))


@pytest.mark.usefixtures("fast")
def test_the_report_has_all_sections(capsys: Captured, tmp_path: Path) -> None:
    figures, plot_path = tmp_path / "figures.json", tmp_path / "figures.png"
    assert main([str(TINY), "--quick", "--json", str(figures), "--plot", str(plot_path)]) == 0
    out = capsys.readouterr().out
    for title in ("one stream", "latency", "many streams", "prompt of", "fresh process", "memory"):
        assert re.search(rf"^\S*.*{title}", out, re.MULTILINE)
    assert is_plot(plot_path)
    document = json.loads(figures.read_text())
    assert document["machine"]["textgen-onnx"] == __version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", document["date"])
    assert document["options"] == {
        "temperature": 0.5,
        "engine": "both",
        "sections": list(SECTIONS),
        "quick": True,
    }
    assert set(document["load_average"]) == {"start", "end"}
    (model,) = document["models"]
    assert model["file"] == str(TINY)
    assert model["sha256"] == textgen.load(TINY).sha256
    assert (model["layers"], model["units"], model["vocabulary"]) == (1, 4, 12)
    assert 0 <= model["waited_share"] < 1
    sections = model["sections"]
    assert list(sections) == list(SECTIONS)
    seconds = sections["one-stream"]["figures"]["seconds"]
    assert {"native", "onnxruntime", "weights streamed once"} < set(seconds)
    assert all(spread["median"] > 0 and spread["rounds"] >= 1 for spread in seconds.values())
    assert all(len(spread["quartiles"]) == 2 for spread in seconds.values())
    latency = sections["latency"]["figures"]["native"]
    points = list(latency["percentiles"].values())
    assert points == sorted(points)
    assert latency["model_seconds"] > 0
    assert latency["sampler_seconds"] > 0
    for name, section in sections.items():
        # Peak memory is not available on all systems.
        assert section["ratios"] or name == "memory"
        assert all(ratio["value"] > 0 for ratio in section["ratios"].values())


def test_a_quick_run_without_time_measures_nothing(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline passes before the first measurement, as on a very slow machine."""
    monkeypatch.setattr(bench, "QUICK_TOTAL", 0)
    monkeypatch.chdir(tmp_path)
    figures, plot_path = tmp_path / "figures.json", tmp_path / "bench.png"
    assert main([str(TINY), "--quick", "--json", str(figures), "--plot"]) == 0
    out, err = capsys.readouterr()
    assert err.endswith("wrote bench.png\n")
    assert "(not measured, out of time: native; onnxruntime; onnxruntime, plain loop;" in out
    sections = json.loads(figures.read_text())["models"][0]["sections"]
    assert all(section["notes"] for name, section in sections.items() if name != "memory")
    assert is_plot(plot_path)


@pytest.mark.usefixtures("fast")
@pytest.mark.parametrize("engine", ["native", "onnxruntime"])
def test_engine_and_sections_can_be_selected(capsys: Captured, engine: str) -> None:
    options = ("--quick", "--engine", engine, "--section", "prompts", "--section", "one-stream")
    code, out, _ = run_here(main, capsys, str(TINY), *options)
    assert code == 0
    assert out.index("one stream") < out.index("prompt of")
    assert "latency" not in out
    names = re.findall(r"^  (native|onnxruntime)  ", out, re.MULTILINE)
    assert names == [engine, engine]
    # The roofline is measured with either engine.
    assert "weights streamed once" in out


@pytest.mark.usefixtures("fake_ratios")
def test_models_are_measured_in_order(capsys: Captured, tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    code, out, _ = run_here(main, capsys, "nietzsche", str(TINY), "--json", str(figures))
    assert code == 0
    assert out.index("nietzsche: ") < out.index(f"{TINY}: 1 x 4 units")
    models = json.loads(figures.read_text())["models"]
    assert [model["file"] for model in models] == ["nietzsche", str(TINY)]


def test_a_report_is_compared_with_an_earlier_one(
    capsys: Captured, tmp_path: Path, fake_ratios: dict[str, float]
) -> None:
    old = tmp_path / "old.json"
    assert main([str(TINY), "--json", str(old)]) == 0
    compared = (str(TINY), "--compare", str(old), "--fail-above", "10")
    fake_ratios["one-stream"] *= 1.09
    code, out, err = run_here(main, capsys, *compared)
    assert (code, "error" in err) == (0, False)
    assert re.search(r"one-stream: a / b +0.500 x +0.545 x +\+9.0%\n", out)
    fake_ratios["one-stream"] *= 1.02
    fake_ratios["prompts"] *= 0.5
    code, out, err = run_here(main, capsys, *compared)
    assert code == 1
    message = (
        f"1 ratio is worse than in {old} by more than 10%; the largest increase is 11.2% (one-stream: a / b)"
    )
    assert message in err
    # Without --fail-above, the exit code is 0.
    assert run_here(main, capsys, *compared[:3])[0] == 0
    code, out, _ = run_here(main, capsys, "nietzsche", *compared[1:])
    assert code == 1
    assert f"different models: {TINY} (1 x 4 units" in out


@pytest.mark.parametrize("engine", ["both", "native", "onnxruntime"])
def test_onnxruntime_receives_only_checked_fields(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str
) -> None:
    """``--engine onnxruntime`` passes the unchanged file. The file is read once."""
    proto = onnx.load(TINY)
    proto.graph.node[0].doc_string = "smuggled"
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    contexts: list[BenchContext] = []
    paths: list[str] = []

    def measure(context: BenchContext, *_: object) -> Iterator[tuple[str, Section]]:
        contexts.append(context)
        yield from ()

    def read_once(name: str) -> bytes:
        paths.append(name)
        return Path(name).read_bytes()

    monkeypatch.setattr(bench, "measure", measure)
    monkeypatch.setattr(bench, "read_model", read_once)
    assert run_here(main, capsys, str(path), "--engine", engine)[0] == 0
    assert paths == [str(path)]
    assert (b"smuggled" in contexts[0].content) == (engine == "onnxruntime")
    assert contexts[0].engines == (("native", "onnxruntime") if engine == "both" else (engine,))


@pytest.mark.usefixtures("not_measured")
@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_a_model_is_not_overwritten(capsys: Captured, tmp_path: Path, option: str) -> None:
    model = tmp_path / "m.onnx"
    shutil.copy(TINY, model)
    code, out, err = run_here(main, capsys, str(model), option, str(model))
    assert (code, out) == (1, "")
    assert f"{option} {model}: the file exists and is not a" in err
    assert err.count("\n") == 1
    assert model.read_bytes() == TINY.read_bytes()


@pytest.mark.usefixtures("not_measured")
@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_outputs_are_checked_before_the_measurements(capsys: Captured, tmp_path: Path, option: str) -> None:
    code, _, err = run_here(main, capsys, str(TINY), option, str(tmp_path / "missing" / "file"))
    assert code == 1
    assert "cannot write" in err


@pytest.mark.usefixtures("not_measured")
@pytest.mark.parametrize("options", [(), (str(TINY), "nietzsche"), ("--compare", "missing.json")])
def test_inputs_are_checked_before_the_measurements(capsys: Captured, options: tuple[str, ...]) -> None:
    missing = () if "--compare" in options else ("missing.onnx",)
    code, _, err = run_here(main, capsys, *options, *(missing or (str(TINY),)))
    assert code == 1
    assert "cannot read the" in err


@pytest.mark.usefixtures("not_measured")
def test_the_earlier_report_is_checked_before_the_measurements(capsys: Captured, tmp_path: Path) -> None:
    """It has another number of models."""
    old = tmp_path / "old.json"
    old.write_text(json.dumps(REPORT), encoding="utf-8")
    code, _, err = run_here(main, capsys, str(TINY), str(TINY), "--compare", str(old))
    assert code == 1
    assert str(old) in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("fake_ratios")
def test_the_report_on_standard_output_is_valid_json_with_the_warnings(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "load_warning", lambda _: "high load")
    monkeypatch.setattr(machine, "wait_warning", lambda _: "waited")
    code, out, err = run_here(main, capsys, str(TINY), "nietzsche", "--json", "-")
    document, expected = json.loads(out), ["high load", f"{TINY}: waited", "nietzsche: waited"]
    assert (code, document["warnings"], document["models"][0]["file"]) == (0, expected, str(TINY))
    assert re.findall("textgen-bench: warning: (.*)", err) == expected
    assert "processor " in err
    assert "one-stream" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fail-above", "10"], "--fail-above requires --compare"),
        (["--compare", "old.json", "--fail-above", "-1"], "must be a finite number, 0 or more"),
        (["--plot", "-"], "--plot requires a file name"),
        (["--plot", "a.png", "--section", "memory"], "--plot requires the section latency or many-streams"),
        (["--json", "a", "--plot", "./a"], "--json and --plot are the same file"),
        (["--json", "a", "--compare", "a"], "--json and --compare are the same file"),
        (["--section", "everything"], "invalid choice"),
        (["--engine", "auto"], "invalid choice"),
    ],
)
def test_invalid_arguments_are_usage_errors(capsys: Captured, options: list[str], message: str) -> None:
    code, _, err = run_here(main, capsys, str(TINY), *options)
    assert code == 2
    assert message in err
