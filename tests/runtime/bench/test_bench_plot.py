"""The plot of ``textgen-bench``."""

import copy
from pathlib import Path

from matplotlib.figure import Figure
from textgen_runtime.bench.plot import is_plot, plot

from tests.helpers.bench_reports import REPORT


def test_panels_have_titles_labels_and_legends(saved_figures: list[Figure]) -> None:
    report = copy.deepcopy(REPORT)
    report["models"].append(copy.deepcopy(REPORT["models"][0]) | {"file": "b/$x$.onnx", "units": 64})
    plot(report)
    (figure,) = saved_figures
    assert "A chip (2 usable cores), 2026-01-02" in figure.get_suptitle()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "latency: model.onnx, 1 x 128 units, 57 characters"
    assert titles[3] == "throughput: $x$.onnx, 1 x 64 units, 57 characters"
    latency, throughput = figure.axes[:2]
    assert "microseconds" in latency.get_xlabel()
    assert "%" in latency.get_ylabel()
    assert "streams" in throughput.get_xlabel()
    assert "characters/s" in throughput.get_ylabel()
    for axes in figure.axes:
        legend = axes.get_legend()
        assert legend is not None
        assert legend.get_texts()[0].get_text().startswith("native")


def test_sections_without_figures_have_no_panel(saved_figures: list[Figure]) -> None:
    report = copy.deepcopy(REPORT)
    del report["models"][0]["sections"]["latency"]
    plot(report)
    assert [axes.get_title().split(":")[0] for axes in saved_figures[0].axes] == ["throughput"]


def test_own_plots_are_recognized(tmp_path: Path) -> None:
    own, other = tmp_path / "own.png", tmp_path / "other.png"
    own.write_bytes(plot(REPORT))
    assert is_plot(own)
    Figure().savefig(other)
    assert not is_plot(other)
    assert not is_plot(tmp_path / "missing.png")
