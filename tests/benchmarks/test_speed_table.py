"""The comparison with other programs: its network is that of a preset, and the pages have its table."""

import json
from typing import Any

import pytest
import textgen_runtime as textgen
from textgen_runtime.bench.report import describe_model
from textgen_runtime.cli._bench_outputs import model_heading
from textgen_train.presets import PRESETS

from benchmarks.peers import run
from tests.helpers.make_tiny_model import make_model
from tests.helpers.paths import ROOT

PAGES = ("docs/results.md",)


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    """The results of the last run of the comparison."""
    stored: dict[str, Any] = json.loads(run.RESULTS.read_text(encoding="utf-8"))
    return stored


def rows(text: str) -> list[str]:
    """Return the rows of the table of speeds in a text, without bold type."""
    _, found, rest = text.replace("**", "").partition("\n| program | version | time per character |")
    return (found + rest).partition("\n\n")[0].strip().splitlines()


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_the_table_of_the_last_comparison(page: str, results: dict[str, Any]) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    assert rows(text) == run.table(results).splitlines()
    section = text[: text.index("| program | version |")].rpartition("\n## ")[2]
    assert f"{results['machine']['processor']} with AVX-512" in section
    assert results["date"] in section


def test_the_programs_were_compared_with_the_network_of_small(results: dict[str, Any]) -> None:
    small = PRESETS["small"]
    symbols = len(textgen.load(run.MODEL).tokenizer)
    expected = {"layers": small.layers, "units": small.units, "embedding": small.embedding}
    assert results["network"] == expected | {"vocabulary": symbols}
    for name in (run.MODEL, run.INT8_MODEL):
        assert run.sizes(textgen.load(name).engine.network) == results["network"]
    assert list(results["programs"]) == list(run.PEERS)


@pytest.mark.parametrize("name", [run.MODEL, run.INT8_MODEL])
def test_the_tables_of_speeds_are_of_the_bundled_models(name: str) -> None:
    heading = model_heading(describe_model(name, textgen.load(name)), 0.5).strip()
    assert f"```text\n{heading}\n```" in (ROOT / "docs/results.md").read_text(encoding="utf-8")


def test_a_network_that_the_other_programs_do_not_compute_is_an_error() -> None:
    network = textgen.load(make_model(layers=2, residual=True).SerializeToString()).engine.network
    with pytest.raises(SystemExit, match="only an LSTM without residual connections"):
        run.sizes(network)
